// One event in the list: picture, time, words, and what it is about.
import { html } from "../../html.js";
import { eventHref } from "../../state/router.js";
import { eventLabel, eventText, kindName, typeWords } from "../../text/event_words.js";
import { timeOfDay } from "../../text/format.js";
import { BellIcon, FilmIcon, PinIcon } from "../common/icons.js";
import { StoredPicture } from "../common/stored_picture.js";

const WATCHES_SHOWN = 3;

/** Without `onChoose` it cannot be chosen. */
export function EventRow({ event, camera, chosen, onChoose }) {
  return html`
    <li class="event-row ${chosen ? "chosen" : ""}" data-event=${event.id} data-type=${event.type}>
      ${onChoose && html`<label class="event-pick"><input type="checkbox" checked=${chosen} aria-label=${`Choose ${eventLabel(event)}`} onChange=${(e) => onChoose(e.target.checked)} /></label>`}
      <a class="event-open" href=${eventHref(event.id)} aria-label=${eventLabel(event)}>
        ${event.picture ? html`<${StoredPicture} path=${event.picture} />` : html`<span class="event-without ${event.type}" aria-hidden="true"></span>`}
        <span class="event-words">
          <span class="event-text" dir="auto">${eventText(event)}</span>
          <${EventChips} event=${event} camera=${camera} />
        </span>
        <time datetime=${new Date(event.wall * 1000).toISOString()}>${timeOfDay(event.wall)}</time>
      </a>
    </li>
  `;
}

/** What it is, where it was, which watches fired, what there is to see. */
export function EventChips({ event, camera }) {
  const more = event.watches.length - WATCHES_SHOWN;
  return html`
    <span class="chips">
      ${camera && html`<span class="event-camera clip-text">${camera}</span>`}
      ${event.type !== "watch_fired" && event.type !== "spoke" && html`<span class="chip ${event.type}">${typeWords(event.type)}</span>`}
      ${event.kind && html`<span class="chip kind ${event.kind}">${kindName(event.kind)}</span>`}
      ${event.watches.slice(0, WATCHES_SHOWN).map((watch) => html`<span key=${watch.id} class="chip fired" title=${watch.name}><${BellIcon} /><span class="clip-text">${watch.name || "a watch"}</span></span>`)}
      ${more > 0 && html`<span class="chip">${more} more</span>`}
      ${["ready", "recording"].includes(event.clip.state) && html`<span class="chip clip-chip"><${FilmIcon} />${event.clip.state === "ready" ? "Clip" : "Recording…"}</span>`}
      ${event.kept && html`<span class="chip kept-chip"><${PinIcon} />Kept</span>`}
    </span>
  `;
}
