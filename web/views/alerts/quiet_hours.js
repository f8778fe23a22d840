// Hours in which a hook is told nothing.
import { html } from "../../html.js";
import { zone } from "../../state/lists.js";
import { DAYS } from "../../text/alert_words.js";
import { CrossIcon, PlusIcon } from "../common/icons.js";

const NIGHT = { from: "22:00", to: "07:00", days: [] };

/** `onChange` gets what is different: {quietHours} or {hold}. */
export function QuietHours({ hours, hold, error, onChange }) {
  const change = (at, changes) => onChange({ quietHours: hours.map((one, n) => (n === at ? { ...one, ...changes } : one)) });
  const toggle = (at, day, on) => change(at, { days: DAYS.map(([name]) => name).filter((name) => (name === day ? on : hours[at].days.includes(name))) });
  return html`
    <fieldset class="quiet-hours">
      <legend>Quiet hours <span class="muted">${hours.length ? (zone.value ? `in ${zone.value.replaceAll("_", " ")}` : "") : "None"}</span></legend>
      ${hours.map(
        (one, n) => html`<div key=${n} class="quiet-span">
          <input type="time" aria-label="From" required value=${one.from} onInput=${(e) => change(n, { from: e.target.value })} />
          <span>to</span>
          <input type="time" aria-label="To" required value=${one.to} onInput=${(e) => change(n, { to: e.target.value })} />
          <span class="quiet-days">${DAYS.map(([day, words]) => html`<label key=${day} class="kind-choice"><input type="checkbox" checked=${one.days.includes(day)} onChange=${(e) => toggle(n, day, e.target.checked)} />${words}</label>`)}</span>
          <button type="button" class="icon-button" aria-label="Remove these hours" onClick=${() => onChange({ quietHours: hours.filter((_, at) => at !== n) })}><${CrossIcon} /></button>
        </div>`,
      )}
      ${hours.length > 0 && html`<p class="hint">No day chosen: every day. Days are those on which the hours begin.</p><label class="check-line"><input type="checkbox" checked=${hold} onChange=${(e) => onChange({ hold: e.target.checked })} /> Send what happened in them when they are over</label>`}
      ${error && html`<p class="field-error">${error}</p>`}
      <button type="button" class="small" onClick=${() => onChange({ quietHours: [...hours, NIGHT] })}><${PlusIcon} />Add quiet hours</button>
    </fieldset>
  `;
}
