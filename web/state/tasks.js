// Delegated tasks: the list of them, the agents that work on them, and what can be done with one.
import { batch } from "../html.js";
import { bodyOf, del, get, list, post, request, taskPath } from "../net/api.js";
import { shownSignal } from "../net/auth.js";
import { noteAsking } from "./asking.js";
import { listError, troubleOf } from "./lists.js";
import { clockOffset, serverNow, view } from "./session.js";
import { inOrder, isBrief, merged, mergedAnswer, wasRefused } from "./task_facts.js";
import { withTask } from "./view.js";

const PAGE = 25;
const POLL_TIMEOUT_MS = 5000;
/** Cancelling returns when everything that the agent had started is gone. */
const CANCEL_MS = 90_000;
const CHECK_MS = 90_000;
const FILE_MS = 300_000;
/** The server tells its time in whole seconds. */
const CLOCKS_MS = 2000;

/** The list as it was read last: `tasks` is null until then, `next` the cursor of what is older. */
export const listing = shownSignal({ filter: "", tasks: null, next: null });
/** The agents of the server: [{name, about, default, …}]; null until they are known. */
export const agents = shownSignal(null);

let serverAhead = 0;

/** The server's time now, in milliseconds. */
export const taskNow = () => (view.value.session && Number.isFinite(clockOffset.value) ? 1000 * serverNow() : Date.now() + serverAhead);

export async function refreshAgents() {
  try {
    agents.value = await list("/v1/agents");
  } catch (error) {
    listError.value = troubleOf(error);
  }
}

/** Has it all that it needs? It may be started for that. {ready, message, version, sandbox}. Raises ApiError. */
export async function checkAgent(name) {
  return (await get(`/v1/agents/${encodeURIComponent(name)}`, { ms: CHECK_MS })).check;
}

/** Read the newest tasks with this status again (empty: all), and always those that ask for a permission. */
export async function refreshTasks(filter) {
  if (listing.value.filter !== filter) listing.value = { filter, tasks: null, next: null };
  const then = byId(listing.value.tasks);
  try {
    const [first, asking] = await Promise.all([readPage(filter), filter ? { data: [] } : readPage("waiting")]);
    if (listing.value.filter !== filter) return;
    batch(() => {
      listing.value = withNewest(listing.value, first, asking.data, then);
      listError.value = null;
    });
  } catch (error) {
    listError.value = troubleOf(error);
  }
}

/** The page of the list that follows. Raises ApiError. */
export async function readOlder() {
  const { filter, next } = listing.value;
  const page = await readPage(filter, next);
  if (listing.value.filter !== filter || listing.value.next !== next) return;
  const known = byId(listing.value.tasks);
  listing.value = { filter, tasks: inOrder([...listing.value.tasks, ...page.data.filter((task) => !known.has(task.id))]), next: page.next };
}

function withNewest({ filter, tasks, next }, first, asking, then) {
  const known = byId(tasks);
  const read = new Map([...asking, ...first.data].filter((task) => !deleted.has(task.id)).map((task) => [task.id, mergedAnswer(known.get(task.id), task, then.get(task.id))]));
  const oldest = first.data.at(-1)?.id ?? "";
  // Older pages that were opened stay open; what has another status meanwhile is not looked for any more.
  const older = first.next === null ? [] : (tasks ?? []).filter((task) => task.id < oldest && !read.has(task.id));
  const shown = [...read.values(), ...older].filter((task) => !filter || task.status === filter);
  const readOn = older.some((task) => task.status !== "waiting");
  return { filter, tasks: inOrder(shown), next: readOn ? next : first.next };
}

async function readPage(filter, after = null) {
  const asked = new URLSearchParams({ limit: PAGE, ...(filter && { status: filter }), ...(after && { after }) });
  const response = await request("GET", `/v1/tasks?${asked}`, { ms: POLL_TIMEOUT_MS });
  const ahead = Date.parse(response.headers.get("Date")) - Date.now();
  serverAhead = Math.abs(ahead) > CLOCKS_MS ? ahead : 0;
  return bodyOf(response, "json");
}

