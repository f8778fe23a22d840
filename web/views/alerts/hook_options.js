// The options of a hook as fields. A kind that is not known here has them as JSON.
import { html } from "../../html.js";
import { HOOK_FIELDS } from "../../text/alert_words.js";
import { Field } from "../common/field.js";

/** What the server shows in place of a secret that it keeps. */
const MASK = "***";
const JSON_FIELD = { name: "*", label: "Options", type: "json", hint: "As JSON, as the package that brings this kind describes them." };

const fieldsOf = (kind) => HOOK_FIELDS[kind] ?? [JSON_FIELD];

/** What stands in the fields: texts, and booleans of checkboxes. */
export function textsOf(kind, options) {
  return Object.fromEntries(fieldsOf(kind).map((field) => [field.name, field.type === "json" ? JSON.stringify(options ?? {}, null, 2) : textOf(field, options?.[field.name], !options)]));
}

function textOf({ type, value: initial }, value, fresh) {
  if (type === "check") return fresh || value === undefined ? Boolean(initial) : value === true;
  if (value === undefined || value === null) return "";
  if (type === "lines") return (Array.isArray(value) ? value : []).join("\n");
  if (type === "pairs") return Object.entries(value).map(([name, content]) => `${name}: ${content}`).join("\n");
  return type === "secret" && value === MASK ? "" : String(value);
}

/** The options that the fields stand for. What no field shows stays as it is. Raises Error with a sentence. */
export function optionsOf(kind, texts, stored) {
  if (!(kind in HOOK_FIELDS)) return parsed(texts["*"]);
  const options = { ...stored };
  delete options.secret_generated; // the server's own remark
  for (const field of fieldsOf(kind)) {
    const value = valueOf(field, texts[field.name], stored[field.name]);
    if (value === undefined) delete options[field.name];
    else options[field.name] = value;
  }
  return options;
}

function valueOf({ type, label }, text, stored) {
  if (type === "check") return text;
  const written = text.trim();
  if (type === "secret") return written || (stored === MASK ? MASK : undefined);
  if (!written) return undefined;
  if (type === "integer") return Number(written);
  const lines = written.split("\n").map((line) => line.trim()).filter(Boolean);
  if (type === "lines") return lines;
  if (type === "pairs") return Object.fromEntries(lines.map((line) => pair(line, label)));
  return written;
}

function pair(line, label) {
  const at = line.indexOf(":");
  if (at < 1) throw new Error(`${label}: “${line}” has no colon. Write each as Name: value.`);
  return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("The options are not JSON.");
  }
}

export function HookOptions({ kind, texts, stored, errorOf, onChange }) {
  return fieldsOf(kind).map((field) => {
    const { name, label, type, hint, required } = field;
    const id = `option-${name}`;
    const value = texts[name];
    if (type === "check") return html`<label key=${name} class="check-line"><input type="checkbox" checked=${value} onChange=${(e) => onChange(name, e.target.checked)} /> ${label}</label>`;
    const attributes = { id, required, autocomplete: "off", spellcheck: false, autocapitalize: "off", placeholder: stored && type === "secret" ? "stays as it is" : field.placeholder, value, onInput: (e) => onChange(name, e.target.value) };
    const input = ["lines", "pairs", "json"].includes(type)
      ? html`<textarea ...${attributes} rows=${type === "json" ? 6 : 3}></textarea>`
      : html`<input ...${attributes} type=${type === "integer" ? "number" : type === "secret" ? "password" : "text"} autocomplete=${type === "secret" ? "new-password" : "off"} />`;
    return html`<${Field} key=${name} id=${id} label=${label} optional=${!required} hint=${hint} error=${errorOf(name)}>${input}<//>`;
  });
}
