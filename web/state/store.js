// The page's one store. Updates and polls write it; views read its signals.
import { batch, signal } from "../html.js";
import { get, list, sessionPath } from "../net/api.js";
import { follow } from "../net/updates.js";
import { withEvents } from "./timeline.js";
import { emptyView, grow, inherit, withHistory } from "./view.js";

/** Cameras and running sessions; null until first read. */
export const cameras = signal(null);
export const sessions = signal(null);
/** A sentence while a list cannot be had although the server answers, else null. */
export const listError = signal(null);
export const engines = signal([]);
/** The settings that a camera or session may have of its own, as the server describes them. */
export const sessionSettings = signal([]);

/**
 * The open session, and the state of its stream: connecting, live, away or gone. `since` is when something came last, in
 * milliseconds, while it is away: what is shown is as old as that.
 */
export const view = signal(emptyView(""));
export const stream = signal({ state: "connecting", why: "", code: "", since: null });
/** Server clock minus ours in seconds, so that marks stand where they belong on a machine with a wrong clock. */
export const clockOffset = signal(0);

/** A short message about something that just failed. */
export const toast = signal(null);

/** The threshold while its slider is being moved, else null: the strip shows what it would mean. */
export const tryingThreshold = signal(null);

const RETURN_MS = 2000;
const EVENTS = 300;
const POLL_TIMEOUT_MS = 5000;
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

export function closeSession() {
  stopFollowing();
  view.value = emptyView("");
}

function listen(sessionId) {
  following = follow(sessionId, {
    onUpdate: (update) => take(sessionId, update),
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
  if (update.type === "session.created") fetchHistory(sessionId);
}

/** What happened before: the strip's ticks, and the transcript's events, which reach further back. */
async function fetchHistory(sessionId) {
  const { log } = view.value;
  try {
    const about = `session_id=${encodeURIComponent(sessionId)}&limit=${EVENTS}`;
    const [ticks, events] = await Promise.all([get(sessionPath(sessionId, "/ticks?limit=600")), get(`/v1/events?${about}`)]);
    if (view.value.id === sessionId) view.value = withHistory(withEvents(view.value, events.data), ticks.data);
  } catch (error) {
    if (error.status !== 0) return report(error);
    setTimeout(() => view.value.id === sessionId && view.value.log === log && fetchHistory(sessionId), RETURN_MS);
  }
}

/** The server's time now, in Unix seconds. */
export const serverNow = () => Date.now() / 1000 + (Number.isFinite(clockOffset.value) ? clockOffset.value : 0);

export async function refreshCameras() {
  await refresh(cameras, "/v1/cameras");
}

export async function refreshSessions() {
  await refresh(sessions, "/v1/sessions");
}

export async function refreshEngines() {
  await refresh(engines, "/v1/engines");
}

export async function refreshSessionSettings() {
  await refresh(sessionSettings, "/v1/session-settings");
}

/** The values that a setting may have: [{value, title, description}]; empty until they are known. */
export const choicesOf = (name) => sessionSettings.value.find((one) => one.name === name)?.choices ?? [];

async function refresh(target, path) {
  try {
    const data = await list(path, { ms: POLL_TIMEOUT_MS });
    batch(() => {
      target.value = data;
      listError.value = null;
    });
  } catch (error) {
    // That nobody answers is told by `lost`.
    listError.value = error.status === 0 ? null : error.message;
  }
}

let toastTimer = null;

/** Tell the reader what failed; it leaves by itself. A 401 is told by the sign-in instead. */
export function report(error) {
  if (error.status === 401 || error.name === "AbortError") return;
  clearTimeout(toastTimer);
  toast.value = { text: error.message };
  toastTimer = setTimeout(() => (toast.value = null), 7000);
}

/** Run what a button asked for and report its failure. Returns whether it went well. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    report(error);
    return false;
  }
}