const byId = (tasks) => new Map((tasks ?? []).map((task) => [task.id, task]));

// ------------------------------------------------------------------------------------------------------------ one task

/** What an answer of the server tells of a task, wherever it is shown. */
export function learn(task) {
  noteAsking(task);
  batch(() => {
    const { tasks } = listing.value;
    if (tasks?.some((known) => known.id === task.id)) {
      listing.value = { ...listing.value, tasks: tasks.map((known) => (known.id === task.id ? merged(known, task) : known)) };
    }
    if (view.value.lines.some((line) => line.task?.id === task.id)) view.value = withTask(view.value, { task });
  });
}

const gone = new Set();
/** Here: a list that was asked for before may still have them. */
const deleted = new Set();

/** Its answer and files, where only its outline is known. A task that was deleted keeps its outline. */
export async function readWhole(task) {
  if (!isBrief(task) || wasRefused(task) || gone.has(task.id)) return;
  try {
    learn(await get(taskPath(task.id)));
  } catch (error) {
    if (error.status === 404) gone.add(task.id);
    else if (error.status !== 0 && error.status !== 401) listError.value = error.message;
  }
}

/** What its agent did, oldest first: [{at, text}]. Raises ApiError. */
export const readLog = (task) => list(taskPath(task.id, "/log"));

/** Hand a question over; `sessionId`: of which session it is, or empty; `agent`: empty for the server's choice. Raises ApiError. */
export async function askAgent(question, { agent, sessionId }) {
  const body = { question, ...(agent && { agent }), ...(sessionId && { session_id: sessionId }) };
  show(await post("/v1/tasks", body));
}

/** Raises ApiError. */
export async function followUp(task, question) {
  show(await post(taskPath(task.id, "/follow-up"), { question }));
}

/** Raises ApiError. */
export async function cancelTask(task) {
  learn(await post(taskPath(task.id, "/cancel"), {}, { ms: CANCEL_MS }));
}

/** `optionId` null: denied. Raises ApiError; also where it is not asked any more. Either way the task is read again. */
export async function answerPermission(task, optionId) {
  try {
    await post(taskPath(task.id, `/permissions/${encodeURIComponent(task.permission.id)}`), { option_id: optionId });
  } finally {
    get(taskPath(task.id)).then(learn, () => {}); // an update or the next poll tells it too
  }
}

/** Delete one that is over, with its files. Raises ApiError; not where somebody else deleted it. */
export async function deleteTask(task) {
  try {
    await del(taskPath(task.id));
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  deleted.add(task.id);
  listing.value = { ...listing.value, tasks: (listing.value.tasks ?? []).filter((known) => known.id !== task.id) };
}

const acknowledged = new Set();

/** Tell the server, once, that somebody saw what came of it. Returns whether it need not be told again. */
export async function acknowledge(task) {
  if (acknowledged.has(task.id) || task.delivered || wasRefused(task)) return true;
  acknowledged.add(task.id);
  try {
    learn(await post(taskPath(task.id, "/acknowledge")));
  } catch (error) {
    // Deleted, or not over after all: asking again changes nothing.
    if (error.status === 404 || error.status === 409) return true;
    acknowledged.delete(task.id);
    return false;
  }
  return true;
}

/** Raises ApiError. */
export async function saveFile(task, name) {
  const path = name.split("/").map(encodeURIComponent).join("/");
  const response = await request("GET", taskPath(task.id, `/files/${path}`), { ms: FILE_MS });
  save(await bodyOf(response, "blob"), name.split("/").at(-1));
}

export const saveAnswer = (task) => save(new Blob([task.answer], { type: "text/plain" }), `${task.id}.md`);

/** The key is sent in a header, which a plain link cannot do. What is saved has no type that a browser would run. */
function save(blob, name) {
  const url = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A new task is on top of the list at once; on Live its updates bring it. */
function show(task) {
  const { filter, tasks } = listing.value;
  if (!tasks || (filter && filter !== task.status) || tasks.some((known) => known.id === task.id)) return learn(task);
  listing.value = { ...listing.value, tasks: inOrder([task, ...tasks]) };
}
