// The browsers that are signed in, with a way to sign each out.
import { html, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { browsers, endBrowser, refreshBrowsers } from "../../state/access/browsers.js";
import { attempt } from "../../state/messages.js";
import { ago, dayAndTime } from "../../text/format.js";
import { roleName, SIGN_OUT_TEXT } from "../../text/role_words.js";
import { Confirm } from "../common/confirm.js";

const POLL_MS = 10_000;

export function Browsers() {
  usePoll(refreshBrowsers, POLL_MS);
  const { browsers: known, problem } = browsers.value;
  return html`
    <section class="access-browsers" aria-labelledby="browsers-title">
      <div class="section-head"><h2 id="browsers-title">Signed-in browsers</h2></div>
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
      ${known === null && !problem && html`<p class="muted">Reading the list…</p>`}
      ${known?.length === 0 && html`<p class="card nothing-here muted">No browser is signed in.</p>`}
      ${known?.length > 0 && html`<ul class="key-list card">${known.map((one) => html`<${Row} key=${one.id} browser=${one} />`)}</ul>`}
    </section>
  `;
}

function Row({ browser }) {
  const [asking, setAsking] = useState(false);
  const { name, role, address, createdAt, usedAt, isThis } = browser;
  const end = () => {
    setAsking(false);
    attempt(() => endBrowser(browser));
  };
  return html`
    <li class="key-row" data-browser=${browser.id}>
      <div class="key-body">
        <p class="key-name"><strong class="clip-text" dir="auto">${name}</strong><span class="chip">${roleName(role)}</span>${isThis && html`<span class="chip enter">This browser</span>`}</p>
        <p class="key-facts muted small-text">
          ${address && html`<span>From ${address}</span>`}
          ${createdAt !== null && html`<span>Signed in: ${dayAndTime(createdAt)}</span>`}
          ${usedAt !== null && html`<span>Last used ${ago(1000 * usedAt)} ago</span>`}
        </p>
      </div>
      ${!isThis && may("DELETE /v1/logins/{login_id}") && html`<button type="button" class="small quiet-danger" aria-label=${`Sign out ${name}`} onClick=${() => setAsking(true)}>Sign out</button>`}
      ${asking && html`<${Confirm} title=${`Sign out ${name}?`} text=${SIGN_OUT_TEXT} yes="Sign out" onYes=${end} onNo=${() => setAsking(false)} />`}
    </li>
  `;
}
