// The frame around every page: header, sign-in, messages.
import { html, useEffect, useState } from "../html.js";
import { call, stopCall } from "../call/call.js";
import { loginCode, me, needsKey } from "../net/auth.js";
import { lost, useSeconds } from "../net/contact.js";
import { usePoll } from "../net/poll.js";
import { openAlerts, refreshOpenAlerts, startNotifying } from "../state/alerts.js";
import { asking, refreshAsking } from "../state/asking.js";
import { listError, refreshZone, zone } from "../state/lists.js";
import { toast } from "../state/messages.js";
import { go, liveHref, route } from "../state/router.js";
import { stream, view } from "../state/session.js";
import { ago } from "../text/format.js";
import { openWords } from "../text/alert_words.js";
import { askingWords } from "../text/task_words.js";
import { AccessPage } from "./access/access_page.js";
import { AlertsPage } from "./alerts/alerts_page.js";
import { Cameras } from "./cameras/cameras.js";
import { Account, askWho } from "./common/account.js";
import { CrossIcon, Logo, PhoneDownIcon } from "./common/icons.js";
import { useTabTitle } from "./common/title.js";
import { Landing } from "./landing/landing.js";
import { Live } from "./live/live.js";
import { MemoryPage } from "./memory/memory_page.js";
import { SignIn } from "./sign_in.js";
import { TaskPage } from "./tasks/task_page.js";
import { TimelinePage } from "./timeline/timeline_page.js";

const ASKING_MS = 3000;
const ALERTS_MS = 4000;
const ZONE_MS = 600_000;
const WHO_MS = 600_000;

export function App() {
  const { page, id } = route.value;
  useFollowCall();
  useTabTitle();
  const [asked, setAsked] = useState(false);
  usePoll(() => askWho().finally(() => setAsked(true)), WHO_MS, [], { unseen: true }); // a tab opened behind others counts and tells, too
  if (needsKey.value || loginCode.value) return html`<${SignIn} />`;
  if (!asked) return null; // so that nothing shows up that is not for this browser
  if (me.value?.role === "ingest") return html`<${SendsOnly} />`;
  return html`
    <a class="skip-link" href="#main" onClick=${toMain}>Skip to content</a>
    <${Header} page=${page} id=${id} />
    <${Banner} live=${page === "live" && id} />
    <main id="main" tabindex="-1" data-contact=${lost.value === null ? "held" : "lost"} data-zone=${zone.value}>
      <${Page} page=${page} id=${id} />
    </main>
    <${AskingAloud} page=${page} />
    <${Toast} />
  `;
}

/** A key that only brings media in finds nothing here. */
const SendsOnly = () => html`
  <header class="top"><span class="brand"><${Logo} /><span>joyvl</span></span><${Account} /></header>
  <main id="main"><div class="page narrow empty-state"><h1>Your key only sends</h1><p class="muted">It brings pictures and sound in and opens nothing else, so there is nothing to see here. Sign out, and in again with another key.</p></div></main>
  <${Toast} />
`;

function Page({ page, id }) {
  if (page === "access") return html`<${AccessPage} />`;
  if (page === "cameras") return html`<${Cameras} />`;
  if (page === "tasks") return html`<${TaskPage} />`;
  if (page === "memory") return html`<${MemoryPage} />`;
  if (page === "alerts") return html`<${AlertsPage} />`;
  if (page === "timeline") return html`<${TimelinePage} />`;
  return id ? html`<${Live} key="live" id=${id} />` : html`<${Landing} />`;
}

/** What keeps the page from telling the truth. A session's own page reports its connection itself. */
function Banner({ live }) {
  useEffect(() => () => (listError.value = null), [route.value]);
  const told = live && stream.value.state === "away";
  const since = told ? null : lost.value;
  const now = useSeconds(since !== null);
  const words = since !== null ? `The server does not answer. What you see is ${ago(since, now)} old.` : listError.value;
  return html`<div role="status">${words && html`<p class="banner">${words} Trying again.</p>`}</div>`;
}

