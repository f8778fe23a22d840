// Timeline: what happened, by day, newest first; filters and search; one event opened before it.
import { html, useEffect, useMemo, useRef, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { fresh, openTimeline, readOlder, showFresh, timeline } from "../../state/events.js";
import { grouped } from "../../state/event_facts.js";
import { cameras, refreshCameras, refreshSessions, zone } from "../../state/lists.js";
import { attempt } from "../../state/messages.js";
import { behindEvent, go, hrefOf, route } from "../../state/router.js";
import { newWords, nothingWords } from "../../text/event_words.js";
import { dayKey, dayName } from "../../text/format.js";
import { UpIcon } from "../common/icons.js";
import { useTitle } from "../common/title.js";
import { Chosen } from "./chosen.js";
import { DayDigest } from "./day_digest.js";
import { DeleteSpan } from "./delete_span.js";
import { EventRow } from "./event_row.js";
import { EventView } from "./event_view.js";
import { Filters } from "./filters.js";

const TOP_PX = 120;
const NONE = new Set();

export function TimelinePage() {
  const { id, asked } = route.value;
  // An event that is open has an address of its own; the list behind it stays as it was.
  const [filter, setFilter] = useState(asked);
  const key = JSON.stringify(filter);
  const [chosen, setChosen] = useState(NONE);
  const [read, setRead] = useState(0);
  const holding = useRef(false);
  holding.current = chosen.size > 0 || id !== null;
  useEffect(() => {
    if (!id) setFilter(asked);
  }, [id, JSON.stringify(asked)]);
  useEffect(() => {
    setChosen(NONE);
    return openTimeline(key, filter, () => scrollY < TOP_PX && !holding.current);
  }, [key, zone.value, read]);
  usePoll(() => Promise.all([refreshCameras(), refreshSessions()]), 10_000);
  useTitle("Timeline");

  const mine = timeline.value.key === key;
  const events = mine ? timeline.value.events : null;
  const names = useMemo(() => new Map((cameras.value ?? []).map((camera) => [camera.id, camera.name])), [cameras.value]);
  const days = useMemo(() => grouped(events ?? [], (event) => dayKey(event.wall)), [events, zone.value]);
  const picks = may("PATCH /v1/events/{event_id}") || may("DELETE /v1/events/{event_id}");
  const wholeDays = !filter.query && !filter.group && !filter.kind && !filter.watch && !filter.kept && filter.span !== "own";
  const choose = (event, on) => setChosen((now) => (on ? new Set([...now, event.id]) : new Set([...now].filter((one) => one !== event.id))));
  // At once: until the address has changed a choice would fall back for a moment.
  const narrow = (next) => {
    setFilter(next);
    go(hrefOf("timeline", null, next), { replace: true });
  };
  const close = () => go(behindEvent(hrefOf("timeline", null, filter)));
  const over = () => {
    setChosen(NONE);
    setRead((n) => n + 1);
  };
  const toTop = () => {
    showFresh();
    scrollTo({ top: 0 });
  };

  return html`
    <div class="page timeline" data-live=${mine ? timeline.value.live : ""}>
      <div class="section-head"><h1>Timeline</h1><${ZoneNote} /></div>
      <${Filters} asked=${filter} onChange=${narrow} />
      <div role="status">
        ${mine && timeline.value.problem && html`<p class="note bad">${timeline.value.problem}</p>`}
        ${fresh.value.length > 0 && events && html`<button type="button" class="to-fresh" onClick=${toTop}><${UpIcon} />${newWords(fresh.value.length)}</button>`}
      </div>
      ${events === null && !timeline.value.problem && html`<p class="muted">Reading the timeline…</p>`}
      ${events?.length === 0 && html`<${Empty} filter=${filter} />`}
      ${days.map(
        (day, n) => html`<section key=${`${day.key}-${n}`} class="event-day" aria-labelledby=${`day-${n}`}>
          <h2 id=${`day-${n}`}>${dayName(day.events[0].wall)}</h2>
          ${wholeDays && html`<${DayDigest} day=${day.key} cameraId=${filter.camera ?? ""} names=${names} />`}
          <ol class="event-list card">
            ${day.events.map((event) => html`<${EventRow} key=${event.id} event=${event} camera=${names.get(event.cameraId) ?? event.camera} chosen=${chosen.has(event.id)} onChoose=${picks && ((on) => choose(event, on))} />`)}
          </ol>
        </section>`,
      )}
      ${events?.length > 0 && timeline.value.next && html`<p class="older"><button type="button" onClick=${() => attempt(() => readOlder(filter))}>Show older ones</button></p>`}
      ${events?.length > 0 && filter.span && may("DELETE /v1/events") && html`<footer class="memory-foot"><${DeleteSpan} filter=${filter} names=${names} onDone=${over} /></footer>`}
      ${chosen.size > 0 && html`<${Chosen} events=${(events ?? []).filter((event) => chosen.has(event.id))} onDone=${() => setChosen(NONE)} />`}
      ${id && html`<${EventView} key="open" id=${id} names=${names} around=${around(events, id)} onClose=${close} />`}
    </div>
  `;
}

/** The events before and after it in the list. */
function around(events, id) {
  const at = (events ?? []).findIndex((event) => event.id === id);
  return at < 0 ? {} : { newer: events[at - 1], older: events[at + 1] };
}

/** Said only where the reader's clock shows another time. */
function ZoneNote() {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone.value && zone.value !== here && html`<p class="muted small-text zone-note">Times of ${zone.value.replaceAll("_", " ")}</p>`;
}

function Empty({ filter }) {
  const { query, by, ...narrower } = filter;
  const narrowed = Object.values(narrower).some(Boolean);
  const { title, text } = nothingWords({ narrowed, query, cameras: cameras.value?.length });
  return html`
    <section class="card empty-state">
      <h2>${title}</h2>
      <p class="muted">${text}</p>
      <div class="actions">
        ${(narrowed || query) && html`<a class="button primary" href=${hrefOf("timeline")}>Show everything that matters</a>`}
        ${query && by !== "meaning" && html`<a class="button" href=${hrefOf("timeline", null, { ...filter, by: "meaning" })}>Search by meaning</a>`}
        ${!narrowed && !query && (cameras.value?.length ? html`<a class="button primary" href="#/live">Open a camera</a>` : may("POST /v1/cameras") && html`<a class="button primary" href="#/cameras/new">Add a camera</a>`)}
      </div>
    </section>
  `;
}
