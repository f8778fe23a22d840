// What alerts, and the hooks that carry them elsewhere, are called.
import { ago, timeOfDay } from "./format.js";
import { sentence } from "./words.js";

/** What alerts may be of: [kind, words]. */
export const ALERT_KINDS = [
  ["watch_fired", "A watch fired"],
  ["camera_offline", "A camera is lost"],
  ["camera_online", "A camera is back"],
  ["task", "A task is done"],
  ["engine_offline", "The engine is away"],
  ["engine_online", "The engine is back"],
  ["disk", "The disk is full or broken"],
];

export const alertKind = (kind) => ALERT_KINDS.find(([known]) => known === kind)?.[1] ?? (kind === "test" ? "A test" : kind.replaceAll("_", " "));

/** The tabs of the page: [part of the address, words]. */
export const ALERT_TABS = [
  ["", "Open"],
  ["snoozed", "Snoozed"],
  ["all", "All"],
  ["hooks", "Where they go"],
];

const SPANS = [
  [10, "10 minutes"],
  [60, "1 hour"],
  [480, "8 hours"],
  [1440, "1 day"],
];

/** How long an alert, all of its camera, or all of its watches can be snoozed: [scope, minutes, words]. */
export function snoozesOf({ cameraId, watches }) {
  const scopes = [["alert", ""], ...(cameraId ? [["camera", "the whole camera "]] : []), ...(watches ? [["watch", watches > 1 ? "these watches " : "this watch "]] : [])];
  return scopes.flatMap(([scope, what]) => SPANS.filter(([minutes]) => scope === "alert" || minutes >= 60).map(([minutes, words]) => [scope, minutes, `${what}for ${words}`]));
}

/** What was done, once an alert was snoozed. */
export function snoozedWords({ camera }, scope, minutes) {
  if (!minutes) return "It is not snoozed any more.";
  const span = SPANS.find(([known]) => known === minutes)?.[1] ?? `${minutes} minutes`;
  if (scope === "camera") return `Nobody is told of ${camera || "this camera"} for ${span}. It stands under Snoozed.`;
  if (scope === "watch") return `Nobody is told of this watch for ${span}. It stands under Snoozed.`;
  return `Snoozed for ${span}. It stands under Snoozed and is told again then.`;
}

/** What became of an alert: {word, tone}. */
export function alertState({ state, acknowledgedBy, acknowledgedAt, snoozedUntil }) {
  if (state === "acknowledged") {
    const by = acknowledgedBy && acknowledgedBy !== "somebody" ? ` by ${acknowledgedBy}` : "";
    return { word: `Acknowledged${by}${acknowledgedAt ? `, ${timeOfDay(acknowledgedAt)}` : ""}`, tone: "online" };
  }
  if (state === "snoozed") return { word: snoozedUntil ? `Snoozed until ${timeOfDay(snoozedUntil)}` : "Snoozed", tone: "connecting" };
  if (state === "open") return { word: "Open", tone: "offline" };
  return { word: "Over", tone: "off" };
}

/** "1 open alert", "3 open alerts" */
export const openWords = (count, more) => `${count}${more ? " or more" : ""} open ${count === 1 && !more ? "alert" : "alerts"}`;

export const NO_ALERTS = {
  "": { title: "Nothing is open", text: "When a watch fires, a camera is lost or the model is away, it stands here until somebody acknowledges it." },
  snoozed: { title: "Nothing is snoozed", text: "An alert that is snoozed stands here, and is told again when its time is over." },
  all: { title: "No alert yet", text: "When a watch fires, a camera is lost or the model is away, it stands here." },
};

/** Why this browser tells nothing: a sentence. */
export const NOTIFY = {
  unsupported: "This browser shows no notifications to this page. It needs https, or localhost.",
  denied: "The browser does not let this page show notifications. Allow them at the left of the address bar.",
  default: "Alerts can be shown by this browser, while this page is open somewhere in it.",
  off: "Alerts can be shown by this browser, while this page is open somewhere in it.",
  on: "This browser shows each new alert, while this page is open somewhere in it. A click on one opens its event.",
};

// ---------------------------------------------------------------------------------------------------------------- hooks

/** Kinds of hooks: [kind, words, what it does]. */
export const HOOK_KINDS = [
  ["webhook", "Webhook", "Sends each alert as JSON to an address, with a signature (Standard Webhooks)."],
  ["mqtt", "MQTT, Home Assistant", "Tells a broker of alerts and of the state of cameras. Home Assistant finds them by itself."],
  ["apprise", "Apprise", "Telegram, Pushover, ntfy, e-mail and a hundred others, by one address each. Needs joyvl-server[apprise]."],
];

export const hookKind = (kind) => HOOK_KINDS.find(([known]) => known === kind)?.[1] ?? kind;

