// Ask on: a question that goes on with a task that is over.
import { html, useEffect, useRef } from "../../html.js";
import { followUp } from "../../state/tasks.js";
import { useDraft } from "../common/draft.js";
import { SendIcon } from "../common/icons.js";

export function FollowUp({ task, onDone }) {
  const field = useRef(null);
  const { text, setText, submit } = useDraft(async (question) => {
    await followUp(task, question);
    onDone();
  });
  useEffect(() => field.current.focus(), []);
  const id = `follow-${task.id}`;
  return html`
    <form class="follow-up" onSubmit=${submit} onKeyDown=${(e) => e.key === "Escape" && onDone()}>
      <label class="visually-hidden" for=${id}>Ask ${task.agent} more about this</label>
      <input ref=${field} id=${id} type="text" maxlength="8000" autocomplete="off" placeholder=${`Ask ${task.agent} more about this`} value=${text} onInput=${(e) => setText(e.target.value)} />
      <button class="primary icon-only" aria-label="Ask on" disabled=${!text.trim()}><${SendIcon} /></button>
    </form>
  `;
}
