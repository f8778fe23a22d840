// Who this browser is to the server. It signs in once; from then on a cookie that no script sees goes with everything.
import { signal } from "../html.js";

const LOGIN = /^#\/login\?code=([\w-]+)$/;

/** True after a 401: the sign-in stands in front of the page. */
export const needsKey = signal(false);

/** `{auth, name, role, cameras, expires_at}`; null until the server has said it. `auth` false: nobody has to sign in. */
export const me = signal(null);

/** The code of a one-time link by which the page was opened; "" without one. */
export const loginCode = signal(takeCode());
addEventListener("hashchange", () => {
  const code = takeCode();
  if (code) loginCode.value = code;
});

let times = 0;

/** How often this page was signed in; a refusal is only news of the time at which its request went out. */
export const signIns = () => times;

export function signedIn(who) {
  times += 1;
  me.value = who;
  loginCode.value = "";
  needsKey.value = false;
}

/** The server refused a request that went out after `signIns()` was `then`. */
export function refused(then) {
  if (then !== times) return;
  me.value = null;
  needsKey.value = true;
}

/** The code leaves the address at once: it must not stay in the history, or be shared with it. */
function takeCode() {
  const code = LOGIN.exec(location.hash)?.[1] ?? "";
  if (code) history.replaceState(null, "", "#/live");
  return code;
}
