// A question that stands in front of the page until it is answered.
import { html, useLayoutEffect, useRef } from "../../html.js";

export function Confirm({ title, text, yes, onYes, onNo }) {
  const dialog = useRef(null);
  useLayoutEffect(() => {
    const { current } = dialog;
    current.showModal();
    return () => current.close(); // so what had the focus before has it again
  }, []);
  return html`
    <dialog ref=${dialog} class="confirm" aria-labelledby="confirm-title" onCancel=${onNo} onClose=${onNo}>
      <h2 id="confirm-title">${title}</h2>
      <p>${text}</p>
      <div class="actions">
        <button type="button" onClick=${onNo}>Cancel</button>
        <button type="button" class="danger" onClick=${onYes}>${yes}</button>
      </div>
    </dialog>
  `;
}
