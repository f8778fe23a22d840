// A question that stands in front of the page until it is answered.
import { html, useLayoutEffect, useRef, useState } from "../../html.js";

/** `word`: has to be typed first, where a click by mistake would cost too much. */
export function Confirm({ title, text, yes, word, onYes, onNo }) {
  const dialog = useRef(null);
  const [typed, setTyped] = useState("");
  const ready = !word || typed.trim().toLowerCase() === word;
  useLayoutEffect(() => {
    const { current } = dialog;
    current.showModal();
    return () => current.close(); // so what had the focus before has it again
  }, []);
  return html`
    <dialog ref=${dialog} class="confirm" aria-labelledby="confirm-title" onCancel=${onNo} onClose=${onNo}>
      <h2 id="confirm-title">${title}</h2>
      <p>${text}</p>
      ${word && html`<label class="confirm-word">Type “${word}” to go on<input autocomplete="off" autocapitalize="off" value=${typed} onInput=${(e) => setTyped(e.target.value)} onKeyDown=${(e) => e.key === "Enter" && ready && onYes()} /></label>`}
      <div class="actions">
        <button type="button" onClick=${onNo}>Cancel</button>
        <button type="button" class="danger" disabled=${!ready} onClick=${onYes}>${yes}</button>
      </div>
    </dialog>
  `;
}
