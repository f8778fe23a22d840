// One memory: what it says, of when and where it is, and what can be done with it.
import { html, useEffect, useRef, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { changeMemory, forgetMemories } from "../../state/memories.js";
import { attempt } from "../../state/messages.js";
import { eventHref } from "../../state/router.js";
import { dayAndTime, dayKey, shortTime } from "../../text/format.js";
import { collectionName, FORGET_TEXT, forgetTitle, memoryKind, sourceBeside } from "../../text/memory_words.js";
import { Confirm } from "../common/confirm.js";
import { BinIcon, PencilIcon, PinIcon } from "../common/icons.js";
import { StoredPicture } from "../common/stored_picture.js";

const LONG = 420;
const SHORT = 60;

/** Without `onChoose` it cannot be chosen. */
export function MemoryRow({ memory, names, chosen, onChoose }) {
  const [editing, setEditing] = useState(false);
  const [asking, setAsking] = useState(false);
  const [open, setOpen] = useState(false);
  const changes = may("PATCH /v1/memories/{memory_id}");
  const { text } = memory;
  const long = text.length > LONG;
  const name = text.length > SHORT ? `${text.slice(0, SHORT)}…` : text;
  const place = memory.collection && collectionName(memory.collection, names);
  const source = memory.source && sourceBeside(memory.source, place);
  const forget = () => {
    setAsking(false);
    attempt(() => forgetMemories([memory.id]));
  };
  return html`
    <li class="memory-row ${chosen ? "chosen" : ""}" data-memory=${memory.id} data-kind=${memory.kind}>
      ${onChoose && html`<label class="event-pick"><input type="checkbox" checked=${chosen} aria-label=${`Choose “${name}”`} onChange=${(e) => onChoose(e.target.checked)} /></label>`}
      <div class="memory-body">
        ${editing
          ? html`<${Edit} memory=${memory} onDone=${() => setEditing(false)} />`
          : html`<p class="memory-text" dir="auto">${long && !open ? `${text.slice(0, LONG).trimEnd()}…` : text}${long && html` <button type="button" class="link" aria-expanded=${open} onClick=${() => setOpen(!open)}>${open ? "Show less" : "Show all"}</button>`}</p>`}
        <p class="memory-facts">
          <span class="chip ${memory.kind}">${memoryKind(memory.kind)}</span>
          ${place && html`<span>${place}</span>`}
          ${memory.wall > 0 && html`<time datetime=${new Date(memory.wall * 1000).toISOString()}>${when(memory)}</time>`}
          ${source && html`<span>${source}</span>`}
          ${memory.eventId && html`<a href=${eventHref(memory.eventId)}>Show the event</a>`}
        </p>
        <div class="memory-actions">
          ${changes && html`<button type="button" class="small" aria-label=${`Change “${name}”`} onClick=${() => setEditing(true)}><${PencilIcon} />Change</button>
          <button type="button" class="small" aria-pressed=${memory.kept} aria-label=${`Keep “${name}”`} onClick=${() => attempt(() => changeMemory(memory.id, { kept: !memory.kept }))}><${PinIcon} />${memory.kept ? "Kept" : "Keep"}</button>`}
          ${!changes && memory.kept && html`<span class="chip kept-chip"><${PinIcon} />Kept</span>`}
          ${may("DELETE /v1/memories/{memory_id}") && html`<button type="button" class="small quiet-danger" aria-label=${`Forget “${name}”`} onClick=${() => setAsking(true)}><${BinIcon} />Forget</button>`}
        </div>
      </div>
      ${memory.picture && html`<a class="memory-picture" href=${memory.eventId ? eventHref(memory.eventId) : undefined} tabindex="-1" aria-hidden="true"><${StoredPicture} path=${memory.picture} /></a>`}
      ${asking && html`<${Confirm} title=${forgetTitle(1)} text=${`“${name}” ${FORGET_TEXT}`} yes="Forget" onYes=${forget} onNo=${() => setAsking(false)} />`}
    </li>
  `;
}

/** From when to when. */
function when({ wall, until }) {
  const from = dayAndTime(wall);
  if (!until || until - wall < 60) return from;
  return `${from} – ${dayKey(until) === dayKey(wall) ? shortTime(until) : dayAndTime(until)}`;
}

function Edit({ memory, onDone }) {
  const [text, setText] = useState(memory.text);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  async function save(event) {
    event.preventDefault();
    if (busy || !text.trim()) return;
    setBusy(true);
    try {
      if (text.trim() !== memory.text) await changeMemory(memory.id, { text: text.trim() });
      onDone();
    } catch (error) {
      setProblem(error.fields.text ?? error.message);
      setBusy(false);
    }
  }
  return html`
    <form class="memory-edit" onSubmit=${save} onKeyDown=${(e) => e.key === "Escape" && onDone()}>
      <textarea ref=${field} rows="3" maxlength="8000" aria-label="What it remembers" value=${text} onInput=${(e) => setText(e.target.value)}></textarea>
      ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
      <div class="actions"><button type="button" class="small" onClick=${onDone}>Cancel</button><button class="primary small" disabled=${busy || !text.trim()}>Save</button></div>
    </form>
  `;
}
