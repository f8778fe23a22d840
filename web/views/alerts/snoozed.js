// Cameras and watches of which nobody is told for a while.
import { html } from "../../html.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { endSnooze, refreshSnoozes, snoozes } from "../../state/alerts.js";
import { attempt } from "../../state/messages.js";
import { dayAndTime } from "../../text/format.js";

const POLL_MS = 5000;

export function Snoozed() {
  usePoll(() => (may("GET /v1/snoozes") ? refreshSnoozes() : null), POLL_MS);
  if (!snoozes.value.length) return null;
  return html`
    <ul class="alert-list" aria-label="Cameras and watches that are snoozed">
      ${snoozes.value.map((one) => html`<${Row} key=${`${one.scope}:${one.id}`} snooze=${one} />`)}
    </ul>
  `;
}

function Row({ snooze }) {
  const { scope, id, name, until } = snooze;
  const words = name || `A ${scope} that is gone`;
  return html`
    <li class="alert card" data-snoozed=${id}>
      <div class="alert-body">
        <h2 dir="auto">${words}</h2>
        <p class="alert-facts"><span>Nobody is told of this ${scope}.</span>${until !== null && html`<span>Ends: ${dayAndTime(until)}</span>`}</p>
        ${may("DELETE /v1/snoozes/{scope}/{subject_id}") && html`<div class="alert-actions"><button type="button" class="small" aria-label=${`Tell of it again: ${words}`} onClick=${() => attempt(() => endSnooze(snooze))}>Tell of it again</button></div>`}
      </div>
    </li>
  `;
}
