// Access: what this browser may do; for admins the keys of the server, and who is signed in.
import { html, useEffect } from "../../html.js";
import { may, me } from "../../net/auth.js";
import { refreshCameras, zone } from "../../state/lists.js";
import { dayAndTime } from "../../text/format.js";
import { roleAbout, roleName } from "../../text/role_words.js";
import { useTitle } from "../common/title.js";
import { Browsers } from "./browsers.js";
import { Keys } from "./keys.js";
import { namesOf } from "./names.js";

export function AccessPage() {
  useTitle("Access");
  useEffect(() => {
    refreshCameras();
  }, []);
  return html`
    <div class="page access" data-zone=${zone.value}>
      <div class="section-head"><h1>Access</h1></div>
      <${Yours} who=${me.value} />
      ${may("GET /v1/keys") && html`<${Keys} />`}
      ${may("GET /v1/logins") && html`<${Browsers} />`}
    </div>
  `;
}

/** Who this browser is, in words. */
function Yours({ who }) {
  if (!who) return html`<p class="muted">Asking the server who you are…</p>`;
  if (!who.auth) return html`<section class="card access-yours"><h2>Nobody is asked for a key</h2><p class="muted">Whoever opens this page may do everything. The server asks for keys as soon as others can reach it.</p></section>`;
  return html`
    <section class="card access-yours" aria-labelledby="yours-title">
      <h2 id="yours-title">This browser</h2>
      <p>Signed in as <strong dir="auto">${who.name}</strong>, role <strong>${roleName(who.role)}</strong>. <span class="muted">${roleAbout(who.role)}</span></p>
      ${who.cameras.length > 0 && html`<p>Cameras: ${namesOf(who.cameras)}. <span class="muted">You see nothing of others.</span></p>`}
      <p class="muted">${who.expires_at ? `The key ends: ${dayAndTime(Date.parse(who.expires_at) / 1000)}.` : "The key has no end."}</p>
    </section>
  `;
}
