// Which page is open: #/live, #/live/{session_id}, #/cameras, #/tasks, #/tasks/new, #/tasks/{status}.
import { signal } from "../html.js";

const PAGES = ["live", "cameras", "tasks"];

/** @returns {{page: string, id: string|null}} */
export function parse(hash) {
  const [page, id] = hash.replace(/^#\/?/, "").split("/");
  if (!PAGES.includes(page)) return { page: "live", id: null };
  return { page, id: id ? safeDecode(id) : null };
}

function safeDecode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = signal(parse(location.hash));
addEventListener("hashchange", () => (route.value = parse(location.hash)));

export const liveHref = (sessionId) => `#/live/${encodeURIComponent(sessionId)}`;

export function go(hash, { replace = false } = {}) {
  if (replace) location.replace(hash);
  else location.hash = hash;
}
