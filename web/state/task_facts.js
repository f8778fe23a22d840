// What is known of one delegated task, from updates, lists and the timeline, which may come in any order. Pure.

const STEPS = { queued: 0, running: 1, waiting: 1, completed: 2, failed: 2, cancelled: 2 };

export const isOver = (task) => STEPS[task.status] === 2;

/** Without its answer, as lists have it; on the timeline without its progress and what it asks for, too. */
export const isBrief = (task) => task.answer === undefined;

/** It was never handed over, so that the server has no such task. */
export const wasRefused = (task) => !task.agent;

/** How far a task is: it never goes back to an earlier step. */
const stepOf = (task) => (task.delivered ? 3 : (STEPS[task.status] ?? 1));

/** What is known after one more state of it was told. Details that are known stay while its status is the same. */
export function merged(known, next) {
  if (!known) return next;
  const [older, newer] = stepOf(next) < stepOf(known) ? [next, known] : [known, next];
  if (!isBrief(newer)) return newer;
  return older.status === newer.status ? { ...older, ...newer } : newer;
}

/** The same for one that was asked for a while ago; `then`: what was known at that time. What came since is newer. */
export function mergedAnswer(known, answered, then) {
  const changed = known && known !== then && !isBrief(known);
  return changed && stepOf(known) >= stepOf(answered) ? known : merged(known, answered);
}

/** Those that wait for somebody's permission first, then the newest. Ids grow with time. */
export function inOrder(tasks) {
  const asks = (task) => (task.status === "waiting" ? 0 : 1);
  return [...tasks].sort((a, b) => asks(a) - asks(b) || (a.id < b.id ? 1 : -1));
}
