// A field of a form for one setting of a session, as the server describes it.
import { html } from "../../html.js";
import { defaultWords, valueWords } from "../../text/words.js";
import { Field } from "../common/field.js";

const PLAIN = ["choice", "number", "integer", "boolean", "string"];

/** Those that a form can show without a view of their own. */
export const plainSettings = (settings) => settings.filter((one) => PLAIN.includes(one.type));

/** What stands in the field for a value; null is empty. */
export const toText = (value) => (value === null || value === undefined ? "" : String(value));

/** The value that a field's text stands for; empty is null, the server's default. */
export function toValue(setting, text) {
  const written = text.trim();
  if (!written) return null;
  if (setting.type === "choice") return setting.choices.find((one) => String(one.value) === written)?.value ?? null;
  if (setting.type === "boolean") return written === "true";
  return setting.type === "string" ? written : Number(written);
}

export function SettingField({ setting, text, error, onChange }) {
  const chosen = setting.choices?.find((one) => String(one.value) === text);
  return html`
    <${Field} id=${setting.name} label=${setting.title} error=${error} hint=${chosen?.description || setting.description}>
      <${Control} setting=${setting} text=${text} onChange=${onChange} />
    <//>
  `;
}

function Control({ setting, text, onChange }) {
  const { name, type, minimum, maximum } = setting;
  const choices = type === "boolean" ? [true, false].map((value) => ({ value, title: valueWords(setting, value) })) : setting.choices;
  if (choices) {
    return html`
      <select id=${name} value=${text} onChange=${(e) => onChange(e.target.value)}>
        <option value="">${defaultWords(setting)}</option>
        ${choices.map((one) => html`<option key=${String(one.value)} value=${String(one.value)}>${one.title}</option>`)}
      </select>
    `;
  }
  if (type === "string") {
    return html`<input id=${name} autocomplete="off" placeholder=${defaultWords(setting)} value=${text} onInput=${(e) => onChange(e.target.value)} />`;
  }
  return html`<input id=${name} type="number" min=${minimum} max=${maximum} step=${type === "integer" ? 1 : "any"}
    placeholder=${defaultWords(setting)} value=${text} onInput=${(e) => onChange(e.target.value)} />`;
}
