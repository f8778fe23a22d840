// Which page is open: #/live, #/live/{session_id}, #/cameras, #/tasks, #/tasks/new, #/tasks/{status}, #/timeline?{filter},
// #/timeline/{event_id}, #/memory, #/memory/{memory_id}, #/alerts, #/alerts/{state}, #/alerts/hooks,
// #/access.
import { signal } from "../html.js";

const PAGES = ["live", "cameras", "tasks", "timeline", "memory", "alerts", "access"];

/** @returns {{page: string, id: string|null, asked: Record<string, string>}}  `asked`: the filters of a list */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [page, id] = path.split("/");
  if (!PAGES.includes(page)) return { page: "live", id: null, asked: {} };
  return { page, id: id ? safeDecode(id) : null, asked: Object.fromEntries(new URLSearchParams(query)) };
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = signal(parse(location.hash));
/** Where an event was opened from; "" where that is the timeline, or not known. */
let openedFrom = "";
addEventListener("hashchange", ({ oldURL }) => {
  const before = route.value;
  route.value = parse(location.hash);
  if (isEvent(route.value) && !isEvent(before)) openedFrom = before.page === "timeline" ? "" : new URL(oldURL).hash;
});

const isEvent = ({ page, id }) => page === "timeline" && id !== null;

/** Where the reader goes when an event is closed: back to what showed it, else to the timeline at `timeline`. */
export const behindEvent = (timeline) => openedFrom || timeline;

/** The address of a page; `asked` without what is empty. */
export function hrefOf(page, id = null, asked = {}) {
  const given = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}${given.size ? `?${given}` : ""}`;
}

export const eventHref = (id) => hrefOf("timeline", id);
export const memoryHref = (id) => hrefOf("memory", id);
export const liveHref = (sessionId) => `#/live/${encodeURIComponent(sessionId)}`;

export function go(hash, { replace = false } = {}) {
  if (replace) location.replace(hash);
  else location.hash = hash;
}
