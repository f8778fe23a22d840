// What the timeline is narrowed to: one search field, and a few choices that the address keeps.
import { html, useEffect, useRef, useState } from "../../html.js";
import { cameras } from "../../state/lists.js";
import { GROUPS, HAPPENINGS, SPANS } from "../../text/event_words.js";
import { dayStart, fieldTime } from "../../text/format.js";
import { FilterIcon } from "../common/icons.js";
import { SearchField } from "../common/search_field.js";

/** `asked`: the filter; `onChange` gets the next one. */
export function Filters({ asked, onChange }) {
  const set = (changes) => onChange({ ...asked, ...changes });
  const narrowed = ["group", "kind", "camera", "watch", "span", "kept"].filter((name) => asked[name]).length;
  const [open, setOpen] = useState(narrowed > 0);
  const watches = watchesOf(asked.camera, asked.watch);
  return html`
    <div class="past-filters">
      <div class="search-line">
        <${SearchField} id="timeline-search" label="Search the timeline" query=${asked.query ?? ""} by=${asked.by} onSearch=${(query, by) => set({ query, by: query && by === "meaning" ? by : "" })} />
        <button type="button" class="filters-button" aria-expanded=${open} aria-controls="timeline-filters" onClick=${() => setOpen(!open)}><${FilterIcon} />Filters${narrowed > 0 && html` <span class="filter-count">${narrowed}</span>`}</button>
      </div>
      <div id="timeline-filters" class="filter-row ${open ? "open" : ""}">
        <${Choice} id="f-camera" label="Camera" value=${asked.camera} onChange=${(camera) => set({ camera, watch: "" })}
          options=${[["", "All cameras"], ...named(cameras.value ?? [], asked.camera, "A camera that is gone")]} />
        <${Choice} id="f-group" label="Kind" value=${asked.group} onChange=${(group) => set({ group })} options=${GROUPS} />
        <${Choice} id="f-kind" label="What happened" value=${asked.kind} onChange=${(kind) => set({ kind })} options=${HAPPENINGS} />
        <${Choice} id="f-watch" label="Watch" value=${asked.watch} onChange=${(watch) => set({ watch })} options=${[["", "Any or none"], ...watches]} />
        <${Choice} id="f-span" label="Time" value=${asked.span} onChange=${(span) => set({ span, ...firstSpan(span, asked) })} options=${SPANS} />
        <label class="check-line kept-line"><input type="checkbox" checked=${asked.kept === "yes"} onChange=${(e) => set({ kept: e.target.checked ? "yes" : "" })} />Kept ones only</label>
        ${narrowed > 0 && html`<button type="button" class="link" onClick=${() => onChange({ query: asked.query, by: asked.by })}>Clear filters</button>`}
        ${asked.span === "own" && html`<${OwnSpan} asked=${asked} set=${set} />`}
      </div>
    </div>
  `;
}

const Choice = ({ id, label, value = "", options, onChange }) => html`
  <div class="filter">
    <label for=${id}>${label}</label>
    <select id=${id} value=${value} onChange=${(e) => onChange(e.target.value)}>
      ${options.map(([name, words]) => html`<option key=${name} value=${name}>${words}</option>`)}
    </select>
  </div>
`;

/** Today until now, to begin with. */
function firstSpan(span, asked) {
  if (span !== "own") return { start: "", end: "" };
  const now = Date.now() / 1000;
  return { start: asked.start || fieldTime(dayStart(now)), end: asked.end || fieldTime(now + 60) };
}

/** Times are sent when a field is left: halfway through typing they are others. */
function OwnSpan({ asked, set }) {
  const [draft, setDraft] = useState({ start: asked.start ?? "", end: asked.end ?? "" });
  const sent = useRef(draft);
  useEffect(() => {
    if (asked.start !== sent.current.start || asked.end !== sent.current.end) setDraft({ start: asked.start ?? "", end: asked.end ?? "" });
  }, [asked.start, asked.end]);
  const wrong = draft.start && draft.end && draft.start >= draft.end;
  function send() {
    if (wrong || (draft.start === (asked.start ?? "") && draft.end === (asked.end ?? ""))) return;
    sent.current = draft;
    set(draft);
  }
  const field = (name, label) => html`
    <div class="filter"><label for=${`f-${name}`}>${label}</label>
      <input id=${`f-${name}`} type="datetime-local" value=${draft[name]} aria-invalid=${wrong ? "true" : undefined} onInput=${(e) => setDraft((now) => ({ ...now, [name]: e.target.value }))} onBlur=${send} onKeyDown=${(e) => e.key === "Enter" && send()} />
    </div>`;
  return html`<div class="own-span">${field("start", "From")} ${field("end", "To")} ${wrong && html`<p class="field-error" role="alert">“From” has to be before “to”.</p>`}</div>`;
}

/** Those of the chosen camera, or of all; one that is gone stays in the list while it is chosen. */
function watchesOf(camera, chosen) {
  const found = (cameras.value ?? []).filter((one) => !camera || one.id === camera).flatMap((one) => one.watches ?? []);
  return named(found, chosen, "A watch that is gone");
}

function named(list, chosen, gone) {
  const known = list.map(({ id, name }) => [id, name]);
  return chosen && !known.some(([id]) => id === chosen) ? [...known, [chosen, gone]] : known;
}
