// The text of a key that was just made: shown this once, with a button that copies it.
import { html, useEffect, useRef, useState } from "../../html.js";

export function NewKey({ made, onDone }) {
  const [copied, setCopied] = useState("");
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);

  /** Over plain http browsers give pages no clipboard: then the old way, and else it is chosen for the reader. */
  async function copy() {
    field.current.select();
    try {
      if (navigator.clipboard) await navigator.clipboard.writeText(made.text);
      else if (!document.execCommand("copy")) throw new Error("not copied");
      setCopied("Copied.");
    } catch {
      setCopied("The browser does not copy here. It is chosen: press Ctrl+C.");
    }
  }

  return html`
    <section class="card new-key" aria-labelledby="new-key-title">
      <h3 id="new-key-title">The key of ${made.name}</h3>
      <p class="muted">It is shown this once, and nobody can read it later. Keep it like a password.</p>
      <div class="new-key-row">
        <input ref=${field} readonly spellcheck=${false} aria-label="The key" value=${made.text} onFocus=${(e) => e.target.select()} />
        <button type="button" class="primary" onClick=${copy}>Copy</button>
        <button type="button" onClick=${onDone}>I have it</button>
      </div>
      <p class="hint" role="status">${copied}</p>
    </section>
  `;
}