/** The fields of each kind: {name, label, type, hint, placeholder, required, secret, value}. A kind that is not here gets JSON. */
export const HOOK_FIELDS = {
  webhook: [
    { name: "url", label: "Address", type: "url", required: true, placeholder: "https://home.example/alerts" },
    { name: "secret", label: "Secret", type: "secret", hint: "Signs each message. Leave it empty: a good one is made, and can be shown afterwards.", placeholder: "whsec_…" },
    { name: "headers", label: "Headers", type: "pairs", hint: "One in a line, such as Authorization: Bearer …", placeholder: "Authorization: Bearer …" },
    { name: "picture", label: "Send the picture along", type: "check" },
  ],
  mqtt: [
    { name: "host", label: "Broker", type: "text", required: true, placeholder: "broker.lan" },
    { name: "port", label: "Port", type: "integer", placeholder: "1883, with TLS 8883" },
    { name: "username", label: "User name", type: "text" },
    { name: "password", label: "Password", type: "secret" },
    { name: "tls", label: "With TLS", type: "check" },
    { name: "topic", label: "Topics begin with", type: "text", placeholder: "joyvl" },
    { name: "discovery", label: "Home Assistant finds the cameras by itself", type: "check", value: true },
  ],
  apprise: [{ name: "urls", label: "Addresses", type: "lines", required: true, hint: "One in a line, as Apprise writes them. They hold secrets, so they are shown as *** afterwards.", placeholder: "ntfy://ntfy.sh/my-topic" }],
};

/** How a hook is doing: {word, tone, text}. */
export function hookState({ enabled, state }) {
  if (!enabled) return { word: "Off", tone: "off", text: "Nothing is sent to it." };
  const waiting = state.waiting > 0 ? ` ${state.waiting === 1 ? "1 message waits" : `${state.waiting} messages wait`}.` : "";
  const retry = state.retryInS === null ? "" : ` It is tried again within ${Math.max(1, Math.round(state.retryInS))} s.`;
  if (state.ok === false) return { word: "Failing", tone: "offline", text: `${sentence(state.lastError || "The last message was not taken")}${waiting}${retry}` };
  if (state.waiting > 0) return { word: "Waiting", tone: "connecting", text: `${waiting.trim()}${retry}` };
  if (state.ok) return { word: "Works", tone: "online", text: "The last message was taken." };
  return { word: "Unused", tone: "off", text: "Nothing was sent yet. Test it." };
}

/** What a hook is told of, in a line. */
export function hookScope({ events, cameras, watches, escalates, escalateAfterS, quietHours, hold, cooldownS }, nameOf) {
  const parts = [events.length ? events.map(alertKind).join(", ") : "All alerts"];
  if (cameras.length) parts.push(`of ${cameras.map(nameOf).join(", ")}`);
  if (watches.length) parts.push(`watches: ${watches.map(nameOf).join(", ")}`);
  if (escalates > 0) parts.push(`only if nobody acknowledges${escalateAfterS ? ` within ${spanWords(escalateAfterS)}` : ""}`);
  if (quietHours.length) parts.push(`quiet ${quietHours.map(quietWords).join(", ")}${hold ? ", sent afterwards" : ""}`);
  if (cooldownS) parts.push(`at most every ${spanWords(cooldownS)}`);
  return parts.join(" · ");
}

/** "22:00–07:00 (Fri, Sat)" */
const quietWords = ({ from, to, days }) => `${from}–${to}${days.length ? ` (${DAYS.filter(([day]) => days.includes(day)).map(([, words]) => words).join(", ")})` : ""}`;

/** "90 s", "10 min", "2 h" */
export const spanWords = (seconds) => ago(0, 1000 * seconds);

/** Who is told when: [escalates, words]. */
export const CONTACTS = [
  [0, "At once"],
  [1, "Next, if nobody acknowledges"],
  [2, "After that"],
  [3, "Last of all"],
];

export const DAYS = [
  ["mon", "Mon"],
  ["tue", "Tue"],
  ["wed", "Wed"],
  ["thu", "Thu"],
  ["fri", "Fri"],
  ["sat", "Sat"],
  ["sun", "Sun"],
];

const DELIVERIES = {
  sent: ["Taken", "online"],
  waiting: ["Waits", "connecting"],
  later: ["Later", "connecting"],
  dead: ["Given up", "offline"],
  refused: ["Refused", "offline"],
  skipped: ["Kept back", "off"],
  cancelled: ["Not needed any more", "off"],
};

/** What became of one message: {word, tone}. */
export function deliveryState(state) {
  const [word, tone] = DELIVERIES[state] ?? [state, "off"];
  return { word, tone };
}

const REASONS = { new: "a new alert", repeat: "repeats of an alert", reminder: "the end of a snooze", escalation: "nobody acknowledged", test: "a test" };

export const reasonWords = (reason) => REASONS[reason] ?? reason;

/** What a test came to, as a sentence. */
export function testWords({ ok, status, message, tookS }) {
  const answer = message ? ` ${sentence(message)}` : status ? ` It answered ${status}.` : "";
  return `${ok ? "It was taken." : "It was not taken."}${answer}${tookS === null ? "" : ` It took ${tookS.toFixed(1)} s.`}`;
}
