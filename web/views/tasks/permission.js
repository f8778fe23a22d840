// What an agent asks for, and the answers it offers.
import { html, useState } from "../../html.js";
import { useSeconds } from "../../net/contact.js";
import { attempt } from "../../state/messages.js";
import { answerPermission, taskNow } from "../../state/tasks.js";
import { leftWords } from "../../text/task_words.js";
import { WarnIcon } from "../common/icons.js";

const DENY = { id: null, name: "Deny", kind: "reject_once" };

export function Permission({ task }) {
  const { permission } = task;
  const [chosen, setChosen] = useState(undefined);
  useSeconds(true);
  const denies = (option) => option.kind.startsWith("reject");
  const options = permission.options.some(denies) ? permission.options : [...permission.options, DENY];

  async function choose(option) {
    if (chosen !== undefined) return;
    setChosen(option.id);
    if (!(await attempt(() => answerPermission(task, option.id)))) setChosen(undefined);
  }

  // A button that is disabled would lose the focus, so it only does nothing.
  return html`
    <div class="permission" role="group" aria-label=${`${task.agent} asks for permission`} aria-describedby=${`title-${permission.id} detail-${permission.id}`}>
      <p class="permission-title"><${WarnIcon} /><strong id=${`title-${permission.id}`} dir="auto">${permission.title}</strong></p>
      ${permission.detail && html`<pre id=${`detail-${permission.id}`} class="permission-detail" tabindex="0" dir="ltr">${permission.detail}</pre>`}
      <div class="permission-options">
        ${options.map(
          (option) => html`<button key=${option.id} type="button" class=${`small ${denies(option) ? "quiet-danger" : option.kind === "allow_once" ? "primary" : ""}`}
            aria-disabled=${chosen !== undefined} aria-busy=${chosen === option.id} onClick=${() => choose(option)}>${option.name}</button>`,
        )}
      </div>
      <p class="hint" role="timer">${leftWords(permission.until, taskNow())}</p>
    </div>
  `;
}
