// The open session: its updates grow `view`, which views read.
import { batch, signal } from "../html.js";
import { get, sessionPath } from "../net/api.js";
import { shownSignal } from "../net/auth.js";
import { follow } from "../net/updates.js";
import { noteAsking } from "./asking.js";
import { listError, refreshSessions, sessions } from "./lists.js";
import { report } from "./messages.js";
import { withEvents } from "./timeline.js";
import { emptyView, grow, inherit, tasksOf, withHistory, withTasks } from "./view.js";

/**
 * The open session, and the state of its stream: connecting, live, away or gone. `since` is when something came last, in
 * milliseconds, while it is away: what is shown is as old as that.
 */
export const view = shownSignal(emptyView(""));
export const stream = signal({ state: "connecting", why: "", code: "", since: null });
/** Server clock minus ours in seconds, so that marks stand where they belong on a machine with a wrong clock. */
export const clockOffset = signal(0);

/** The threshold while its slider is being moved, else null: the strip shows what it would mean. */
export const tryingThreshold = signal(null);

/**
 * Who makes sound of the open session: `query` is asked for with its updates (see docs/reference/updates.md, Sound), and gets
 * every update and every piece of sound.
 */
const listener = { query: () => ({}), onUpdate: () => {}, onSound: () => {} };

const RETURN_MS = 2000;
const EVENTS = 300;
const TASKS = 50;
/** A camera that was changed is there again at once. */
const CHANGED_MS = 300;
let following = null;
let returning = null;
let lastLive = 0;

/** Show this session: its updates grow `view` until another one is opened or `closeSession`. */
export function open(sessionId, { keepTranscript = false } = {}) {
  if (view.value.id === sessionId && following) return;
  stopFollowing();
  const earlier = view.value;
  const first = emptyView(sessionId);
  batch(() => {
    view.value = keepTranscript ? inherit(first, earlier) : first;
    stream.value = { state: "connecting", why: "", code: "", since: null };
    clockOffset.value = -Infinity;
  });
  listen(sessionId);
}

/** There is one such listener: the page's voice. */
export const letHear = (handlers) => Object.assign(listener, handlers);

/** What the listener asks for has changed. */
export const askAgain = () => following?.again();

export function closeSession() {
  stopFollowing();
  view.value = emptyView("");
}

function listen(sessionId) {
  following = follow(sessionId, {
    onUpdate: (update) => take(sessionId, update),
    onSound: (piece) => view.value.id === sessionId && listener.onSound(piece),
    query: () => listener.query(),
    onState: (state, why = "", code = "") => {
      if (view.value.id !== sessionId) return;
      const changed = state === "gone" && code === "camera_changed";
      const shown = changed ? "connecting" : state;
      if (shown === "live") {
        lastLive = Date.now();
        listError.value = null;
      }
      const since = shown === "away" && view.value.session ? lastLive : null;
      if (stream.value.state !== shown) stream.value = { state: shown, why, code, since };
      if (state === "gone") returning = setTimeout(() => awaitReturn(sessionId), changed ? CHANGED_MS : RETURN_MS);
    },
  });
}

/** A camera keeps its session's id: it is back after a restart of the server or a change of its settings. */
async function awaitReturn(sessionId) {
  if (view.value.session?.kind === "call" || view.value.id !== sessionId) return;
  await refreshSessions();
  if (view.value.id !== sessionId || !["gone", "connecting"].includes(stream.value.state)) return;
  if (sessions.value?.some((session) => session.id === sessionId)) return listen(sessionId);
  stream.value = { ...stream.value, state: "gone" };
  returning = setTimeout(() => awaitReturn(sessionId), RETURN_MS);
}

function stopFollowing() {
  following?.stop();
  following = null;
  clearTimeout(returning);
}

function take(sessionId, update) {
  if (view.value.id !== sessionId) return;
  batch(() => {
    // Updates sent again after a gap carry old times; the freshest one tells the offset best.
    clockOffset.value = Math.max(clockOffset.value, update.wall - Date.now() / 1000);
    view.value = grow(view.value, update);
  });
  if (update.type === "task.updated") noteAsking(update.task);
  listener.onUpdate(update, sessionId);
  if (update.type === "session.created") fetchHistory(sessionId);
}

/** What happened before: the strip's ticks, and the transcript's events, which reach further back; and its tasks. */
async function fetchHistory(sessionId) {
  const { log } = view.value;
  const then = tasksOf(view.value);
  try {
    const about = `session_id=${encodeURIComponent(sessionId)}&limit=${EVENTS}`;
    const [ticks, events, tasks] = await Promise.all([
      get(sessionPath(sessionId, "/ticks?limit=600")), get(`/v1/events?${about}`), fetchTasks(sessionId, view.value.session),
    ]);
    if (view.value.id !== sessionId) return;
    const since = events.data.length === EVENTS ? Math.min(...events.data.map((event) => event.wall)) : -Infinity;
    const told = withHistory(withEvents(view.value, events.data), ticks.data);
    view.value = withTasks(told, tasks, then, since);
  } catch (error) {
    if (error.status !== 0) return report(error);
    setTimeout(() => view.value.id === sessionId && view.value.log === log && fetchHistory(sessionId), RETURN_MS);
  }
}

/** Those of the session, and those about its camera that somebody asked elsewhere. */
async function fetchTasks(sessionId, session) {
  const of = (name, id) => get(`/v1/tasks?${name}=${encodeURIComponent(id)}&limit=${TASKS}`);
  const lists = await Promise.all([of("session_id", sessionId), ...(session?.camera_id ? [of("camera_id", session.camera_id)] : [])]);
  return lists.flatMap((list) => list.data);
}

/** The server's time now, in Unix seconds. */
export const serverNow = () => Date.now() / 1000 + (Number.isFinite(clockOffset.value) ? clockOffset.value : 0);
