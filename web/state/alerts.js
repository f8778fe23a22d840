// Alerts: what people should know of until somebody acknowledges it; and this browser's notifications of them.
import { batch, signal } from "../html.js";
import { alertPath, del, get, post } from "../net/api.js";
import { shownSignal } from "../net/auth.js";
import { followEvents } from "../net/event_stream.js";
import { keep, kept } from "../net/kept.js";
import { text, wall } from "../net/told.js";
import { ours } from "./event_facts.js";
import { eventHref, hrefOf } from "./router.js";

const PAGE = 50;
const POLL_TIMEOUT_MS = 5000;
const LOCK = "joyvl.notifications";
const BY = "the page";
const BURST_MS = 3000;
const MOST_AT_ONCE = 5;
const MOST_TOLD = 500;

/** Those that are open, whatever page is open; `more`: there are more of them. */
export const openAlerts = shownSignal({ alerts: [], more: false });
/** The list of the page. `filter`: "" for open ones, "snoozed", "all"; `alerts` is null until read. */
export const alertList = shownSignal({ filter: "", alerts: null, next: null, problem: null });
/** Cameras and watches of which nobody is told for a while: [{scope, id, name, until}]. */
export const snoozes = shownSignal([]);
/** What the browser does with alerts: unsupported, denied, default (not asked yet), off, on. */
export const notifying = signal(whetherNotifying());

/** An alert as views expect it, whatever server told it; null where that is none. */
export function alertOf(told) {
  if (typeof told?.id !== "string" || !told.id) return null;
  return {
    id: told.id,
    kind: text(told.kind) || "alert",
    wall: wall(told.wall) ?? wall(told.at) ?? 0,
    title: text(told.title),
    text: text(told.text),
    camera: text(told.camera),
    cameraId: text(told.camera_id) || null,
    eventId: text(told.event_id) || null,
    count: typeof told.count === "number" && told.count > 1 ? told.count : 1,
    state: text(told.state) || "closed",
    acknowledgedAt: wall(told.acknowledged_at),
    acknowledgedBy: text(told.acknowledged_by),
    snoozedUntil: wall(told.snoozed_until),
    watches: Array.isArray(told.watches) ? told.watches.length : 0,
    escalated: told.escalated === true,
    picture: ours(told.picture_url),
  };
}

const alertsOf = (list) => (Array.isArray(list) ? list.map(alertOf).filter(Boolean) : []);

/** How many are open: asked again and again, whatever page is open. */
export async function refreshOpenAlerts() {
  try {
    const { data, next } = await get(`/v1/alerts?state=open&limit=${PAGE}`, { ms: POLL_TIMEOUT_MS });
    showOpen(alertsOf(data), Boolean(next));
  } catch {
    // That nobody answers is told by `lost`; a list that cannot be had by the page of alerts.
  }
}

function showOpen(alerts, more) {
  const before = openAlerts.value;
  if (before.more === more && JSON.stringify(before.alerts) === JSON.stringify(alerts)) return;
  openAlerts.value = { alerts, more };
}

const stateOf = (filter) => filter || "open";
const pathOf = (filter, after) => `/v1/alerts?${new URLSearchParams({ limit: PAGE, ...(filter === "all" ? {} : { state: stateOf(filter) }), ...(after && { after }) })}`;

export async function refreshAlerts(filter) {
  if (alertList.value.filter !== filter) alertList.value = { filter, alerts: null, next: null, problem: null };
  try {
    const page = await get(pathOf(filter), { ms: POLL_TIMEOUT_MS });
    if (alertList.value.filter !== filter) return;
    const first = alertsOf(page.data);
    const read = new Set(first.map((alert) => alert.id));
    const oldest = first.at(-1)?.id ?? "";
    // Older pages that were opened stay open.
    const older = page.next ? (alertList.value.alerts ?? []).filter((alert) => alert.id < oldest && !read.has(alert.id)) : [];
    alertList.value = { filter, alerts: [...first, ...older], next: older.length ? alertList.value.next : (page.next ?? null), problem: null };
    if (filter === "") showOpen(first, Boolean(page.next));
  } catch (error) {
    if (error.status !== 0 && error.status !== 401) alertList.value = { ...alertList.value, problem: error.message };
  }
}

/** The page of the list that follows. Raises ApiError. */
export async function readOlderAlerts() {
  const { filter, next } = alertList.value;
  const page = await get(pathOf(filter, next));
  if (alertList.value.filter !== filter || alertList.value.next !== next) return;
  const known = new Set(alertList.value.alerts.map((alert) => alert.id));
  alertList.value = { ...alertList.value, alerts: [...alertList.value.alerts, ...alertsOf(page.data).filter((alert) => !known.has(alert.id))], next: page.next ?? null };
}

function learn(alert) {
  if (!alert) return;
  batch(() => {
    const { filter, alerts } = alertList.value;
    const changed = (alerts ?? []).map((known) => (known.id === alert.id ? alert : known));
    alertList.value = { ...alertList.value, alerts: alerts && (filter === "all" ? changed : changed.filter((known) => known.state === stateOf(filter))) };
    openAlerts.value = { ...openAlerts.value, alerts: openAlerts.value.alerts.filter((known) => known.id !== alert.id || alert.state === "open") };
  });
  if (alert.state !== "open") shown.get(alert.id)?.close();
}

