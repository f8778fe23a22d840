// The timeline over all sessions: the part of it that is shown, what is new meanwhile, and what can be done with events.
import { batch } from "../html.js";
import { del, eventPath, get, patch } from "../net/api.js";
import { shownSignal } from "../net/auth.js";
import { followEvents } from "../net/event_stream.js";
import { typesOf } from "../text/event_words.js";
import { dayStart, wallOf } from "../text/format.js";
import { eventOf, eventsOf, fits, merged } from "./event_facts.js";

const PAGE = 40;
const FRESH_KEPT = 200;
const AT_ONCE = 4;
const WEEK_DAYS = 6;
const FIRST_RETRY_MS = 2000;
const DELETE_MS = 300_000;

/**
 * `key`: of which filter; `events`: null until they were read; `next`: the cursor of what is older; `problem`: a sentence where
 * they cannot be had; `live`: do new ones come by themselves?
 */
export const timeline = shownSignal(nothing(""));
/** What came while it was not wanted in the list: the reader is further down. */
export const fresh = shownSignal([]);
/** Events by id that were opened alone; null: there is none with that id. */
export const opened = shownSignal({});

function nothing(key) {
  return { key, events: null, next: null, problem: null, live: "" };
}

/** A filter as the address has it, as the server understands it. Times are those of the server's zone. */
export function narrowing(asked, now = Date.now() / 1000) {
  return {
    query: (asked.query ?? "").trim(),
    by: asked.by === "meaning" ? "meaning" : "words",
    types: typesOf(asked.group ?? ""),
    kind: asked.kind ?? "",
    cameraId: asked.camera ?? "",
    watchId: asked.watch ?? "",
    kept: asked.kept === "yes",
    ...spanOf(asked, now),
  };
}

function spanOf({ span, start = "", end = "" }, now) {
  if (span === "today") return { since: dayStart(now), until: null };
  if (span === "yesterday") return { since: dayStart(now, 1), until: dayStart(now) };
  if (span === "week") return { since: dayStart(now, WEEK_DAYS), until: null };
  if (span === "own") return { since: wallOf(start), until: wallOf(end) };
  return { since: null, until: null };
}

function pathOf(filter, after) {
  const asked = askedOf(filter);
  asked.append("limit", PAGE);
  if (filter.query) asked.append("by", filter.by);
  if (after) asked.append("after", after);
  return `/v1/events?${asked}`;
}

function askedOf({ query, types, kind, cameraId, watchId, kept, since, until }) {
  const asked = new URLSearchParams();
  const add = (name, value) => value && asked.append(name, value);
  add("query", query);
  for (const type of types) add("type", type);
  add("kind", kind);
  add("camera_id", cameraId);
  add("watch_id", watchId);
  add("kept", kept && "true");
  add("since", since !== null && new Date(since * 1000).toISOString());
  add("until", until !== null && new Date(until * 1000).toISOString());
  return asked;
}

/**
 * Show the part of the timeline that fits until the function it returns is called. `atTop()`: may what is new come into the
 * list by itself?
 */
export function openTimeline(key, asked, atTop) {
  const filter = narrowing(asked);
  let stopped = false;
  let retry = null;
  batch(() => {
    timeline.value = nothing(key);
    fresh.value = [];
  });
  const mine = () => !stopped && timeline.value.key === key;
  const set = (changes) => mine() && (timeline.value = { ...timeline.value, ...changes });

  async function read() {
    clearTimeout(retry);
    try {
      const page = await get(pathOf(filter));
      if (!mine()) return;
      const events = eventsOf(page.data);
      const known = timeline.value.events;
      if (known === null || filter.query) {
        set({ events, next: page.next ?? null, problem: null });
        return atTop() && showFresh();
      }
      // After a gap: what is missing comes on top, what was opened stays open.
      const newest = known[0]?.id ?? "";
      set({ events: merged(known, events.filter((event) => event.id <= newest && known.some(({ id }) => id === event.id))), problem: null });
      take(events.filter((event) => event.id > newest));
    } catch (error) {
      if (error.status !== 0 && error.status !== 401) set({ problem: error.message });
      if (mine() && (error.status === 0 || error.status >= 500)) retry = setTimeout(read, FIRST_RETRY_MS);
    }
  }

  function take(events) {
    const known = new Set([...(timeline.value.events ?? []), ...fresh.value].map((event) => event.id));
    const added = events.filter((event) => !known.has(event.id));
    if (!added.length) return;
    fresh.value = merged(fresh.value, added).slice(0, FRESH_KEPT);
    if (timeline.value.events !== null && atTop()) showFresh();
  }

  function told(update) {
    const event = eventOf(update.event ?? update);
    if (!event || !mine()) return; // a sign of life, or of a newer server
    const shown = timeline.value.events?.some((known) => known.id === event.id) || opened.value[event.id];
    if (shown) return learn(event);
    fresh.value = fresh.value.map((known) => (known.id === event.id ? event : known));
    if (!update.event && fits(event, filter)) take([event]);
  }

  read();
  // A search is of one moment, and nothing new happens in a span that is over.
  const flowing = !filter.query && filter.until === null;
  let seen = false;
  const stream = flowing
    ? followEvents(streamPath(filter), {
        onEvent: told,
        onState(live) {
          set({ live });
          if (live === "live" && seen) read();
          seen ||= live === "live";
        },
      })
    : null;
  return () => {
    stopped = true;
    clearTimeout(retry);
    stream?.stop();
  };
}

