// What the page knows of one session, grown by its updates. Pure: a view and an update give the next view.

import { sentence } from "./words.js";

const TICKS_KEPT = 600;
const LINES_KEPT = 400;
const LATENCIES_KEPT = 300;

/**
 * @typedef {object} Line  one entry of the transcript
 * @property {string} key
 * @property {number} wall  Unix seconds
 * @property {"said"|"asked"|"notice"|"task"} type
 * @property {string} text
 * @property {string|null} [log]  the log of updates it came in; epochs are counted within one
 * @property {number|null} [epoch]  which utterance, for what was said
 * @property {boolean} [streaming]  more text is to come
 * @property {string} [urgency]  notice: said by the server itself, not by the engine
 * @property {object|null} [tick]  the decision behind it
 * @property {"plain"|"warn"|"bad"|"good"} [tone]
 */

/**
 * `closed`: queries by id, once they are closed. `concerns`: by the id of a query, the watch it made or ended.
 * @param {string} id
 */
export const emptyView = (id) => ({ id, session: null, ticks: [], lines: [], closed: {}, concerns: {}, log: null, ended: null });

/** The next view. Unknown updates change nothing: a newer server may send some. */
export function grow(view, update) {
  switch (update.type) {
    case "session.created":
      return update.session.queries.reduce(withAsked, { ...view, session: update.session, log: logOf(update), ended: null });
    case "session.updated":
      return changeSession(view, update.session);
    case "session.ended":
      return withLine({ ...view, ended: update.reason }, notice(update, sentence(`The session ended: ${update.reason}`), "warn"));
    case "response.listen":
    case "response.skip":
      return withTick(view, update.tick);
    case "response.created":
      return withLine(view, said(view, update.epoch, update.wall, true));
    case "response.output_text.delta":
      return withUtterance(view, update, (line) => ({ ...line, text: line.text + update.delta }));
    case "response.output_text.done":
      return withUtterance(view, update, (line) => ({ ...line, text: update.text, streaming: false, wall: update.wall, urgency: update.urgency }));
    case "response.done":
      return withDecision(view, update.tick);
    case "query.created":
      return withAsked(withQuery(view, update.query), update.query);
    case "query.closed":
      return { ...withoutQuery(view, update.query.id), closed: { ...view.closed, [update.query.id]: update.query } };
    case "watch.created":
    case "watch.updated":
      return withWatch(withConcern(view, update), update.watch);
    case "watch.deleted":
      return changeSession(view, { watches: (view.session?.watches ?? []).filter((w) => w.id !== update.watch_id) });
    case "camera.online":
      return withState(view, update, "The picture is there.", "good");
    case "camera.offline":
      // The end of a call is told by session.ended.
      if (view.session?.kind === "call" && update.state.status === "ended") return changeSession(view, { state: update.state });
      return withState(view, update, `No picture: ${update.state.error ?? "the source went away."}`, "warn");
    case "task.updated":
      return withTask(view, update);
    case "error":
      return withLine(view, notice(update, update.error.message, "bad"));
    default:
      return view;
  }
}

/** Ticks fetched from the server, in any order: what happened before the page was opened. */
export function withHistory(view, ticks) {
  const known = new Set(view.ticks.map(tickKey));
  const missing = ticks.filter((tick) => !known.has(tickKey(tick)));
  const merged = [...view.ticks, ...missing].sort((a, b) => a.wall - b.wall).slice(-TICKS_KEPT);
  const spoken = missing.filter((tick) => tick.epoch !== null && tick.text).sort((a, b) => a.wall - b.wall);
  return spoken.reduce(withDecision, { ...view, ticks: merged });
}

/** A re-dialled call is a new session to the server, but one conversation to the reader. */
export function inherit(view, earlier) {
  const before = earlier.lines.filter((line) => !view.lines.some((other) => other.key === line.key));
  return { ...view, lines: [...before, ...view.lines], ticks: [...earlier.ticks, ...view.ticks].slice(-TICKS_KEPT) };
}

