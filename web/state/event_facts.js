// What is known of one event of the timeline, whatever server told it. Pure.
import { isObject, number, text } from "../net/told.js";

const CLIPS = ["none", "recording", "ready", "failed", "deleted"];
const MOST_WATCHES = 50;
const MOST_LINES = 50;

/**
 * @typedef {object} Fact  an event with every field, of the type that views expect
 * @property {string} id
 * @property {string} type  a newer server may know others
 * @property {number} wall  Unix seconds
 * @property {string} text
 * @property {boolean} kept
 * @property {string|null} picture  where its picture is
 * @property {{state: string, reason: string, url: string|null, before: number|null}} clip
 * @property {number|null} score
 * @property {number|null} threshold
 * @property {string|null} kind
 * @property {Array<{id: string, name: string}>} watches
 * @property {string[]} transcript
 * @property {object} data
 */

/** An event as a server told it; null where that is none. @returns {Fact|null} */
export function eventOf(told) {
  if (typeof told?.id !== "string" || !told.id || typeof told.wall !== "number") return null;
  const data = isObject(told.data) ? told.data : {};
  return {
    id: told.id,
    type: text(told.type) || "event",
    wall: told.wall,
    sessionId: text(told.session_id) || null,
    cameraId: text(told.camera_id) || null,
    camera: text(told.camera),
    text: text(told.text),
    kept: told.kept === true,
    picture: ours(told.picture_url),
    clip: clipOf(told.clip),
    score: number(told.score ?? data.score),
    threshold: number(told.threshold),
    kind: text(told.kind ?? data.kind) || null,
    watches: watchesOf(told.watches ?? data.watches),
    transcript: (Array.isArray(told.transcript) ? told.transcript : []).map(lineOf).filter(Boolean).slice(0, MOST_LINES),
    data,
  };
}

/** A page of the list; what is no event is left out. */
export const eventsOf = (list) => (Array.isArray(list) ? list.map(eventOf).filter(Boolean) : []);

/** Pictures and clips are the server's own: an address elsewhere is none. */
export const ours = (value) => (text(value).startsWith("/v1/") ? value : null);

const lineOf = (line) => (typeof line === "string" ? line : isObject(line) ? text(line.text) : "");

function clipOf(clip) {
  if (!isObject(clip)) return { state: "none", reason: "", url: null, before: null };
  const url = ours(clip.url);
  const state = CLIPS.includes(clip.state) && (clip.state !== "ready" || url) ? clip.state : "none";
  return { state, reason: text(clip.reason), url, before: number(clip.seconds_before) };
}

function watchesOf(watches) {
  const named = (Array.isArray(watches) ? watches : []).map((one) => (typeof one === "string" ? { id: one, name: "" } : one));
  return named.filter((one) => isObject(one) && typeof one.id === "string").map(({ id, name }) => ({ id, name: text(name) })).slice(0, MOST_WATCHES);
}

// ------------------------------------------------------------------------------------------------------------- a list

const newestFirst = (a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);

/** Both lists, each event once, as `next` tells it. Ids grow with time. */
export function merged(known, next) {
  const all = new Map(known.map((event) => [event.id, event]));
  for (const event of next) all.set(event.id, event);
  return [...all.values()].sort(newestFirst);
}

/** Events in the order they have, in groups by what `keyOf` says. */
export function grouped(events, keyOf) {
  const groups = [];
  for (const event of events) {
    const key = keyOf(event);
    if (groups.at(-1)?.key === key) groups.at(-1).events.push(event);
    else groups.push({ key, events: [event] });
  }
  return groups;
}

/** Would a list that is narrowed so have this event? Searches and kinds of happenings are the server's. */
export function fits(event, { types, cameraId, watchId, kept, since, until }) {
  if (types.length && !types.includes(event.type)) return false;
  if (cameraId && event.cameraId !== cameraId) return false;
  if (watchId && !event.watches.some((watch) => watch.id === watchId)) return false;
  if (kept && !event.kept) return false;
  return (since === null || event.wall >= since) && (until === null || event.wall < until);
}
