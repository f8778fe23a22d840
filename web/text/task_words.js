// What states of delegated tasks are called.
import { ago } from "./format.js";

const STATUS = {
  queued: "Waits for its turn",
  running: "Working",
  waiting: "Asks for permission",
  completed: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

/** What the list can be narrowed to: [status, name]; empty: all. */
export const FILTERS = [
  ["", "All"],
  ["waiting", "Asking"],
  ["running", "Working"],
  ["queued", "Queued"],
  ["completed", "Done"],
  ["failed", "Failed"],
  ["cancelled", "Cancelled"],
];

const NOTHING = {
  "": "No task yet. The model hands over what it cannot see for itself, and you can ask an agent too.",
  waiting: "No agent asks for permission.",
  running: "No agent is working.",
  queued: "No task waits for its turn.",
  completed: "No task is done.",
  failed: "No task has failed.",
  cancelled: "No task was cancelled.",
};

const ORIGINS = { model: "asked by the model", user: "asked by hand", client: "asked by another program" };

export const taskStatus = (status) => STATUS[status] ?? status;

/** Why a list of such tasks is empty. */
export const nothingWords = (filter) => NOTHING[filter] ?? NOTHING[""];

export const originWords = (origin) => ORIGINS[origin] ?? "";

/** "opencode asks for permission", "3 tasks ask for permission" */
export const askingWords = (tasks) => (tasks.length === 1 ? `${tasks[0].agent} asks for permission` : `${tasks.length} tasks ask for permission`);

/** Whether somebody knows what came of it; empty where there is nothing to tell. */
export function toldWords({ status, delivered }) {
  if (!["completed", "failed"].includes(status)) return "";
  return { spoken: "Told aloud", shown: "Seen" }[delivered] ?? "Not told yet";
}

const SHORT = 80;

/** The beginning of a question. */
export const inShort = (question) => (question.length > SHORT ? `${question.slice(0, SHORT).trimEnd()}…` : question);

/** How long it works, or how long it took; empty before it begins. `now` in milliseconds, the server's. */
export function tookWords({ started_at, ended_at, status }, now) {
  if (!started_at || status === "queued") return "";
  if (ended_at) return `took ${ago(started_at, Date.parse(ended_at))}`;
  return `for ${ago(started_at, now)}`;
}

/** "1.4 MB" */
export function sizeWords(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