/** Raises ApiError. */
export const acknowledgeAlert = async (alert) => learn(alertOf(await post(alertPath(alert.id, "/acknowledge"), { by: BY })));

/** All that are open, up to the newest that is shown here. Returns how many. Raises ApiError. */
export async function acknowledgeAll() {
  const upto = openAlerts.value.alerts[0]?.id;
  const told = await post("/v1/alerts/acknowledge", { by: BY, ...(upto && { upto }) });
  await Promise.all([refreshAlerts(alertList.value.filter), refreshOpenAlerts()]);
  return typeof told?.acknowledged === "number" ? told.acknowledged : 0;
}

/** `scope`: alert, camera, watch. Raises ApiError. */
export async function snoozeAlert(alert, minutes, scope = "alert") {
  learn(alertOf(await post(alertPath(alert.id, "/snooze"), { minutes, scope, by: BY })));
  if (scope !== "alert") await refreshSnoozes();
}

export async function refreshSnoozes() {
  try {
    const { data } = await get("/v1/snoozes", { ms: POLL_TIMEOUT_MS });
    const known = (Array.isArray(data) ? data : []).filter((one) => typeof one?.id === "string" && typeof one.scope === "string");
    snoozes.value = known.map(({ scope, id, name, until }) => ({ scope, id, name: text(name), until: wall(until) }));
  } catch {
    // The list of alerts tells that nobody answers.
  }
}

/** Raises ApiError; not where it is over already. */
export async function endSnooze({ scope, id }) {
  await del(`/v1/snoozes/${encodeURIComponent(scope)}/${encodeURIComponent(id)}`).catch((error) => {
    if (error.status !== 404) throw error;
  });
  await Promise.all([refreshSnoozes(), refreshAlerts(alertList.value.filter)]);
}

/** Where an alert leads: its event, else the list. */
export const alertHref = (alert) => (alert.eventId ? eventHref(alert.eventId) : hrefOf("alerts"));

// -------------------------------------------------------------------------------------------------------- notifications

/** Notifications on the screen, by the id of their alert. */
const shown = new Map();
/** Alerts that were shown here, by id: "shown", "snoozed". */
const told = new Map();
/** When the last ones were shown, in milliseconds. */
let recent = [];
let stopTelling = null;
/** Is anybody here to be told? */
let present = false;

function whetherNotifying() {
  if (!("Notification" in window) || !isSecureContext) return "unsupported";
  if (Notification.permission !== "granted") return Notification.permission;
  return kept("notify") === "on" ? "on" : "off";
}

/** A button was pressed: the browser may ask whether it may. */
export async function setNotifying(on) {
  keep("notify", on ? "on" : "");
  if (on && "Notification" in window && Notification.permission === "default") await Notification.requestPermission();
  notifying.value = whetherNotifying();
  settle();
}

/** One tab of a browser tells of alerts, also while nobody looks at it; that one holds the line to the server. */
function settle() {
  if (notifying.value !== "on" || !present) {
    stopTelling?.();
    stopTelling = null;
    return;
  }
  if (stopTelling) return;
  const aborter = new AbortController();
  stopTelling = () => aborter.abort();
  navigator.locks
    .request(LOCK, { signal: aborter.signal }, () => {
      const stream = followEvents("/v1/alerts", { onEvent: tell, unseen: true });
      return new Promise((done) => {
        aborter.signal.addEventListener("abort", () => {
          stream.stop();
          done();
        });
      });
    })
    .catch(() => {}); // switched off while another tab told
}

function tell({ type, alert: given }) {
  const alert = alertOf(given);
  if (!alert) return;
  const escalated = alert.escalated && shown.get(alert.id)?.escalated === false;
  const isNew = type === "alert.created" && !["acknowledged", "snoozed"].includes(alert.state);
  const isOver = alert.state === "open" && told.get(alert.id) === "snoozed";
  if (isNew || isOver || (escalated && alert.state === "open")) return notify(alert);
  if (alert.state === "snoozed" && told.has(alert.id)) told.set(alert.id, "snoozed");
  if (alert.state !== "open") shown.get(alert.id)?.close();
  refreshOpenAlerts();
}

/** After hours without a line many come at once: a few are shown, and that there are more. */
function notify(alert) {
  told.set(alert.id, "shown");
  if (told.size > MOST_TOLD) told.delete(told.keys().next().value);
  const now = Date.now();
  recent = [...recent.filter((at) => now - at < BURST_MS), now];
  if (recent.length > MOST_AT_ONCE) alert = { ...alert, id: "more", title: "More alerts", text: "Open the page to see all of them.", camera: "", eventId: null };
  const body = [alert.text, alert.camera].filter(Boolean).join("\n");
  try {
    const note = new Notification(alert.title || "joyvl", { body, tag: alert.id, icon: "/assets/favicon.svg" });
    note.escalated = alert.escalated;
    note.onclick = () => {
      window.focus();
      location.hash = alertHref(alert);
      note.close();
    };
    note.onclose = () => shown.delete(alert.id);
    shown.set(alert.id, note);
  } catch {
    // Browsers of phones show notifications by other means only.
    notifying.value = "unsupported";
    settle();
  }
  refreshOpenAlerts();
}

/** Begin, where that was chosen before. Returns what ends it, with what is on the screen. */
export function startNotifying() {
  present = true;
  settle();
  return () => {
    present = false;
    settle();
    for (const note of shown.values()) note.close();
  };
}