/** p50 and p95 in milliseconds of the newest decisions, by nearest rank, as the server counts them. */
export function latency(view) {
  const totals = view.ticks
    .map((tick) => tick.timings.total_ms)
    .filter((ms) => ms !== null)
    .slice(-LATENCIES_KEPT)
    .sort((a, b) => a - b);
  if (!totals.length) return view.session?.latency ?? { p50_ms: null, p95_ms: null, count: 0 };
  const rank = (share) => totals[Math.min(totals.length - 1, Math.trunc(share * totals.length))];
  return { p50_ms: rank(0.5), p95_ms: rank(0.95), count: totals.length };
}

/** One of: spoke, delegated, suppressed, skipped, silent. */
export function markOf(tick) {
  if (tick.skipped) return "skipped";
  if (tick.decision === "speak") return "spoke";
  if (tick.decision === "delegate") return "delegated";
  return tick.suppressed ? "suppressed" : "silent";
}

const tickKey = (tick) => tick.id;

/** Update ids are unique over restarts: the log's name, then the number. */
const logOf = (update) => update.id.slice(0, update.id.lastIndexOf("-"));

const said = ({ log }, epoch, wall, streaming) => ({
  key: `said-${log}-${epoch}`,
  type: "said",
  log,
  epoch,
  wall,
  text: "",
  streaming,
  tick: null,
});

const notice = (update, text, tone) => ({ key: update.id, type: "notice", wall: update.wall, text, tone });

const changeSession = (view, changes) => (view.session ? { ...view, session: { ...view.session, ...changes } } : view);

function withTick(view, tick) {
  return { ...view, ticks: [...view.ticks, tick].slice(-TICKS_KEPT) };
}

function withLine(view, line) {
  const lines = [...view.lines, line];
  // Nearly always the newest comes last; history does not.
  if (view.lines.length && view.lines.at(-1).wall > line.wall) lines.sort((a, b) => a.wall - b.wall);
  return { ...view, lines: lines.slice(-LINES_KEPT) };
}

function withAsked(view, query) {
  if (view.lines.some((line) => line.key === query.id)) return view;
  return withLine(view, { key: query.id, type: "asked", wall: Date.parse(query.asked_at) / 1000, text: query.text });
}

function withUtterance(view, update, change) {
  const at = lineOf(view, update.epoch);
  if (at < 0) return withLine(view, change(said(view, update.epoch, update.wall, true)));
  return { ...view, lines: view.lines.with(at, change(view.lines[at])) };
}

/** Epochs begin anew when the session does, so an utterance is the same only within one log. */
function lineOf(view, epoch) {
  return view.lines.findLastIndex((line) => line.type === "said" && line.epoch === epoch && line.log === view.log);
}

function withDecision(view, tick) {
  const next = view.ticks.some((known) => tickKey(known) === tickKey(tick)) ? view : withTick(view, tick);
  if (tick.epoch === null) return next;
  const at = lineOf(next, tick.epoch);
  const line = at < 0 ? said(next, tick.epoch, tick.wall, false) : next.lines[at];
  const done = { ...line, text: tick.text || line.text, streaming: false, tick };
  return at < 0 ? withLine(next, done) : { ...next, lines: next.lines.with(at, done) };
}

function withState(view, update, text, tone) {
  return withLine(changeSession(view, { state: update.state }), notice(update, text, tone));
}

function withTask(view, update) {
  const { task } = update;
  const key = `task-${task.id}`;
  const line = { key, type: "task", wall: update.wall, text: task.question, task };
  const at = view.lines.findIndex((known) => known.key === key);
  return at < 0 ? withLine(view, line) : { ...view, lines: view.lines.with(at, { ...line, wall: view.lines[at].wall }) };
}

function withQuery(view, query) {
  const others = (view.session?.queries ?? []).filter((q) => q.id !== query.id);
  return changeSession(view, { queries: [...others, query] });
}

const withoutQuery = (view, id) => changeSession(view, { queries: (view.session?.queries ?? []).filter((q) => q.id !== id) });

/** The watch may be kept a moment after the query that asked for it was closed, so it names the query itself. */
function withConcern(view, { query_id, watch }) {
  return query_id ? { ...view, concerns: { ...view.concerns, [query_id]: watch.id } } : view;
}

function withWatch(view, watch) {
  const watches = view.session?.watches ?? [];
  const at = watches.findIndex((known) => known.id === watch.id);
  return changeSession(view, { watches: at < 0 ? [...watches, watch] : watches.with(at, watch) });
}
