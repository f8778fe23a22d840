// What the server remembers: facts, and what it saw, said and heard.
import { batch } from "../html.js";
import { bodyOf, del, get, memoryPath, patch, post, request } from "../net/api.js";
import { may, shownSignal } from "../net/auth.js";
import { text, wall } from "../net/told.js";
import { eventOf, ours } from "./event_facts.js";

const PAGE = 40;
const FACTS = 200;
const EXPORT_MS = 300_000;
const FORGET_MS = 300_000;
/** Forgetting takes vectors, words and files. */
const AT_ONCE = 3;

/** `facts`: null where they are not apart (a search, a kind), `rest`: null until read; `next`: the cursor of what is older. */
export const memories = shownSignal({ key: "", facts: null, rest: null, next: null, problem: null });
/** Where memories are: [{collection, count}]; empty until known. */
export const collections = shownSignal([]);
/** Does a model find memories by meaning? null until known. */
export const byMeaning = shownSignal(null);
/** A memory that was opened alone, by id; null: there is none with that id. */
export const single = shownSignal({});

/** A memory as views expect it, whatever server told it; null where that is none. */
export function memoryOf(told) {
  if (typeof told?.id !== "string" || !told.id) return null;
  return {
    id: told.id,
    collection: text(told.collection),
    cameraId: text(told.camera_id) || null,
    sessionId: text(told.session_id) || null,
    kind: text(told.kind) || "memory",
    text: text(told.text),
    wall: wall(told.wall) ?? wall(told.at) ?? 0,
    until: wall(told.until),
    kept: told.kept === true,
    eventId: text(told.event_id) || null,
    picture: ours(told.picture_url),
    source: text(told.source),
  };
}

const memoriesOf = (list) => (Array.isArray(list) ? list.map(memoryOf).filter(Boolean) : []);

function pathOf({ query = "", by, collection, kind, kept }, { after, only, limit = PAGE } = {}) {
  const asked = new URLSearchParams({ limit });
  const add = (name, value) => value && asked.append(name, value);
  add("query", query.trim());
  add("by", query.trim() && (by === "meaning" ? "meaning" : "words"));
  add("collection", collection);
  add("kind", only ?? kind);
  add("kept", kept === "yes" && "true");
  add("after", after);
  return `/v1/memories?${asked}`;
}

/** Facts stand before all others where nothing was asked for. */
const apart = ({ query, kind }) => !query && !kind;

export async function refreshMemories(key, asked) {
  if (memories.value.key !== key) memories.value = { key, facts: null, rest: null, next: null, problem: null };
  try {
    const [page, facts] = await Promise.all([get(pathOf(asked)), apart(asked) ? get(pathOf(asked, { only: "fact", limit: FACTS })) : null]);
    if (memories.value.key !== key) return;
    const first = memoriesOf(page.data).filter((one) => !facts || one.kind !== "fact");
    memories.value = { key, facts: facts && memoriesOf(facts.data), rest: first, next: page.next ?? null, problem: null };
  } catch (error) {
    if (memories.value.key === key && error.status !== 0 && error.status !== 401) memories.value = { ...memories.value, problem: error.message };
  }
}

export async function refreshCollections() {
  try {
    const { data, by_meaning: meaning } = await get("/v1/memories/collections");
    byMeaning.value = typeof meaning === "boolean" ? meaning : null;
    const known = (Array.isArray(data) ? data : []).filter((one) => typeof one?.collection === "string");
    collections.value = known.map(({ collection, count }) => ({ collection, count: typeof count === "number" ? count : null }));
  } catch {
    // Then it can be narrowed to cameras alone.
  }
}

/** The page of the list that follows. Raises ApiError. */
export async function readOlderMemories(asked) {
  const { key, next, rest } = memories.value;
  const page = await get(pathOf(asked, { after: next }));
  if (memories.value.key !== key || memories.value.next !== next) return;
  const known = new Set(rest.map((one) => one.id));
  const older = memoriesOf(page.data).filter((one) => !known.has(one.id) && !(apart(asked) && one.kind === "fact"));
  memories.value = { ...memories.value, rest: [...memories.value.rest, ...older], next: page.next ?? null };
}

