// Make a key: whose, what it may do, for which cameras, until when.
import { html, useEffect, useRef, useState } from "../../html.js";
import { makeKey } from "../../state/access/keys.js";
import { cameras } from "../../state/lists.js";
import { KEY_ENDS, ROLE_CHOICES } from "../../text/role_words.js";
import { Field } from "../common/field.js";

export function KeyForm({ onMade, onCancel }) {
  const [draft, setDraft] = useState({ name: "", role: "viewer", cameras: [], sender: "", days: "90" });
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const first = useRef(null);
  useEffect(() => first.current.focus(), []);
  const set = (changes) => setDraft((now) => ({ ...now, ...changes }));
  const sends = draft.role === "ingest";

  async function submit(event) {
    event.preventDefault();
    if (busy || !draft.name.trim()) return;
    setBusy(true);
    setProblem(null);
    try {
      const sender = draft.sender.trim();
      onMade(await makeKey({ ...draft, cameras: sends ? (sender ? [sender] : []) : draft.cameras, days: draft.days ? Number(draft.days) : null }));
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  }

  return html`
    <form class="card camera-form key-form" onSubmit=${submit} aria-labelledby="key-title">
      <h2 id="key-title">Make a key</h2>
      <${Field} id="key-name" label="Whose it is" error=${problem?.fields.name}>
        <input id="key-name" ref=${first} required maxlength="80" autocomplete="off" placeholder="Ann's phone" value=${draft.name} onInput=${(e) => set({ name: e.target.value })} />
      <//>
      <fieldset class="hook-kinds">
        <legend>What it may do</legend>
        ${ROLE_CHOICES.map(([role, name, about]) => html`<label key=${role} class="hook-kind"><input type="radio" name="key-role" value=${role} checked=${draft.role === role} onChange=${() => set({ role })} /><span><strong>${name}</strong><span class="hint">${about}</span></span></label>`)}
      </fieldset>
      ${sends
        ? html`<${Field} id="key-sender" label="The name under which it sends" optional=${true} error=${problem?.fields.cameras} hint="It can take no other. Empty: any name.">
            <input id="key-sender" maxlength="80" autocomplete="off" placeholder="nursery" value=${draft.sender} onInput=${(e) => set({ sender: e.target.value })} />
          <//>`
        : draft.role !== "admin" && html`<${Cameras} chosen=${draft.cameras} onChange=${(chosen) => set({ cameras: chosen })} />`}
      <${Field} id="key-days" label="It ends" error=${problem?.fields.expires_at}>
        <select id="key-days" value=${draft.days} onChange=${(e) => set({ days: e.target.value })}>${KEY_ENDS.map(([days, words]) => html`<option key=${days} value=${days}>${words}</option>`)}</select>
      <//>
      ${problem && html`<p class="note bad" role="alert">${problem.message}</p>`}
      <div class="actions">
        <button type="button" onClick=${onCancel}>Cancel</button>
        <button class="primary" disabled=${busy || !draft.name.trim()}>Make it</button>
      </div>
    </form>
  `;
}

/** None chosen means all. */
function Cameras({ chosen, onChange }) {
  const known = cameras.value ?? [];
  if (!known.length) return null;
  const toggle = (id, on) => onChange(on ? [...chosen, id] : chosen.filter((one) => one !== id));
  return html`
    <fieldset class="kinds several">
      <legend>Cameras <span class="muted">${chosen.length ? "" : "All cameras"}</span></legend>
      ${known.map(({ id, name }) => html`<label key=${id} class="kind-choice"><input type="checkbox" checked=${chosen.includes(id)} onChange=${(e) => toggle(id, e.target.checked)} />${name}</label>`)}
    </fieldset>
  `;
}
