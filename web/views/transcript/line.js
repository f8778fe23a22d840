// One line of the transcript.
import { html } from "../../html.js";
import { del, patch, sessionPath } from "../../net/api.js";
import { may } from "../../net/auth.js";
import { attempt } from "../../state/messages.js";
import { view } from "../../state/session.js";
import { kindName, zoneName } from "../../text/event_words.js";
import { dayOf, timeOfDay } from "../../text/format.js";
import { heardWords } from "../../text/words.js";
import { BellIcon, MicrophoneIcon, SpeakerIcon } from "../common/icons.js";
import { TaskCard } from "../tasks/task_card.js";
import { Grounds } from "./grounds.js";

export function Line({ line, before, session, closed }) {
  const newDay = before ? dayOf(before.wall) !== dayOf(line.wall) : dayOf(line.wall) !== dayOf(Date.now() / 1000);
  const body = { said: Said, asked: Asked, heard: Heard, notice: Notice, task: Task }[line.type];
  return html`
    ${newDay && html`<li class="day">${dayOf(line.wall)}</li>`}
    <li class="line ${line.type} ${line.tone ?? ""} ${line.urgency ?? ""} ${line.addressed === false ? "aside" : ""}" data-type=${line.type} data-streaming=${line.streaming ? "" : undefined}>
      <time datetime=${new Date(line.wall * 1000).toISOString()}>${timeOfDay(line.wall)}</time>
      <div class="line-body"><${body} line=${line} session=${session} closed=${closed} /></div>
    </li>
  `;
}

function Said({ line, session }) {
  const { tick, cut } = line;
  const fired = (tick?.watches ?? []).map((id) => session?.watches.find((w) => w.id === id)).filter(Boolean);
  return html`
    <p class="said-text">${line.text}${line.streaming && html`<span class="caret" aria-hidden="true"></span>`}</p>
    ${cut && html`<p class="waiting">It broke off here, because the server stopped.</p>`}
    <${Hearing} line=${line} />
    ${tick?.question && html`<p class="handed-over">Delegated: ${tick.question}</p>`}
    ${tick && (tick.kind || tick.zone || tick.query || fired.length > 0) &&
    html`<p class="chips">
      ${tick.query && html`<span class="chip answer">answer</span>`}
      ${tick.kind && html`<span class="chip kind ${tick.kind}">${kindName(tick.kind)}</span>`}
      ${tick.zone && html`<span class="chip zone">${zoneName(tick.zone)}</span>`}
      ${fired.map((watch) => html`<span key=${watch.id} class="chip fired" title=${watch.text}><${BellIcon} /><span class="clip-text">${watch.name}</span></span>`)}
    </p>`}
  `;
}

/** Is it being said, and how much of it was heard? */
function Hearing({ line }) {
  const { playing } = view.value.sound;
  if (playing && playing.epoch === line.epoch) {
    return html`<p class="hearing now" data-held=${playing.held ? "" : undefined}><${SpeakerIcon} />${playing.held ? "Waiting: somebody speaks" : "Speaking"}</p>`;
  }
  const words = heardWords(line);
  return words && html`<p class="hearing ${line.cutOff === undefined ? "" : "cut-off"}"><${SpeakerIcon} />${words}</p>`;
}

/** What somebody said that became no question. */
const Heard = ({ line }) => html`
  <p class="asked-text"><${MicrophoneIcon} /> ${line.text}</p>
  ${!line.addressed && html`<p class="waiting">Not taken as said to it</p>`}
`;

function Asked({ line, session, closed }) {
  const open = session?.queries.some((q) => q.id === line.key);
  const ended = { withdrawn: "Withdrawn", expired: "Not answered in time" }[closed[line.key]?.status];
  return html`
    <p class="asked-text">${line.spoken && html`<${MicrophoneIcon} /> `}${line.text}</p>
    ${open &&
    html`<p class="waiting"><span class="spinner" aria-hidden="true"></span>Waiting for an answer
      ${may("DELETE /v1/sessions/{session_id}/queries/{query_id}") && html`<button type="button" class="link" onClick=${() => attempt(() => del(sessionPath(session.id, `/queries/${encodeURIComponent(line.key)}`)))}>Withdraw</button>`}
    </p>`}
    ${!open && ended && html`<p class="waiting">${ended}</p>`}
    <${Outcome} query=${closed[line.key]} queryId=${line.key} session=${session} />
    ${closed[line.key]?.note && html`<p class="waiting">${closed[line.key].note}</p>`}
    <${Grounds} ids=${closed[line.key]?.rests_on} />
  `;
}

/** A request that was no question: it became a watch, or ended one. Either can be taken back. */
function Outcome({ query, queryId, session }) {
  const watchId = query?.watch_id ?? view.value.concerns[queryId];
  const watch = session?.watches.find((w) => w.id === watchId || w.query_id === queryId);
  if (watch?.query_id === queryId) return html`<${Undoable} text="Kept as a watch" name=${watch.text} undo=${() => del(watchPath(watch))} />`;
  if (query?.status === "standing") return html`<p class="waiting">${watchId ? "Its watch was removed" : "It becomes a watch"}</p>`;
  if (query?.status !== "cancel") return null;
  if (!watch) return html`<p class="waiting">${watchId ? "Its watch was removed" : "Stopped as you said"}</p>`;
  if (!watch.paused) return html`<p class="waiting">Resumed: ${watch.name}</p>`;
  return html`<${Undoable} text=${`Paused: ${watch.name}`} name=${watch.text} undo=${() => patch(watchPath(watch), { paused: false })} />`;
}

const watchPath = (watch) => sessionPath(watch.session_id, `/watches/${encodeURIComponent(watch.id)}`);

const Undoable = ({ text, name, undo }) => html`
  <p class="waiting outcome"><${BellIcon} /><span class="clip-text" title=${name}>${text}</span>
    ${may("PATCH /v1/sessions/{session_id}/watches/{watch_id}") && html`<button type="button" class="link" onClick=${() => attempt(undo)}>Undo</button>`}
  </p>
`;

const Notice = ({ line }) => html`<p>${line.text}</p>`;

const Task = ({ line }) => html`<${TaskCard} task=${line.task} />`;
