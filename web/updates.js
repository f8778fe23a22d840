// One session's updates over a WebSocket that comes back by itself and misses nothing.
import { socketProtocols } from "./auth.js";
import { ApiError, get, sessionPath } from "./api.js";

const LADDER_MS = [300, 700, 1500, 3000, 5000];
const SILENT_S = 15;

/**
 * Follow a session until `stop()`.
 * @param {string} sessionId
 * @param {{onUpdate: (update: object) => void, onState: (state: "connecting"|"live"|"away"|"gone", why?: string, code?: string) => void,
 *   tickSeconds?: () => number}} handlers
 * @returns {{stop: () => void}}
 */
export function follow(sessionId, { onUpdate, onState, tickSeconds = () => 1 }) {
  let lastId = null;
  let ended = false;
  let failures = 0;
  let socket = null;
  let retry = null;
  let silence = null;

  function connect() {
    clearTimeout(retry);
    const query = lastId ? `?after=${encodeURIComponent(lastId)}` : "";
    const url = new URL(sessionPath(sessionId, `/updates${query}`), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const mine = new WebSocket(url, socketProtocols());
    socket = mine;
    mine.onopen = () => listening();
    mine.onmessage = (event) => {
      if (mine === socket) take(JSON.parse(event.data));
    };
    mine.onclose = () => {
      if (mine === socket) lost();
    };
  }

  function take(update) {
    failures = 0;
    lastId = update.id;
    onUpdate(update);
    if (update.type === "session.ended") {
      ended = true;
      stop();
      onState("gone", update.reason, update.code);
    } else {
      listening();
    }
  }

  function listening() {
    onState("live");
    clearTimeout(silence);
    // A network that went away without a word leaves the socket open: silence for many ticks means lost.
    silence = setTimeout(() => socket?.close(), Math.max(SILENT_S, 3 * tickSeconds()) * 1000);
  }

  async function lost() {
    socket = null;
    clearTimeout(silence);
    if (ended) return;
    onState("away");
    const wait = LADDER_MS[Math.min(failures, LADDER_MS.length - 1)];
    failures += 1;
    if (failures > 1 && (await gone())) return;
    if (!ended) retry = setTimeout(connect, wait);
  }

  /** A refused WebSocket does not tell its status, so ask for the session: is it over? (A 401 opens the sign-in.) */
  async function gone() {
    try {
      await get(sessionPath(sessionId));
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

  function stop() {
    ended = true;
    clearTimeout(retry);
    clearTimeout(silence);
    removeEventListener("online", wake);
    const open = socket;
    socket = null;
    open?.close();
  }

  addEventListener("online", wake);
  onState("connecting");
  connect();
  return { stop };
}
