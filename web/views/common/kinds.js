// What a watch fires at, where the engine reads no words: checkboxes that look like chips.
import { html } from "../../html.js";
import { KINDS } from "../../text/words.js";

/** Does this engine fire at kinds, rather than at what a watch's words say? */
export const firesAtKinds = (capabilities) => Boolean(capabilities?.reports_kinds && !capabilities.follows_instructions);

/** "Comes in, gets dark"; "Anything" where none is chosen. */
export function kindWords(kinds) {
  const words = KINDS.filter(([kind]) => kinds.includes(kind)).map(([, name]) => name);
  return words.map((word, at) => (at ? word.toLowerCase() : word)).join(", ") || "Anything";
}

/** `chosen` are kinds, `onChange` gets the new ones. `legend` names what they belong to. */
export function KindChoice({ id, legend, chosen, onChange }) {
  const toggle = (kind, on) => onChange(KINDS.map(([known]) => known).filter((known) => (known === kind ? on : chosen.includes(known))));
  return html`
    <fieldset id=${id} class="kinds">
      <legend class="visually-hidden">${legend}</legend>
      ${KINDS.map(
        ([kind, name]) => html`<label key=${kind} class="kind-choice">
          <input type="checkbox" checked=${chosen.includes(kind)} onChange=${(e) => toggle(kind, e.target.checked)} />${name}
        </label>`,
      )}
      <p class="hint" role="status">${chosen.length ? "" : "None chosen: it fires at anything."}</p>
    </fieldset>
  `;
}
