// Make a hook, or change one.
import { html, useEffect, useRef, useState } from "../../html.js";
import { saveHook } from "../../state/hooks.js";
import { cameras } from "../../state/lists.js";
import { ALERT_KINDS, CONTACTS, HOOK_KINDS } from "../../text/alert_words.js";
import { Field } from "../common/field.js";
import { HookOptions, optionsOf, textsOf } from "./hook_options.js";
import { QuietHours } from "./quiet_hours.js";

const EMPTY = { name: "", kind: "webhook", events: [], cameras: [], watches: [], quietHours: [], hold: false, cooldownS: 0, groupS: 0, escalateAfterS: null, escalates: 0 };

export function HookForm({ hook, onDone }) {
  const [draft, setDraft] = useState(() => (hook ? { ...hook } : EMPTY));
  const [texts, setTexts] = useState(() => textsOf(draft.kind, hook?.options));
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const first = useRef(null);
  useEffect(() => first.current.focus(), []);
  const set = (changes) => setDraft((now) => ({ ...now, ...changes }));
  const errorOf = (name) => problem?.fields[name];

  async function submit(event) {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      const options = optionsOf(draft.kind, texts, hook?.options ?? {});
      await saveHook(hook, { ...draft, options, name: draft.name || HOOK_KINDS.find(([kind]) => kind === draft.kind)?.[1] || draft.kind });
      onDone();
    } catch (error) {
      setProblem(error.fields ? error : { message: error.message, fields: {} });
      setBusy(false);
    }
  }

  return html`
    <form class="card camera-form hook-form" onSubmit=${submit} aria-labelledby="hook-title">
      <h2 id="hook-title">${hook ? `Change ${hook.name}` : "Add a place for alerts"}</h2>
      ${!hook && html`<${Kinds} kind=${draft.kind} onChange=${(kind) => { set({ kind }); setTexts(textsOf(kind)); }} />`}
      <${Field} id="hook-name" label="Name" error=${errorOf("name")}>
        <input id="hook-name" ref=${first} maxlength="80" autocomplete="off" placeholder="Kitchen tablet" value=${draft.name} onInput=${(e) => set({ name: e.target.value })} />
      <//>
      <${HookOptions} kind=${draft.kind} texts=${texts} stored=${Boolean(hook)} errorOf=${errorOf} onChange=${(name, value) => setTexts((now) => ({ ...now, [name]: value }))} />
      <${Several} legend="What it is told of" all="All alerts" options=${ALERT_KINDS} chosen=${draft.events} onChange=${(events) => set({ events })} />
      <${Several} legend="Cameras" all="All cameras" options=${namesOf(cameras.value ?? [], draft.cameras)} chosen=${draft.cameras} onChange=${(chosen) => set({ cameras: chosen })} />
      <${Several} legend="Watches" all="All watches" options=${namesOf((cameras.value ?? []).flatMap((camera) => camera.watches ?? []), draft.watches)} chosen=${draft.watches} onChange=${(watches) => set({ watches })} />
      <div class="form-row">
        <${Field} id="hook-contact" label="It is told" error=${errorOf("escalates")}>
          <select id="hook-contact" value=${String(draft.escalates)} onChange=${(e) => set({ escalates: Number(e.target.value) })}>
            ${CONTACTS.map(([value, words]) => html`<option key=${value} value=${String(value)}>${words}</option>`)}
          </select>
        <//>
        ${draft.escalates > 0 && html`<${Span} id="hook-after" label="After how many minutes" unit=${60} empty="The server's choice" value=${draft.escalateAfterS} error=${errorOf("escalate_after_s")} onChange=${(escalateAfterS) => set({ escalateAfterS })} />`}
        <${Span} id="hook-cooldown" label="Pause between repeats, in seconds" unit=${1} empty="0" value=${draft.cooldownS || null} error=${errorOf("cooldown_s")} onChange=${(value) => set({ cooldownS: value ?? 0 })} />
        <${Span} id="hook-group" label="Join repeats for, in seconds" hint="The first is told at once, what followed when the time is over." unit=${1} empty="0" value=${draft.groupS || null} error=${errorOf("group_s")} onChange=${(value) => set({ groupS: value ?? 0 })} />
      </div>
      <${QuietHours} hours=${draft.quietHours} hold=${draft.hold} error=${errorOf("quiet_hours")} onChange=${set} />
      ${problem && html`<p class="note bad" role="alert">${problem.message}</p>`}
      <div class="actions">
        <button type="button" onClick=${onDone}>Cancel</button>
        <button class="primary" disabled=${busy}>${hook ? "Save" : "Add it"}</button>
      </div>
    </form>
  `;
}

const Kinds = ({ kind, onChange }) => html`
  <fieldset class="hook-kinds">
    <legend>Where to</legend>
    ${HOOK_KINDS.map(([value, words, about]) => html`<label key=${value} class="hook-kind"><input type="radio" name="hook-kind" checked=${kind === value} onChange=${() => onChange(value)} /><span><strong>${words}</strong><span class="hint">${about}</span></span></label>`)}
  </fieldset>
`;

/** None chosen means all. */
function Several({ legend, all, options, chosen, onChange }) {
  if (!options.length) return null;
  const toggle = (value, on) => onChange(on ? [...chosen, value] : chosen.filter((one) => one !== value));
  return html`
    <fieldset class="kinds several">
      <legend>${legend} <span class="muted">${chosen.length ? "" : all}</span></legend>
      ${options.map(([value, words]) => html`<label key=${value} class="kind-choice"><input type="checkbox" checked=${chosen.includes(value)} onChange=${(e) => toggle(value, e.target.checked)} />${words}</label>`)}
    </fieldset>
  `;
}

/** A span of time in a unit that people count in; empty is null. */
function Span({ id, label, hint, unit, empty, value, error, onChange }) {
  return html`
    <${Field} id=${id} label=${label} hint=${hint} error=${error}>
      <input id=${id} type="number" min="0" step="any" placeholder=${empty} value=${value === null ? "" : value / unit} onInput=${(e) => onChange(e.target.value === "" ? null : Number(e.target.value) * unit)} />
    <//>
  `;
}

/** What is chosen stays in the list, also when it is gone. */
function namesOf(list, chosen) {
  const known = list.map(({ id, name }) => [id, name]);
  return [...known, ...chosen.filter((id) => !known.some(([one]) => one === id)).map((id) => [id, "one that is gone"])];
}
