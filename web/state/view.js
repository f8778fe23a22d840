// What the page knows of one session, grown by its updates. Pure: a view and an update give the next view.

import { engineNotice, sentence } from "../text/words.js";
import { growSound, heardLine, SILENCE, soundOfLine, spokenSource } from "./spoken.js";
import { isOver, merged, mergedAnswer } from "./task_facts.js";

const TICKS_KEPT = 600;
const LINES_KEPT = 400;
const LATENCIES_KEPT = 300;
const LONGEST_REMARK_S = 120;

/**
 * @typedef {object} Line  one entry of the transcript
 * @property {string} key
 * @property {number} wall  Unix seconds
 * @property {"said"|"asked"|"heard"|"notice"|"task"} type  heard: somebody said it; was it meant for us, it is asked too
 * @property {string} text
 * @property {string} [session]  whose epoch it is: a call that is dialled again is another session
 * @property {number|null} [epoch]  which utterance, for what was said; never used twice in a session
 * @property {boolean} [streaming]  more text is to come
 * @property {boolean} [cut]  it broke off: no more text comes
 * @property {string} [urgency]  notice: said by the server itself, not by the engine
 * @property {object|null} [tick]  the decision behind it
 * @property {number} [heard]  characters of what was said that were heard
 * @property {string} [cutOff]  the words that were heard before it was cut off
 * @property {object} [task]  what is known of a delegated task, see `task_facts.js`
 * @property {boolean} [addressed]  it was meant for us
 * @property {boolean} [spoken]  the question was spoken, not typed
 * @property {"plain"|"warn"|"bad"|"good"} [tone]
 */

/**
 * `closed`: queries by id, once they are closed. `concerns`: by the id of a query, the watch it made or ended. `log`: the
 * session's log of updates; another one after a restart of the server or a change of the camera.
 * @param {string} id
 */
export const emptyView = (id) => ({ id, session: null, ticks: [], lines: [], closed: {}, concerns: {}, log: null, ended: null, sound: SILENCE });

/** The next view. Unknown updates change nothing: a newer server may send some. */
export function grow(view, update) {
  const next = growFacts(view, update);
  const sound = growSound(next.sound, update);
  return sound === next.sound ? next : { ...next, sound };
}

