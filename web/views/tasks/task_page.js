// Tasks: all that was handed over, what agents ask for first, and the form to ask one.
import { html, useRef } from "../../html.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { refreshSessions, sessions } from "../../state/lists.js";
import { attempt } from "../../state/messages.js";
import { go, liveHref, route } from "../../state/router.js";
import { agents, deleteTask, listing, readOlder, refreshAgents, refreshTasks } from "../../state/tasks.js";
import { dayOf, timeOfDay } from "../../text/format.js";
import { FILTERS, nothingWords } from "../../text/task_words.js";
import { PlusIcon } from "../common/icons.js";
import { NotYours } from "../common/not_yours.js";
import { useTitle } from "../common/title.js";
import { AskForm, NoAgent } from "./ask_form.js";
import { TaskCard } from "./task_card.js";

export function TaskPage() {
  const { id } = route.value;
  const asking = id === "new";
  const filter = FILTERS.some(([status]) => status === id) ? id : "";
  usePoll(() => refreshTasks(filter), 2000, [filter]);
  usePoll(() => Promise.all([may("GET /v1/agents") && refreshAgents(), refreshSessions()]), 10_000);
  useTitle("Tasks");
  const title = useRef(null);
  const remove = async (task) => (await attempt(() => deleteTask(task))) && title.current?.focus();
  const tasks = listing.value.filter === filter ? listing.value.tasks : null;
  const asks = may("POST /v1/tasks");
  const without = asks && agents.value?.length === 0;
  const unused = without && !filter && tasks?.length === 0;

  return html`
    <div class="page tasks">
      <div class="section-head">
        <h1 ref=${title} tabindex="-1">Tasks</h1>
        ${asks && !asking && !without && html`<a class="button primary" href="#/tasks/new"><${PlusIcon} />Ask an agent</a>`}
      </div>
      ${without && html`<${NoAgent} />`}
      ${asking && !asks && html`<${NotYours} back="#/tasks" words="Show the tasks" />`}
      ${asking && asks && !without && html`<${AskForm} onDone=${() => go("#/tasks", { replace: true })} />`}
      ${!unused && html`<nav class="filters" aria-label="Which tasks">
        ${FILTERS.map(([status, name]) => html`<a key=${status} href=${status ? `#/tasks/${status}` : "#/tasks"} aria-current=${filter === status ? "true" : undefined}>${name}</a>`)}
      </nav>`}
      ${tasks === null && html`<p class="muted">Reading the list…</p>`}
      ${tasks?.length === 0 && !unused && html`<p class="muted nothing">${nothingWords(filter)}</p>`}
      ${tasks?.length > 0 && html`<ul class="task-list">${tasks.map((task) => html`<li key=${task.id} class="card"><${TaskCard} task=${task} level=${2} onDelete=${remove} where=${html`<${Where} task=${task} />`} /></li>`)}</ul>`}
      ${tasks?.length > 0 && listing.value.next && html`<p class="older"><button type="button" onClick=${() => attempt(readOlder)}>Show older ones</button></p>`}
    </div>
  `;
}

/** When it was asked, and about what. */
function Where({ task }) {
  const wall = Date.parse(task.created_at) / 1000;
  const today = dayOf(wall) === dayOf(Date.now() / 1000);
  const session = sessions.value?.find((one) => one.id === task.session_id || (task.camera_id && one.camera_id === task.camera_id));
  return html`
    <time datetime=${task.created_at}>${today ? timeOfDay(wall) : `${dayOf(wall)}, ${timeOfDay(wall)}`}</time>
    ${session && html`<a href=${liveHref(session.id)}>${session.name}</a>`}
    ${task.session_id && sessions.value && !session && html`<span>of a session that is over</span>`}
  `;
}
