// Who this browser is to the server, and what it may do. It signs in once; from then on a cookie that no script sees goes with
// everything.
import { batch, signal } from "../html.js";

const LOGIN = /^#\/login\?code=([\w-]+)$/;

/** True after a 401: the sign-in stands in front of the page. */
export const needsKey = signal(false);

/** Why somebody who was signed in is not any more: "over" (the key's time), "gone"; "" where that was wanted, or never so. */
export const ended = signal("");

/**
 * `{auth, name, role, cameras, expires_at, may}`; null until the server has said it. `auth` false: nobody has to sign in. `may`:
 * the routes that are for this browser.
 */
export const me = signal(null);

/** The code of a one-time link by which the page was opened; "" without one. */
export const loginCode = signal(takeCode());
addEventListener("hashchange", () => {
  const code = takeCode();
  if (code) loginCode.value = code;
});

/**
 * Is a route for this browser? What is not is not shown. While nobody can say, the server's answer decides.
 * @param {string} route  as the server's reference names it: "DELETE /v1/events/{event_id}"
 */
export const may = (route) => me.value?.may?.includes(route) ?? true;

/** Is its key for certain cameras? */
export const isBound = () => (me.value?.cameras?.length ?? 0) > 0;

const firsts = [];

/** A signal of what a reader was shown: it falls back to `first` when they are out, or another one is in, so the next one sees nothing of it. */
export function shownSignal(first) {
  const made = signal(first);
  firsts.push(() => (made.value = first));
  return made;
}

let times = 0;

/** Counts who comes and goes: an answer is only news to whoever was there when its request went out. */
export const signIns = () => times;

export function signedIn(who) {
  times += 1;
  batch(() => {
    for (const fallBack of firsts) fallBack(); // a one-time link may be opened where somebody is signed in
    me.value = who;
    ended.value = loginCode.value = "";
    needsKey.value = false;
  });
}

/** The server refused a request that went out after `signIns()` was `then`. */
export function refused(then) {
  if (then !== times) return;
  const before = me.value;
  if (before?.auth) leave(Date.parse(before.expires_at) <= Date.now() ? "over" : "gone");
  else if (!needsKey.value) leave("");
}

/** They wanted it. */
export const signedOut = () => leave("");

function leave(why) {
  times += 1;
  batch(() => {
    me.value = null;
    ended.value = why;
    needsKey.value = true;
    for (const fallBack of firsts) fallBack();
  });
}

/** The code leaves the address at once: it must not stay in the history, or be shared with it. */
function takeCode() {
  const code = LOGIN.exec(location.hash)?.[1] ?? "";
  if (code) history.replaceState(null, "", "#/live");
  return code;
}