function growFacts(view, update) {
  switch (update.type) {
    case "session.created":
      return update.session.queries.reduce(withAsked, begin(view, update));
    case "session.updated":
      return changeSession(withEngine(view, update), update.session);
    case "session.ended":
      return withEnd({ ...view, ended: update.reason }, update.wall, update.reason);
    case "response.listen":
    case "response.skip":
      return withTick(view, update.tick);
    case "response.created":
      return withUtterance(view, update, (line) => line);
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
    case "camera.offline": {
      const next = changeSession(view, { state: update.state });
      // The end of a call is told by session.ended.
      if (view.session?.kind === "call" && update.state.status === "ended") return next;
      return withSource(next, update.wall, update.state);
    }
    case "task.updated":
      return withTask(view, update);
    case "output_audio_buffer.stopped":
    case "conversation.item.truncated":
      return withSound(view, update.epoch, update.wall, soundOfLine(update));
    case "conversation.item.input_audio_transcription.completed":
      return withHeard(view, { id: update.item_id, wall: update.wall, text: update.transcript, addressed: update.addressed });
    case "error":
      return withLine(view, notice(update.id, update.wall, update.error.message, "bad"));
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

/** The session as it is now. Another log: what was being said when the one before broke off is not finished any more. */
function begin(view, update) {
  const log = logOf(update);
  const broken = (line) => (line.streaming && view.log !== log ? { ...line, streaming: false, cut: true } : line);
  return { ...view, session: update.session, lines: view.lines.map(broken), log, ended: null };
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

const said = ({ id }, epoch, wall, streaming) => ({
  key: `said-${id}-${epoch}-${Math.round(wall)}`,
  type: "said",
  session: id,
  epoch,
  wall,
  text: "",
  streaming,
  tick: null,
});

const notice = (key, wall, text, tone) => ({ key, type: "notice", wall, text, tone });

export const changeSession = (view, changes) => (view.session ? { ...view, session: { ...view.session, ...changes } } : view);

function withTick(view, tick) {
  return { ...view, ticks: [...view.ticks, tick].slice(-TICKS_KEPT) };
}

export function withLine(view, line) {
  if (view.lines.some((known) => known.key === line.key)) return view;
  const lines = [...view.lines, line];
  // Nearly always the newest comes last; history does not.
  if (view.lines.length && view.lines.at(-1).wall > line.wall) lines.sort((a, b) => a.wall - b.wall);
  return { ...view, lines: lines.slice(-LINES_KEPT) };
}

const withAsked = (view, query) => withQuestion(view, query.id, Date.parse(query.asked_at) / 1000, query.text);

/** A spoken question takes the place of the sentence it was. */
export function withQuestion(view, id, wall, text) {
  const at = spokenSource(view.lines, { wall, text });
  if (at < 0) return withLine(view, { key: id, type: "asked", wall, text });
  return withLine({ ...view, lines: view.lines.toSpliced(at, 1) }, { key: id, type: "asked", wall, text, spoken: true });
}

/** What somebody said; nothing where it was no speech. Where it is known as a question, that one was spoken. */
export function withHeard(view, said) {
  if (!said.text) return view;
  const line = heardLine(said);
  const at = view.lines.findLastIndex((known) => known.type === "asked" && spokenSource([line], known) === 0);
  return at < 0 ? withLine(view, line) : { ...view, lines: view.lines.with(at, { ...view.lines[at], spoken: true }) };
}

/** How much of an utterance was heard. One whose text is not known here gets no line. */
export function withSound(view, epoch, wall, facts) {
  const at = lineOf(view, epoch, wall);
  return at < 0 ? view : { ...view, lines: view.lines.with(at, { ...view.lines[at], ...facts }) };
}

export function withUtterance(view, update, change) {
  const at = lineOf(view, update.epoch, update.wall);
  if (at < 0) return withLine(view, change(said(view, update.epoch, update.wall, true)));
  return { ...view, lines: view.lines.with(at, change(view.lines[at])) };
}

/** Records of servers before this one may hold an epoch twice; those remarks are far from one another in time. */
function lineOf(view, epoch, wall) {
  const same = (line) => line.type === "said" && line.epoch === epoch && line.session === view.id;
  return view.lines.findLastIndex((line) => same(line) && Math.abs(line.wall - wall) < LONGEST_REMARK_S);
}

function withDecision(view, tick) {
  const next = view.ticks.some((known) => tickKey(known) === tickKey(tick)) ? view : withTick(view, tick);
  if (tick.epoch === null) return next;
  const at = lineOf(next, tick.epoch, tick.wall);
  const line = at < 0 ? said(next, tick.epoch, tick.wall, false) : next.lines[at];
  const done = { ...line, text: tick.text || line.text, streaming: false, cut: false, tick };
  return at < 0 ? withLine(next, done) : { ...next, lines: next.lines.with(at, done) };
}

/** The same moment has the same key, told by an update or by the timeline. */
export const withSource = (view, wall, state) =>
  withLine(
    view,
    state.status === "online"
      ? notice(`source-${state.status}-${state.since}`, wall, "The picture is there.", "good")
      : notice(`source-${state.status}-${state.since}`, wall, `No picture: ${state.error ?? "the source went away."}`, "warn"),
  );

export function withEngineState(view, wall, state) {
  const { text, tone } = engineNotice(state);
  return withLine(view, notice(`engine-${state.status}-${state.since}`, wall, text, tone));
}

/** Told when decisions stop and when they come again, as the timeline tells it. A first try that takes long is neither. */
function withEngine(view, { wall, session }) {
  const decides = (state) => !state || ["ready", "slow"].includes(state.status) || (state.status === "loading" && !state.code);
  const after = session.engine_state;
  return decides(view.session?.engine_state) === decides(after) ? view : withEngineState(view, wall, after);
}

/** An end that update and timeline tell a moment apart is one. */
export function withEnd(view, wall, reason) {
  if (view.lines.some((line) => line.key.startsWith("ended-") && Math.abs(line.wall - wall) < 2)) return view;
  return withLine(view, notice(`ended-${wall}`, wall, sentence(`The session ended: ${reason}`), "warn"));
}

export const withBegin = (view, wall) => withLine(view, notice(`began-${wall}`, wall, "Watching began.", "plain"));

/** A task stands where it was asked. */
export const withTask = (view, { task }) => withTaskLine(view, task, (known) => merged(known, task));

/**
 * Tasks that the server listed; `then`: the tasks in the view when it was asked. Old ones that are over, and were told, are
 * left out where the transcript does not reach back to them (`since`, Unix seconds).
 */
export function withTasks(view, tasks, then = new Map(), since = -Infinity) {
  return tasks.reduce((next, task) => {
    if (isOver(task) && (task.delivered || task.status === "cancelled") && askedWall(task) < since) return next;
    return withTaskLine(next, task, (known) => mergedAnswer(known, task, then.get(task.id)));
  }, view);
}

/** The tasks in the view, by id. */
export const tasksOf = (view) => new Map(view.lines.filter((line) => line.type === "task").map((line) => [line.task.id, line.task]));

const askedWall = (task) => Date.parse(task.created_at) / 1000;

function withTaskLine(view, { id, question, created_at }, change) {
  const key = `task-${id}`;
  const at = view.lines.findIndex((known) => known.key === key);
  if (at < 0) return withLine(view, { key, type: "task", wall: askedWall({ created_at }), text: question, task: change(undefined) });
  const task = change(view.lines[at].task);
  return task === view.lines[at].task ? view : { ...view, lines: view.lines.with(at, { ...view.lines[at], task }) };
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
