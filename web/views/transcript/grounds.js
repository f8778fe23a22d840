// What an answer rests on: links to events and memories.
import { html, useEffect } from "../../html.js";
import { grounds, readGrounds } from "../../state/memories.js";
import { eventHref, memoryHref } from "../../state/router.js";
import { eventText } from "../../text/event_words.js";
import { dayAndTime } from "../../text/format.js";

const SHOWN = 8;

export function Grounds({ ids }) {
  const known = (Array.isArray(ids) ? ids : []).filter((id) => typeof id === "string");
  const shown = known.slice(0, SHOWN);
  useEffect(() => {
    if (shown.length) readGrounds(shown);
  }, [shown.join()]);
  if (!shown.length) return null;
  return html`
    <p class="grounds" role="group" aria-label="What the answer rests on">
      <span class="grounds-title">Rests on</span>
      ${shown.map((id) => html`<${Ground} key=${id} id=${id} />`)}
      ${known.length > SHOWN && html`<span class="muted">and ${known.length - SHOWN} more</span>`}
    </p>
  `;
}

function Ground({ id }) {
  const found = grounds.value[id];
  const isMemory = id.startsWith("mem_");
  if (found === null) return html`<span class="chip">${isMemory ? "a memory" : "an event"} that is gone</span>`;
  const words = found ? eventText(found) : isMemory ? "a memory" : "an event";
  return html`<a class="ground" href=${isMemory ? memoryHref(id) : eventHref(id)} title=${words}>${found?.wall > 0 && html`<time>${dayAndTime(found.wall)}</time> `}<span class="clip-text">${words}</span></a>`;
}
