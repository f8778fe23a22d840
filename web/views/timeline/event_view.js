// One event, opened before the list: what there is to see, what was known, what can be done.
import { html, useLayoutEffect, useRef, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { deleteEvents, keepEvents, opened, readEvent, timeline } from "../../state/events.js";
import { sessions } from "../../state/lists.js";
import { attempt } from "../../state/messages.js";
import { eventHref, go, hrefOf, liveHref } from "../../state/router.js";
import { deleteTitle, deleteWords, eventText, scoreWords, typeWords } from "../../text/event_words.js";
import { dayAndTime } from "../../text/format.js";
import { Confirm } from "../common/confirm.js";
import { BackIcon, BinIcon, CrossIcon, ForwardIcon, PinIcon } from "../common/icons.js";
import { Clip } from "./clip.js";
import { EventChips } from "./event_row.js";

const RECORDING_MS = 2000;
const REST_MS = 15_000;

export function EventView({ id, names, around, onClose }) {
  const dialog = useRef(null);
  const [problem, setProblem] = useState(null);
  const listed = timeline.value.events?.find((event) => event.id === id);
  const event = opened.value[id] === undefined ? listed : opened.value[id];
  const recording = event?.clip.state === "recording";
  // Its own answer tells more than a list: the words around it.
  usePoll(async () => setProblem(opened.value[id] === null ? null : await readEvent(id)), recording ? RECORDING_MS : REST_MS, [id, recording]);
  useLayoutEffect(() => {
    const { current } = dialog;
    current.showModal();
    document.documentElement.classList.add("behind-dialog");
    return () => {
      document.documentElement.classList.remove("behind-dialog");
      current.close(); // so what had the focus before has it again
    };
  }, []);
  const show = (other) => other && go(eventHref(other.id), { replace: true });
  function onKey(pressed) {
    if (pressed.target.closest?.("video, input") || pressed.altKey || pressed.ctrlKey || pressed.metaKey) return;
    if (pressed.key === "ArrowLeft") show(around.newer);
    if (pressed.key === "ArrowRight") show(around.older);
  }

  return html`
    <dialog ref=${dialog} class="event-dialog" aria-labelledby="event-title" onCancel=${(e) => { e.preventDefault(); onClose(); }} onKeyDown=${onKey}>
      <header class="event-head">
        <p class="event-when">${event ? html`<time datetime=${new Date(event.wall * 1000).toISOString()}>${dayAndTime(event.wall)}</time> <span class="muted">${typeWords(event.type)}</span>` : ""}</p>
        <button type="button" class="icon-button" aria-label="Newer event" title="Newer" disabled=${!around.newer} onClick=${() => show(around.newer)}><${BackIcon} /></button>
        <button type="button" class="icon-button" aria-label="Older event" title="Older" disabled=${!around.older} onClick=${() => show(around.older)}><${ForwardIcon} /></button>
        <button type="button" class="icon-button" aria-label="Close" title="Close" onClick=${onClose}><${CrossIcon} /></button>
      </header>
      ${event && html`<${Whole} key=${id} event=${event} camera=${names.get(event.cameraId)} onDeleted=${() => (around.older ? show(around.older) : onClose())} />`}
      ${event === undefined && !problem && html`<p id="event-title" class="muted event-none">Reading the event…</p>`}
      ${event === undefined && problem && html`<p id="event-title" class="note bad event-none" role="alert">${problem}</p>`}
      ${event === null && html`<div class="event-none"><h2 id="event-title">This event is not there any more</h2><p class="muted">It was deleted, or it was so old that the server let it go.</p><button type="button" onClick=${() => go(hrefOf("timeline"))}>Show the timeline</button></div>`}
    </dialog>
  `;
}

function Whole({ event, camera, onDeleted }) {
  const text = eventText(event);
  return html`
    <article class="event-whole" data-event=${event.id}>
      <${Clip} event=${event} label=${text} />
      <div class="event-side">
        <h2 id="event-title" dir="auto">${text}</h2>
        <p><${EventChips} event=${event} camera=${camera ?? event.camera} /></p>
        <${Score} event=${event} />
        ${event.transcript.length > 0 && html`<div class="event-transcript"><h3>Said and heard around it</h3><ul>${event.transcript.map((line, n) => html`<li key=${n} dir="auto">${line}</li>`)}</ul></div>`}
        ${event.type === "task" && html`<p><a href="#/tasks">Open the tasks</a></p>`}
        <${Doing} event=${event} camera=${camera} onDeleted=${onDeleted} />
      </div>
    </article>
  `;
}

/** How sure it was, and how sure it had to be. */
function Score({ event }) {
  const words = scoreWords(event);
  if (!words) return null;
  const share = (value) => `${Math.min(100, Math.max(0, value * 100))}%`;
  return html`
    <div class="event-score">
      <div class="score-bar" aria-hidden="true"><span class="score-fill" style=${{ width: share(event.score) }}></span>${event.threshold !== null && html`<span class="score-mark" style=${{ left: share(event.threshold) }}></span>`}</div>
      <p class="small-text muted">${words}</p>
    </div>
  `;
}

function Doing({ event, camera, onDeleted }) {
  const [asking, setAsking] = useState(false);
  const session = sessions.value?.find((one) => (event.cameraId ? one.camera_id === event.cameraId : one.id === event.sessionId));
  const remove = async () => {
    setAsking(false);
    if (await attempt(() => deleteEvents([event.id]))) onDeleted();
  };
  return html`
    <div class="event-actions">
      ${session && html`<a class="button primary small" href=${liveHref(session.id)} aria-label=${`Jump to live: ${session.name}`}>Jump to live</a>`}
      ${may("PATCH /v1/events/{event_id}") && html`<button type="button" class="small" aria-pressed=${event.kept} onClick=${() => attempt(() => keepEvents([event.id], !event.kept))}><${PinIcon} />${event.kept ? "Kept" : "Keep"}</button>`}
      ${may("DELETE /v1/events/{event_id}") && html`<button type="button" class="small quiet-danger" onClick=${() => setAsking(true)}><${BinIcon} />Delete</button>`}
      ${!session && sessions.value && html`<span class="muted small-text">${camera ? "This camera is switched off." : "Its camera or call is over."}</span>`}
      ${asking && html`<${Confirm} title=${deleteTitle([event])} text=${deleteWords([event])} yes="Delete" onYes=${remove} onNo=${() => setAsking(false)} />`}
    </div>
  `;
}
