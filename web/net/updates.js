// One session's updates over a WebSocket that comes back by itself and misses nothing.
import { ApiError, get, sessionPath } from "./api.js";
import { heard, missed, onReturn } from "./contact.js";

const PROTOCOL = "joyvl.v1";
const PAUSES_MS = [300, 700, 1500, 3000];
/** The server gives a sign of life after two seconds of silence. */
const SILENT_MS = 5000;

/**
 * Follow a session until `stop()`. `again()` connects once more, for another `query`, and no update is missing.
 * @param {string} sessionId
 * @param {{onUpdate: (update: object) => void, onSound?: (piece: object) => void, query?: () => Record<string, string>,
 *   onState: (state: "connecting"|"live"|"away"|"gone", why?: string, code?: string) => void}} handlers
 *   `onSound`: what comes once and cannot be asked for again; `query`: what else is asked for at every connection;
 *   "away": nothing comes any more, what is known is old
 * @returns {{stop: () => void, again: () => void}}
 */
export function follow(sessionId, { onUpdate, onState, onSound = () => {}, query = () => ({}) }) {
  let lastId = null;
  let ended = false;
  let failures = 0;
  let socket = null;
  let retry = null;
  let silence = null;

  function connect() {
    clearTimeout(retry);
    const asked = new URLSearchParams({ ...(lastId && { after: lastId }), ...query() });
    const url = new URL(sessionPath(sessionId, `/updates${asked.size ? `?${asked}` : ""}`), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const mine = new WebSocket(url, PROTOCOL);
    socket = mine;
    mine.onopen = () => mine === socket && listening();
    mine.onmessage = (event) => mine === socket && take(JSON.parse(event.data));
    mine.onclose = () => mine === socket && lost();
    expect();
  }

  function take(update) {
    failures = 0;
    if (update.id === undefined) {
      onSound(update);
      return listening();
    }
    lastId = update.id;
    if (update.type !== "heartbeat") onUpdate(update);
    if (update.type === "session.ended") {
      stop();
      onState("gone", update.reason, update.code);
    } else {
      listening();
    }
  }

  function listening() {
    heard();
    onState("live");
    expect();
  }

  /** A network that went away without a word leaves the socket open, and even its close() would wait for an answer. */
  function expect() {
    clearTimeout(silence);
    const began = Date.now();
    silence = setTimeout(() => {
      missed(began);
      lost();
    }, SILENT_MS);
  }

  async function lost() {
    letGo();
    if (ended) return;
    onState("away");
    const wait = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)];
    failures += 1;
    if (failures > 1 && (await gone())) return;
    if (ended || socket !== null) return;
    clearTimeout(retry); // another loss may have come while the server was asked
    retry = setTimeout(connect, wait);
  }

  function letGo() {
    clearTimeout(retry);
    clearTimeout(silence);
    const open = socket;
    socket = null;
    open?.close();
  }

  /** A refused WebSocket does not tell its status, so ask for the session: is it over? (A 401 opens the sign-in.) */
  async function gone() {
    try {
      await get(sessionPath(sessionId), { ms: SILENT_MS });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404 && !ended) {
        stop();
        onState("gone", error.message);
        return true;
      }
    }
    return false;
  }

  function wake() {
    if (socket === null && !ended) {
      failures = 0;
      connect();
    }
  }

  function again() {
    if (ended || socket === null) return; // what is away comes back by itself
    letGo();
    connect();
  }

  const forget = onReturn(wake);

  function stop() {
    ended = true;
    letGo();
    forget();
    removeEventListener("online", wake);
  }

  addEventListener("online", wake);
  onState("connecting");
  connect();
  return { stop, again };
}
