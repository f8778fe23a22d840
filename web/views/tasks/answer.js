// What came of a task: its answer, folded where it is long, and its files.
import { html, useLayoutEffect, useRef, useState } from "../../html.js";
import { attempt } from "../../state/messages.js";
import { saveAnswer, saveFile } from "../../state/tasks.js";
import { sizeWords } from "../../text/task_words.js";
import { DownIcon } from "../common/icons.js";
import { Markdown } from "../common/markdown.js";

export function Answer({ task }) {
  const [open, setOpen] = useState(false);
  const [long, setLong] = useState(false);
  const body = useRef(null);
  useLayoutEffect(() => {
    if (!open) setLong(body.current.scrollHeight > body.current.clientHeight + 4);
  }, [task.answer, open]);
  const whole = html`<button type="button" class="link" onClick=${() => saveAnswer(task)}>Save all of it</button>`;

  return html`
    <div class="task-answer ${open ? "open" : ""} ${long ? "long" : ""}">
      <div ref=${body} id=${`answer-${task.id}`} class="answer-body" onFocusIn=${() => long && setOpen(true)}>
        <${Markdown} text=${task.answer} whole=${whole} />
      </div>
      ${long && html`<button type="button" class="link" aria-expanded=${open} aria-controls=${`answer-${task.id}`} onClick=${() => setOpen(!open)}>${open ? "Show less" : "Show all"}</button>`}
    </div>
  `;
}

export function Files({ task }) {
  return html`
    <ul class="task-files" aria-label="Files">
      ${task.files.map(
        (file) => html`<li key=${file.name}><button type="button" class="small" aria-label=${`Save ${file.name}, ${sizeWords(file.bytes)}`} onClick=${() => attempt(() => saveFile(task, file.name))}>
          <${DownIcon} /><span class="clip-text">${file.name}</span> <span class="muted">${sizeWords(file.bytes)}</span>
        </button></li>`,
      )}
    </ul>
  `;
}
