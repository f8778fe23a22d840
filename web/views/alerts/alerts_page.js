// Alerts: what is open, what was, and where alerts go besides this page.
import { html } from "../../html.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { acknowledgeAll, alertList, readOlderAlerts, refreshAlerts, snoozes } from "../../state/alerts.js";
import { refreshCameras, zone } from "../../state/lists.js";
import { attempt, tell } from "../../state/messages.js";
import { hrefOf, route } from "../../state/router.js";
import { ALERT_TABS, NO_ALERTS } from "../../text/alert_words.js";
import { CheckIcon } from "../common/icons.js";
import { NotYours } from "../common/not_yours.js";
import { useTitle } from "../common/title.js";
import { AlertRow } from "./alert_row.js";
import { HookPage } from "./hook_page.js";
import { NotifyCard } from "./notify_card.js";
import { Snoozed } from "./snoozed.js";

const POLL_MS = 3000;

export function AlertsPage() {
  const { id } = route.value;
  const tab = ALERT_TABS.some(([name]) => name === id) ? id : "";
  const seesHooks = may("GET /v1/hooks");
  useTitle("Alerts");
  return html`
    <div class="page alerts" data-zone=${zone.value}>
      <div class="section-head"><h1>Alerts</h1></div>
      <nav class="filters" aria-label="Which alerts">
        ${ALERT_TABS.filter(([name]) => name !== "hooks" || seesHooks).map(([name, words]) => html`<a key=${name} href=${hrefOf("alerts", name)} aria-current=${tab === name ? "true" : undefined}>${words}</a>`)}
      </nav>
      ${tab === "hooks" && !seesHooks && html`<${NotYours} back="#/alerts" words="Show the alerts" />`}
      ${tab === "hooks" ? seesHooks && html`<${HookPage} />` : html`<${AlertList} filter=${tab} />`}
    </div>
  `;
}

function AlertList({ filter }) {
  usePoll(() => refreshAlerts(filter), POLL_MS, [filter]);
  usePoll(refreshCameras, 10_000);
  const { alerts, next, problem } = alertList.value.filter === filter ? alertList.value : { alerts: null };
  return html`
    <${NotifyCard} />
    ${filter === "snoozed" && html`<${Snoozed} />`}
    ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
    ${alerts === null && !problem && html`<p class="muted">Reading the list…</p>`}
    ${alerts?.length === 0 && !(filter === "snoozed" && snoozes.value.length) && html`<${Empty} filter=${filter} />`}
    ${filter === "" && alerts?.length > 1 && may("POST /v1/alerts/acknowledge") && html`<p class="alerts-all"><button type="button" class="small" onClick=${() => attempt(() => acknowledgeAll().then((count) => tell(`${count} acknowledged.`)))}><${CheckIcon} />Acknowledge all</button></p>`}
    ${alerts?.length > 0 && html`<ul class="alert-list">${alerts.map((alert) => html`<${AlertRow} key=${alert.id} alert=${alert} />`)}</ul>`}
    ${alerts?.length > 0 && next && html`<p class="older"><button type="button" onClick=${() => attempt(readOlderAlerts)}>Show older ones</button></p>`}
  `;
}

function Empty({ filter }) {
  const { title, text } = NO_ALERTS[filter] ?? NO_ALERTS[""];
  return html`
    <section class="card empty-state">
      <h2>${title}</h2>
      <p class="muted">${text}</p>
      ${may("POST /v1/hooks") && html`<p class="muted">They can also be sent elsewhere: to Home Assistant, a phone, or a program of yours.</p>
        <a class="button" href=${hrefOf("alerts", "hooks")}>Choose where alerts go</a>`}
    </section>
  `;
}
