// Which tasks wait for somebody's permission, whatever page is open: a poll, and what is told of single tasks meanwhile.
import { get } from "../net/api.js";
import { shownSignal } from "../net/auth.js";

const MOST = 25;
const POLL_TIMEOUT_MS = 5000;

/** Those tasks; outlines of them are enough. */
export const asking = shownSignal([]);

let told = 0;

/** Read them again. What was told meanwhile may be newer than the answer, which counts for nothing then. */
export async function refreshAsking() {
  for (let before = null; before !== told; ) {
    before = told;
    try {
      const { data } = await get(`/v1/tasks?status=waiting&limit=${MOST}`, { ms: POLL_TIMEOUT_MS });
      if (before === told) keep(data);
    } catch {
      return; // That nobody answers is told by `lost`; a list that cannot be had by the pages that show it.
    }
  }
}

/** One task is so now. */
export function noteAsking(task) {
  told += 1;
  const others = asking.value.filter((known) => known.id !== task.id);
  keep(task.status === "waiting" ? [...others, task] : others);
}

function keep(tasks) {
  const same = tasks.length === asking.value.length && tasks.every((task, n) => task.id === asking.value[n].id);
  if (!same) asking.value = tasks;
}