/** A new call opens its session. A re-dialled one is a new session too: whoever looked at the old one looks on at it. */
function useFollowCall() {
  const sessionId = call.value?.sessionId;
  const replaced = call.value?.replaced;
  useEffect(() => {
    if (!sessionId) return;
    if (!replaced) go(liveHref(sessionId));
    else if (replaced === route.value.id) go(liveHref(sessionId), { replace: true });
  }, [sessionId]);
}

/** The address keeps naming the page, so the skip link moves the focus itself. */
function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Header({ page, id }) {
  usePoll(refreshZone, ZONE_MS);
  const link = (name, href, text) => html`<a href=${href} aria-current=${page === name ? "page" : undefined}>${text}</a>`;
  return html`
    <header class="top">
      <a class="brand" href="#/live" aria-label="joyvl, start page"><${Logo} /><span>joyvl</span></a>
      <nav aria-label="Pages">
        ${link("live", "#/live", "Live")} ${link("timeline", "#/timeline", "Timeline")} ${link("memory", "#/memory", "Memory")}
        <${AlertsLink} open=${page === "alerts"} /> ${link("cameras", "#/cameras", "Cameras")} <${TasksLink} open=${page === "tasks"} />
      </nav>
      <${CallPill} openId=${page === "live" ? id : null} />
      <${Account} open=${page === "access"} />
    </header>
  `;
}

/** With how many are open, whatever page is. */
function AlertsLink({ open }) {
  usePoll(refreshOpenAlerts, ALERTS_MS, [], { unseen: true });
  useEffect(startNotifying, []);
  const { alerts, more } = openAlerts.value;
  const count = alerts.length;
  return html`
    <a href="#/alerts" class=${count ? "with-count" : undefined} aria-label=${count ? `Alerts, ${openWords(count, more)}` : undefined} aria-current=${open ? "page" : undefined}>Alerts${count > 0 && html`<span class="count">${count}${more ? "+" : ""}</span>`}</a>
  `;
}

/** With how many of them wait for a permission, which also a page behind others has to know. */
function TasksLink({ open }) {
  usePoll(refreshAsking, ASKING_MS, [], { unseen: true });
  const count = asking.value.length;
  return html`
    <a href="#/tasks" class=${count ? "with-count" : undefined} aria-label=${count ? `Tasks, ${askingWords(asking.value)}` : undefined} aria-current=${open ? "page" : undefined}>Tasks${count > 0 && html`<span class="count">${count}</span>`}</a>
  `;
}

/** Tells a screen reader that an agent asks, unless the open page tells it: Tasks, or Live in its transcript. */
function AskingAloud({ page }) {
  const shown = new Set(view.value.lines.filter((line) => line.type === "task").map((line) => line.task.id));
  const others = page === "tasks" ? [] : asking.value.filter((task) => !shown.has(task.id));
  return html`<p class="visually-hidden" role="status" data-testid="asking-aloud">${others.length > 0 && `${askingWords(others)}.`}</p>`;
}

/** The webcam is on while one looks at another page: say so, and let it be ended from everywhere. */
function CallPill({ openId }) {
  const now = call.value;
  if (!now || now.status === "failed" || !now.sessionId || now.sessionId === openId) return null;
  return html`
    <div class="call-pill">
      <a href=${liveHref(now.sessionId)}><span class="dot online" aria-hidden="true"></span>Webcam on</a>
      <button type="button" class="icon-button bad" aria-label="Hang up" onClick=${stopCall}><${PhoneDownIcon} /></button>
    </div>
  `;
}

function Toast() {
  return html`
    <div class="toasts" role="alert">
      ${toast.value &&
      html`<div class="toast">
        <span>${toast.value.text}</span>
        <button type="button" class="icon-button" aria-label="Close message" onClick=${() => (toast.value = null)}><${CrossIcon} /></button>
      </div>`}
    </div>
  `;
}
