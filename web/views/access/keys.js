// The keys of the server: the list, a new one, the end of one.
import { html, useState } from "../../html.js";
import { may, me } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { keys, refreshKeys, removeKey } from "../../state/access/keys.js";
import { attempt } from "../../state/messages.js";
import { ago, dayAndTime } from "../../text/format.js";
import { removeKeyWords, roleName } from "../../text/role_words.js";
import { Confirm } from "../common/confirm.js";
import { PlusIcon } from "../common/icons.js";
import { KeyForm } from "./key_form.js";
import { namesOf } from "./names.js";
import { NewKey } from "./new_key.js";

const POLL_MS = 10_000;

export function Keys() {
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState(null);
  usePoll(refreshKeys, POLL_MS);
  const { keys: known, problem } = keys.value;
  const onMade = (key) => {
    setAdding(false);
    setMade(key);
  };
  return html`
    <section class="access-keys" aria-labelledby="keys-title">
      <div class="section-head">
        <h2 id="keys-title">Keys</h2>
        ${may("POST /v1/keys") && !adding && html`<button type="button" class="primary" onClick=${() => { setAdding(true); setMade(null); }}><${PlusIcon} />Make a key</button>`}
      </div>
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
      ${made && html`<${NewKey} made=${made} onDone=${() => setMade(null)} />`}
      ${adding && html`<${KeyForm} onMade=${onMade} onCancel=${() => setAdding(false)} />`}
      ${known === null && !problem && html`<p class="muted">Reading the list…</p>`}
      ${known?.length === 0 && !adding && html`<p class="card nothing-here muted">There is no key yet. Make one for each person and each device: then each can be ended alone.</p>`}
      ${known?.length > 0 && html`<ul class="key-list card">${known.map((key) => html`<${KeyRow} key=${key.id} of=${key} />`)}</ul>`}
    </section>
  `;
}

function KeyRow({ of: key }) {
  const [asking, setAsking] = useState(false);
  const remove = () => {
    setAsking(false);
    attempt(() => removeKey(key));
  };
  return html`
    <li class="key-row ${key.over ? "over" : ""}" data-key=${key.id}>
      <div class="key-body">
        <p class="key-name"><strong class="clip-text" dir="auto">${key.name}</strong><span class="chip">${roleName(key.role)}</span>${key.over && html`<span class="chip failed">Over</span>`}</p>
        <p class="key-facts muted small-text">
          ${key.cameras.length > 0 && html`<span>Only ${namesOf(key.cameras)}</span>`}
          <span>${key.expiresAt === null ? "Never ends" : `${key.over ? "Ended" : "Ends"}: ${dayAndTime(key.expiresAt)}`}</span>
          <span>${key.usedAt === null ? "Never used" : `Last used ${ago(1000 * key.usedAt)} ago`}</span>
        </p>
      </div>
      ${may("DELETE /v1/keys/{key_id}") && html`<button type="button" class="small quiet-danger" aria-label=${`Remove ${key.name}`} onClick=${() => setAsking(true)}>Remove</button>`}
      ${asking && html`<${Confirm} title=${`Remove ${key.name}?`} text=${removeKeyWords(me.value?.name === key.name)} yes="Remove" onYes=${remove} onNo=${() => setAsking(false)} />`}
    </li>
  `;
}