function streamPath({ types, kind, cameraId }) {
  const asked = new URLSearchParams(types.map((type) => ["type", type]));
  if (kind) asked.append("kind", kind);
  if (cameraId) asked.append("camera_id", cameraId);
  return `/v1/events${asked.size ? `?${asked}` : ""}`;
}

/** What is new goes into the list. */
export function showFresh() {
  batch(() => {
    timeline.value = { ...timeline.value, events: merged(timeline.value.events ?? [], fresh.value) };
    fresh.value = [];
  });
}

/** The page of the list that follows. Raises ApiError. */
export async function readOlder(asked) {
  const { key, next } = timeline.value;
  const page = await get(pathOf(narrowing(asked), next));
  if (timeline.value.key !== key || timeline.value.next !== next) return;
  const known = new Set(timeline.value.events.map((event) => event.id));
  const older = eventsOf(page.data).filter((event) => !known.has(event.id));
  timeline.value = { ...timeline.value, events: [...timeline.value.events, ...older], next: page.next ?? null };
}

// ----------------------------------------------------------------------------------------------------------- one event

/** What an answer tells of an event, wherever it is shown. */
function learn(event) {
  batch(() => {
    const { events } = timeline.value;
    if (events?.some((known) => known.id === event.id)) {
      timeline.value = { ...timeline.value, events: events.map((known) => (known.id === event.id ? event : known)) };
    }
    opened.value = { ...opened.value, [event.id]: event };
  });
}

/** Read one event again. A sentence where it cannot be had, else null. */
export async function readEvent(id) {
  try {
    const event = eventOf(await get(eventPath(id)));
    if (event) learn(event);
    return event ? null : "The server told something else than an event.";
  } catch (error) {
    if (error.status === 404) opened.value = { ...opened.value, [id]: null };
    return error.status === 404 || error.status === 0 ? null : error.message;
  }
}

/** Raises the first ApiError, after all were tried. */
export const keepEvents = (ids, kept) =>
  each(ids, async (id) => {
    const event = eventOf(await patch(eventPath(id), { kept }));
    if (event) learn(event);
  });

/** Raises the first ApiError, after all were tried; not where somebody else deleted one. */
export const deleteEvents = (ids) =>
  each(ids, async (id) => {
    await del(eventPath(id)).catch((error) => {
      if (error.status !== 404) throw error;
    });
    batch(() => {
      const { events } = timeline.value;
      timeline.value = { ...timeline.value, events: events && events.filter((event) => event.id !== id) };
      fresh.value = fresh.value.filter((event) => event.id !== id);
      opened.value = { ...opened.value, [id]: null };
    });
  });

/** All that fits what `narrowing` gives, shown or not. It takes files and words along, so it may last. Raises ApiError. */
export const deleteAllThatFit = (filter) => del(`/v1/events?${askedOf(filter)}`, { ms: DELETE_MS });

/** A few at a time. */
async function each(ids, action) {
  const left = [...ids];
  const failures = [];
  const work = async () => {
    while (left.length) await action(left.shift()).catch((error) => failures.push(error));
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, work));
  if (failures.length) throw failures[0];
}

/** What a day ("2026-11-29") was, camera by camera: [{cameraId, text, eventIds}]. Empty where nobody can say. */
export async function readDigests(day, cameraId) {
  try {
    const { data } = await get(`/v1/digests?${new URLSearchParams({ day, ...(cameraId && { camera_id: cameraId }) })}`);
    const told = (Array.isArray(data) ? data : []).filter((one) => typeof one?.text === "string" && Array.isArray(one.event_ids) && one.event_ids.length);
    return told.map(({ camera_id: id, text, event_ids: ids }) => ({ cameraId: typeof id === "string" ? id : "", text, eventIds: ids.filter((one) => typeof one === "string") }));
  } catch {
    return []; // the day's events say the same at length
  }
}
