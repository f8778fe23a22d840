// One alert: what it is of, and what can be done about it.
import { html, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { acknowledgeAlert, alertHref, snoozeAlert } from "../../state/alerts.js";
import { cameras } from "../../state/lists.js";
import { attempt, tell } from "../../state/messages.js";
import { eventHref, liveHref } from "../../state/router.js";
import { alertKind, alertState, snoozedWords, snoozesOf } from "../../text/alert_words.js";
import { dayAndTime } from "../../text/format.js";
import { CheckIcon, WarnIcon } from "../common/icons.js";
import { Badge } from "../common/status.js";
import { StoredPicture } from "../common/stored_picture.js";

export function AlertRow({ alert }) {
  const [busy, setBusy] = useState(false);
  const open = alert.state === "open";
  const acts = may("POST /v1/alerts/{alert_id}/acknowledge");
  const title = alert.title || alertKind(alert.kind);
  const session = cameras.value?.find((camera) => camera.id === alert.cameraId && camera.enabled)?.session_id;
  async function act(action) {
    if (busy) return;
    setBusy(true);
    await attempt(action);
    setBusy(false);
  }
  return html`
    <li class="alert card ${open ? "open" : ""} ${alert.escalated ? "escalated" : ""}" data-alert=${alert.id} data-state=${alert.state} aria-label=${title}>
      ${alert.picture && html`<a class="alert-picture" href=${alertHref(alert)} tabindex="-1" aria-hidden="true"><${StoredPicture} path=${alert.picture} /></a>`}
      <div class="alert-body">
        <p class="alert-head">
          <${Badge} ...${alertState(alert)} />
          ${alert.escalated && html`<span class="chip escalated-chip"><${WarnIcon} />Next contact told</span>`}
          <time datetime=${new Date(alert.wall * 1000).toISOString()}>${dayAndTime(alert.wall)}</time>
        </p>
        <h2 dir="auto">${title}</h2>
        ${alert.text && alert.text !== title && html`<p class="alert-text" dir="auto">${alert.text}</p>`}
        <p class="alert-facts">
          ${alert.camera && html`<span>${alert.camera}</span>`}
          ${title !== alertKind(alert.kind) && html`<span class="chip ${alert.kind}">${alertKind(alert.kind)}</span>`}
          ${alert.count > 1 && html`<span>${alert.count} times</span>`}
          ${alert.eventId && html`<a href=${eventHref(alert.eventId)}>Show the event</a>`}
          ${session && html`<a href=${liveHref(session)}>Jump to live</a>`}
        </p>
        ${acts && ["open", "snoozed"].includes(alert.state) &&
        html`<div class="alert-actions">
          <button type="button" class="primary small" aria-label=${`Acknowledge: ${title}`} aria-disabled=${busy} onClick=${() => act(() => acknowledgeAlert(alert))}><${CheckIcon} />Acknowledge</button>
          <${Snooze} alert=${alert} title=${title} onChoose=${(minutes, scope) => act(() => snoozeAlert(alert, minutes, scope).then(() => tell(snoozedWords(alert, scope, minutes))))} />
        </div>`}
      </div>
    </li>
  `;
}

/** A list whose choice is done at once, and which then stands as before. */
function Snooze({ alert, title, onChoose }) {
  const choose = (event) => {
    const [scope, minutes] = event.target.value.split(":");
    event.target.value = "";
    onChoose(Number(minutes), scope);
  };
  return html`
    <select class="snooze" aria-label=${`Snooze: ${title}`} value="" onChange=${choose}>
      <option value="" disabled>Snooze…</option>
      ${snoozesOf(alert).map(([scope, minutes, words]) => html`<option key=${words} value=${`${scope}:${minutes}`}>${words}</option>`)}
      ${alert.state === "snoozed" && html`<option value="alert:0">not any more</option>`}
    </select>
  `;
}