/** A sentence where it cannot be had, else null. */
export async function readMemory(id) {
  try {
    single.value = { ...single.value, [id]: memoryOf(await get(memoryPath(id))) };
  } catch (error) {
    if (error.status !== 404) return error.message;
    single.value = { ...single.value, [id]: null };
  }
  return null;
}

function change(id, to) {
  const replace = (list) => list && list.flatMap((one) => (one.id !== id ? [one] : to ? [to] : []));
  batch(() => {
    memories.value = { ...memories.value, facts: replace(memories.value.facts), rest: replace(memories.value.rest) };
    if (id in single.value) single.value = { ...single.value, [id]: to };
  });
}

/** `where`: a collection, whose name is the id of a camera where it is one's; or empty. Raises ApiError. */
export async function addFact(words, where) {
  const about = where.startsWith("cam_") ? { camera_id: where } : where ? { collection: where } : {};
  const told = memoryOf(await post("/v1/memories", { text: words, ...about }));
  if (told && memories.value.facts) memories.value = { ...memories.value, facts: [told, ...memories.value.facts] };
  refreshCollections();
}

/** `changes`: text, kept. Raises ApiError. */
export async function changeMemory(id, changes) {
  const told = memoryOf(await patch(memoryPath(id), changes));
  if (told) change(id, told);
}

/** Raises the first ApiError, after all were tried; not where somebody else forgot one. */
export async function forgetMemories(ids) {
  const left = [...ids];
  const failures = [];
  const work = async () => {
    while (left.length) {
      const id = left.shift();
      const failed = await del(memoryPath(id)).then(() => null, (error) => (error.status === 404 ? null : error));
      if (failed) failures.push(failed);
      else change(id, null);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, left.length) }, work));
  refreshCollections();
  if (failures.length) throw failures[0];
}

/** All of a collection; all there are where it is empty. Raises ApiError. */
export async function forgetAll(collection) {
  await del(`/v1/memories?${new URLSearchParams(collection ? { collection } : { all: "true" })}`, { ms: FORGET_MS });
  single.value = {};
}

/** All of a time (Unix seconds), of one collection or of all. Raises ApiError. */
export async function forgetTime(since, until, collection) {
  const span = { since: new Date(since * 1000).toISOString(), until: new Date(until * 1000).toISOString() };
  await del(`/v1/memories?${new URLSearchParams({ ...span, ...(collection && { collection }) })}`, { ms: FORGET_MS });
  single.value = {};
}

/** All of them as JSON lines, in a file. Raises ApiError. */
export async function exportMemories() {
  const response = await request("GET", "/v1/memories/export", { ms: EXPORT_MS });
  const url = URL.createObjectURL(await bodyOf(response, "blob"));
  Object.assign(document.createElement("a"), { href: url, download: "joyvl-memories.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// ------------------------------------------------------------------------------------------------- what answers rest on

/** By id of an event or memory: {wall, text}; null: it is gone. */
export const grounds = shownSignal({});

const isMemory = (id) => id.startsWith("mem_");

/** Read what an answer rests on. What cannot be had now is asked for again the next time. */
export async function readGrounds(ids) {
  const missing = ids.filter((id) => grounds.value[id] === undefined && (!isMemory(id) || may("GET /v1/memories/{memory_id}")));
  const read = async (id) => {
    try {
      const told = await get(isMemory(id) ? memoryPath(id) : `/v1/events/${encodeURIComponent(id)}`);
      const found = isMemory(id) ? memoryOf(told) : eventOf(told);
      grounds.value = { ...grounds.value, [id]: found };
    } catch (error) {
      if (error.status === 404) grounds.value = { ...grounds.value, [id]: null };
    }
  };
  await Promise.all(missing.map(read));
}
