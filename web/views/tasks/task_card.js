// A delegated task: what was asked, how far it is, what its agent wants, what came of it. On Live and in the list.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { useSeconds } from "../../net/contact.js";
import { attempt } from "../../state/messages.js";
import { isBrief, isOver, wasRefused } from "../../state/task_facts.js";
import { acknowledge, cancelTask, readWhole, taskNow } from "../../state/tasks.js";
import { sentence } from "../../text/words.js";
import { inShort, originWords, taskStatus, toldWords, tookWords } from "../../text/task_words.js";
import { Confirm } from "../common/confirm.js";
import { CheckIcon } from "../common/icons.js";
import { Answer, Files } from "./answer.js";
import { FollowUp } from "./follow_up.js";
import { Permission } from "./permission.js";
import { useSeen } from "./seen.js";
import { TaskLog } from "./task_log.js";

/** `where`: more that is to be told of it, in its last line; `level`: of its heading; `onDelete`: it may be deleted here. */
export function TaskCard({ task, where, onDelete, level = 3 }) {
  const card = useRef(null);
  const [following, setFollowing] = useState(false);
  const over = isOver(task);
  const whole = !isBrief(task);
  const Title = `h${level}`;
  useKeptFocus(card);
  useSeen(card, !whole && may("GET /v1/tasks/{task_id}"), () => readWhole(task));
  useSeen(card, whole && !task.delivered && may("POST /v1/tasks/{task_id}/acknowledge") && ["completed", "failed"].includes(task.status), () => acknowledge(task));
  const close = () => {
    setFollowing(false);
    card.current?.focus();
  };

  return html`
    <article ref=${card} class="task-card" data-task=${task.id} data-status=${task.status} tabindex="-1" aria-labelledby=${`task-${task.id}`}>
      <p class="task-head" role="status">
        <${StatusMark} status=${task.status} /><span>${taskStatus(task.status)}</span>
        ${task.agent && html`<span class="task-agent">${task.agent}</span>`}
        <span class="visually-hidden">${inShort(task.question)}</span>
      </p>
      <${Title} id=${`task-${task.id}`} class="task-question" dir="auto">${task.question}<//>
      ${task.note && html`<p class="task-note" dir="auto">${task.note}</p>`}
      ${!over && task.progress && task.progress !== task.permission?.title && html`<p class="task-progress" dir="auto">${task.progress}</p>`}
      ${task.permission && task.status === "waiting" && html`<${Permission} key=${task.permission.id} task=${task} />`}
      ${task.status === "failed" && html`<p class="note bad">${sentence(task.error || "It failed without a reason")}</p>`}
      ${over && task.answer && html`<${Answer} task=${task} />`}
      ${over && !whole && task.digest && html`<p dir="auto">${task.digest}</p>`}
      ${task.files?.length > 0 && may("GET /v1/tasks/{task_id}/files/{name}") && html`<${Files} task=${task} />`}
      ${task.started_at && task.agent && may("GET /v1/tasks/{task_id}/log") && html`<${TaskLog} task=${task} />`}
      ${following && html`<${FollowUp} task=${task} onDone=${close} />`}
      <footer class="task-foot">
        <${Facts} task=${task} where=${where} />
        ${!over && may("POST /v1/tasks/{task_id}/cancel") && html`<${Cancel} task=${task} />`}
        ${over && !wasRefused(task) && may("POST /v1/tasks/{task_id}/follow-up") && html`<button type="button" class="link" aria-expanded=${following} onClick=${() => setFollowing(!following)}>Follow up</button>`}
        ${over && onDelete && may("DELETE /v1/tasks/{task_id}") && html`<${Delete} task=${task} onDelete=${onDelete} />`}
      </footer>
    </article>
  `;
}

function StatusMark({ status }) {
  if (status === "completed") return html`<${CheckIcon} />`;
  if (status === "running") return html`<span class="spinner" aria-hidden="true"></span>`;
  const tone = { queued: "off", waiting: "connecting", failed: "offline", cancelled: "off" }[status] ?? "off";
  return html`<span class="dot ${tone}" aria-hidden="true"></span>`;
}

function Facts({ task, where }) {
  useSeconds(Boolean(task.started_at) && !isOver(task));
  const facts = [originWords(task.origin), task.follows && "a follow-up", tookWords(task, taskNow())].filter(Boolean);
  const told = toldWords(task);
  return html`
    <p class="task-facts">
      ${where}<span>${facts.join(" · ")}</span>
      ${told && html`<span class="told" data-told=${task.delivered ?? ""}>${told}</span>`}
    </p>
  `;
}

function Cancel({ task }) {
  const [busy, setBusy] = useState(false);
  async function cancel() {
    if (busy) return;
    setBusy(true);
    await attempt(() => cancelTask(task));
    setBusy(false);
  }
  return html`<button type="button" class="link" aria-disabled=${busy} onClick=${cancel}>${busy ? "Cancelling…" : "Cancel"}</button>`;
}

function Delete({ task, onDelete }) {
  const [asked, setAsked] = useState(false);
  const remove = () => {
    setAsked(false);
    onDelete(task);
  };
  return html`
    <button type="button" class="link" onClick=${() => setAsked(true)}>Delete</button>
    ${asked && html`<${Confirm} title="Delete this task?" text=${`“${inShort(task.question)}” is deleted with its answer and its files.`} yes="Delete" onYes=${remove} onNo=${() => setAsked(false)} />`}
  `;
}

/** What had the focus may be gone with the next update (a permission that was answered): then the card has it. */
function useKeptFocus(card) {
  const held = useRef(false);
  useEffect(() => {
    const { current } = card;
    const onIn = () => (held.current = true);
    // What is removed loses the focus too, and that is not what somebody wanted.
    const onOut = ({ target, relatedTarget }) =>
      setTimeout(() => {
        if (target.isConnected && !current.contains(relatedTarget ?? document.activeElement)) held.current = false;
      });
    current.addEventListener("focusin", onIn);
    current.addEventListener("focusout", onOut);
    return () => {
      current.removeEventListener("focusin", onIn);
      current.removeEventListener("focusout", onOut);
    };
  }, []);
  useLayoutEffect(() => {
    if (held.current && document.activeElement === document.body) card.current.focus({ preventScroll: true });
  });
}
