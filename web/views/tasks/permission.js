// What an agent asks for, and the answers to it: in our words, with what the agent calls them beside that.
import { html, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { useSeconds } from "../../net/contact.js";
import { attempt } from "../../state/messages.js";
import { answerPermission, taskNow } from "../../state/tasks.js";
import { ANSWERED_BY_OTHERS, calledWords, choiceWords, isDenial, leftWords, readFirstWords, sortedChoices } from "../../text/permission_words.js";
import { WarnIcon } from "../common/icons.js";
import { PermissionDetail } from "./permission_detail.js";

const DENY = { id: null, name: "", kind: "reject_once" };

export function Permission({ task }) {
  const { permission } = task;
  const [chosen, setChosen] = useState(undefined);
  const [seen, setSeen] = useState(!permission.detail);
  useSeconds(true);
  const { options } = permission;
  const choices = sortedChoices(options.some(isDenial) ? options : [...options, DENY]);
  const answers = may("POST /v1/tasks/{task_id}/permissions/{permission_id}");
  const unread = `unread-${permission.id}`;

  async function choose(option) {
    if (chosen !== undefined || (!seen && !isDenial(option))) return;
    setChosen(option.id);
    if (!(await attempt(() => answerPermission(task, option.id)))) setChosen(undefined);
  }

  // A button that is disabled would lose the focus, so it only does nothing.
  return html`
    <div class="permission" role="group" aria-label=${`${task.agent} asks for permission`} aria-describedby=${`title-${permission.id} detail-${permission.id}`}>
      <p class="permission-title"><${WarnIcon} /><strong id=${`title-${permission.id}`} dir="auto">${permission.title}</strong></p>
      ${permission.detail && html`<${PermissionDetail} id=${`detail-${permission.id}`} text=${permission.detail} onSeen=${() => setSeen(true)} />`}
      ${!answers && html`<p class="hint">${ANSWERED_BY_OTHERS}</p>`}
      ${answers && html`<div class="permission-options">
        ${choices.map((option) => {
          const waits = !seen && !isDenial(option);
          return html`<button key=${option.id} type="button" class="small ${isDenial(option) ? "deny" : "primary"}" data-kind=${option.kind}
            aria-disabled=${waits || chosen !== undefined} aria-describedby=${waits ? unread : undefined} aria-busy=${chosen === option.id} onClick=${() => choose(option)}>
            <span>${choiceWords(option)}</span><${Called} option=${option} />
          </button>`;
        })}
      </div>`}
      ${answers && !seen && html`<p class="hint" id=${unread}>${readFirstWords}</p>`}
      <p class="hint" role="timer">${leftWords(permission.until, taskNow())}</p>
    </div>
  `;
}

function Called({ option }) {
  const called = calledWords(option);
  return called && html` <bdi class="permission-called">${called}</bdi>`;
}
