// Who is signed in, and the way out. Nothing where the server asks for no key.
import { html } from "../../html.js";
import { get, post } from "../../net/api.js";
import { me, refused, signIns } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { attempt } from "../../state/messages.js";
import { DoorIcon } from "./icons.js";

const ASK_MS = 600_000;

async function ask() {
  const then = signIns();
  try {
    const who = await get("/v1/me");
    if (then === signIns()) me.value = who;
  } catch {
    // A refusal opens the sign-in; all else shows elsewhere.
  }
}

export function Account() {
  usePoll(ask, ASK_MS);
  const who = me.value;
  if (!who?.auth) return null;
  const out = () =>
    attempt(async () => {
      await post("/v1/logout");
      refused(signIns());
    });
  return html`
    <div class="account" data-role=${who.role}>
      <span class="muted small-text" title=${`Signed in with ${who.name}`}>${who.role}</span>
      <button type="button" class="icon-button" aria-label="Sign out" title="Sign out" onClick=${out}><${DoorIcon} /></button>
    </div>
  `;
}
