// Standing instructions as chips: add, choose what they fire at, pause, remove.
import { html, useEffect, useState } from "../../html.js";
import { del, patch, post, sessionPath } from "../../net/api.js";
import { may } from "../../net/auth.js";
import { attempt } from "../../state/messages.js";
import { stream } from "../../state/session.js";
import { useDraft } from "../common/draft.js";
import { BellIcon, CrossIcon, PauseIcon, PlayIcon, PlusIcon } from "../common/icons.js";
import { firesAtKinds, KindChoice, kindWords } from "../common/kinds.js";

export function Watches({ session }) {
  const watches = session?.watches ?? [];
  const byKinds = firesAtKinds(session?.capabilities);
  const notes = byKinds ? [KINDS_NOTE(session.engine)] : [...new Set(watches.map((w) => w.note).filter(Boolean))];
  return html`
    <section class="watches" aria-labelledby="watches-title">
      <h2 id="watches-title">Watches</h2>
      ${watches.length > 0 &&
      html`<ul class="watch-list">${watches.map((watch) => html`<${Watch} key=${watch.id} watch=${watch} byKinds=${byKinds} />`)}</ul>`}
      ${may("POST /v1/sessions/{session_id}/watches") ? html`<${AddWatch} session=${session} first=${watches.length === 0} />` : watches.length === 0 && html`<p class="hint">Nothing is watched for here.</p>`}
      ${watches.length > 0 && notes.map((note) => html`<p key=${note} class="hint">${note}</p>`)}
    </section>
  `;
}

const KINDS_NOTE = (engine) => `The engine ${engine} does not read words: a watch fires at the kinds chosen on it. Its words only suggest them.`;

function Watch({ watch, byKinds }) {
  const [open, setOpen] = useState(false);
  const path = sessionPath(watch.session_id, `/watches/${encodeURIComponent(watch.id)}`);
  const verb = watch.paused ? "Resume" : "Pause";
  const changes = may("PATCH /v1/sessions/{session_id}/watches/{watch_id}");
  return html`
    <li class="watch ${watch.paused ? "paused" : ""}">
      <div class="watch-line">
        <${BellIcon} />
        <span class="watch-text" title=${watch.text}>${watch.text}</span>
        ${watch.zones.map((zone) => html`<span key=${zone} class="chip zone">${zone}</span>`)}
        ${watch.query_id && html`<span class="chip origin" title="Made from what you said in the transcript">from your words</span>`}
        ${watch.paused && html`<span class="chip">paused</span>`}
        ${changes && html`<button type="button" class="icon-button" aria-label=${`${verb}: ${watch.text}`} title=${verb} onClick=${() => attempt(() => patch(path, { paused: !watch.paused }))}>
          ${watch.paused ? html`<${PlayIcon} />` : html`<${PauseIcon} />`}
        </button>`}
        ${may("DELETE /v1/sessions/{session_id}/watches/{watch_id}") && html`<button type="button" class="icon-button" aria-label=${`Remove: ${watch.text}`} title="Remove" onClick=${() => attempt(() => del(path))}><${CrossIcon} /></button>`}
      </div>
      ${byKinds && !changes && html`<p class="hint watch-kinds">Fires at: ${kindWords(watch.kinds)}</p>`}
      ${byKinds && changes &&
      html`<button type="button" class="kinds-button" aria-expanded=${open} aria-controls=${`kinds-${watch.id}`} aria-label=${`Fires at: ${kindWords(watch.kinds)}. Change for: ${watch.text}`} onClick=${() => setOpen(!open)}>
        ${kindWords(watch.kinds)}
      </button>`}
      ${byKinds && changes && open && html`<${Kinds} watch=${watch} path=${path} />`}
    </li>
  `;
}

// Each choice is sent at once. What was clicked is shown until the server's word comes, so that quick clicks add up.
function Kinds({ watch, path }) {
  const [chosen, setChosen] = useState(watch.kinds);
  useEffect(() => setChosen(watch.kinds), [watch.kinds.join()]);

  async function choose(kinds) {
    setChosen(kinds);
    if (!(await attempt(() => patch(path, { kinds })))) setChosen(watch.kinds);
  }

  return html`<${KindChoice} id=${`kinds-${watch.id}`} legend=${`What “${watch.text}” fires at`} chosen=${chosen} onChange=${choose} />`;
}

function AddWatch({ session, first }) {
  const [zone, setZone] = useState("");
  const { text, setText, submit } = useDraft((text) => post(sessionPath(session.id, "/watches"), { text, ...(zone && { zones: [zone] }) }));
  const zones = session?.zones ?? [];
  const off = !session || stream.value.state === "gone";

  return html`
    <form class="add-watch" onSubmit=${submit}>
      <label class="visually-hidden" for="new-watch">New watch</label>
      <input id="new-watch" type="text" maxlength="2000" autocomplete="off" disabled=${off} value=${text}
        placeholder=${first ? "Tell me when somebody comes in" : "Add a watch"} onInput=${(e) => setText(e.target.value)} />
      ${zones.length > 0 &&
      html`<select aria-label="Where" value=${zone} onChange=${(e) => setZone(e.target.value)}>
        <option value="">Everywhere</option>
        ${zones.map((z) => html`<option key=${z.name} value=${z.name}>${z.name}</option>`)}
      </select>`}
      <button disabled=${off || !text.trim()}><${PlusIcon} />Add</button>
    </form>
  `;
}
