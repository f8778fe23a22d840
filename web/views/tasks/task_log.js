// What an agent did and was allowed, line by line; read when it is opened, and again as the task moves on.
import { html, useEffect, useState } from "../../html.js";
import { readLog } from "../../state/tasks.js";
import { timeOfDay } from "../../text/format.js";

export function TaskLog({ task }) {
  const [open, setOpen] = useState(false);
  const [lines, setLines] = useState(null);
  useEffect(() => {
    if (!open) return undefined;
    let wanted = true;
    readLog(task).then(
      (read) => wanted && setLines(read),
      () => wanted && setLines((known) => known ?? []),
    );
    return () => (wanted = false);
  }, [open, task.status, task.progress, task.permission?.id]);

  return html`
    <details class="task-log" onToggle=${(e) => setOpen(e.target.open)}>
      <summary>What it did</summary>
      ${lines === null && html`<p class="muted">Reading…</p>`}
      ${lines?.length === 0 && html`<p class="muted">It said nothing of what it did.</p>`}
      ${lines?.length > 0 &&
      html`<ol tabindex="0" aria-label="What it did">
        ${lines.map(({ at, text }, n) => html`<li key=${n}><time datetime=${at}>${timeOfDay(Date.parse(at) / 1000)}</time><span dir="auto">${text}</span></li>`)}
      </ol>`}
    </details>
  `;
}
