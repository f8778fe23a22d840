// One labelled field of a form, with its hint and its error.
import { html } from "../../html.js";

export function Field({ id, label, error, hint, optional, children }) {
  return html`
    <div class="field">
      <label for=${id}>${label}${optional && html` <span class="muted">optional</span>`}</label>
      ${children}
      ${hint && html`<p class="hint">${hint}</p>`}
      ${error && html`<p class="field-error">${error}</p>`}
    </div>
  `;
}
