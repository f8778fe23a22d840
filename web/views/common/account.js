// Who is signed in, and the way out. Nothing where the server asks for no key.
import { html } from "../../html.js";
import { get, post } from "../../net/api.js";
import { me, signedOut, signIns } from "../../net/auth.js";
import { report } from "../../state/messages.js";
import { roleAbout, roleInShort } from "../../text/role_words.js";
import { DoorIcon } from "./icons.js";

/** Learn who this browser is. A refusal opens the sign-in; all else shows elsewhere. */
export async function askWho() {
  const then = signIns();
  try {
    const who = await get("/v1/me");
    if (then === signIns()) me.value = who;
  } catch {
    // The server's other answers say what is not for it.
  }
}

async function signOut() {
  try {
    await post("/v1/logout", {}, { login: true });
  } catch (error) {
    if (error.status !== 401) return report(error);
  }
  return signedOut();
}

/** `open`: is its page open? */
export function Account({ open }) {
  const who = me.value;
  if (!who?.auth) return null;
  return html`
    <div class="account" data-role=${who.role}>
      <a class="account-role" href="#/access" title=${`Signed in as ${who.name}. ${roleAbout(who.role)}`} aria-current=${open ? "page" : undefined}>${roleInShort(who)}</a>
      <button type="button" class="icon-button" aria-label="Sign out" title="Sign out" onClick=${signOut}><${DoorIcon} /></button>
    </div>
  `;
}
