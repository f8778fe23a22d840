// What events of the timeline are called.
import { dayName, shortTime } from "./format.js";
import { KINDS, sentence } from "./words.js";

const REMARKS = ["spoke", "watch_fired", "delegated"];
const SOURCES = ["camera_offline", "camera_online", "engine_offline", "engine_online"];

/** What the timeline can be narrowed to: [name in the address, words, types]; no types: all there are. */
export const GROUPS = [
  ["", "What matters", [...REMARKS, "task", ...SOURCES]],
  ["remarks", "What it said", REMARKS],
  ["watches", "Watches that fired", ["watch_fired"]],
  ["tasks", "Tasks", ["delegated", "task"]],
  ["talk", "Questions and talk", ["query_asked", "query_closed", "heard"]],
  ["sources", "Cameras and engine", SOURCES],
  ["all", "Everything", []],
];

/** What can have happened: [kind, words]. */
export const HAPPENINGS = [
  ["", "Anything"],
  ...KINDS,
  ["smoke_alarm", "Smoke alarm"],
  ["co_alarm", "CO alarm"],
  ["loud", "Loud noise"],
  ["quiet", "Long silence"],
];

/** The types of a group; all for one that is not known. */
export const typesOf = (group) => (GROUPS.find(([name]) => name === group) ?? GROUPS[0])[2];

/** Spans of time: [name in the address, words]. */
export const SPANS = [
  ["", "Any time"],
  ["today", "Today"],
  ["yesterday", "Yesterday"],
  ["week", "The last 7 days"],
  ["own", "From … to …"],
];

/** How a search finds: [by, words, what that means]. */
export const SEARCHES = [
  ["words", "By words", "finds what has these words in it"],
  ["meaning", "By meaning", "finds what means something like it, in other words too"],
];

const TYPES = {
  spoke: "Said",
  watch_fired: "Watch fired",
  delegated: "Handed over",
  task: "Task",
  camera_online: "Camera online",
  camera_offline: "Camera lost",
  engine_online: "Engine back",
  engine_offline: "Engine away",
  query_asked: "Question",
  query_closed: "Answer",
  heard: "Heard",
  played: "Spoken aloud",
  cut_off: "Cut off",
  session_started: "Watching began",
  session_ended: "Watching ended",
};

/** A type in words; one of a newer server by its own name. */
export const typeWords = (type) => TYPES[type] ?? plainName(type);

/** What moved, in words; one of a newer server by its own name. */
export const kindName = (kind) => KINDS.find(([known]) => known === kind)?.[1] ?? plainName(kind);

const THIRDS = { left: "On the left", centre: "In the middle", right: "On the right" };

/** Where it was: a third of the picture in words, or a zone by the name that somebody gave it. */
export const zoneName = (zone) => THIRDS[zone] ?? zone;

function plainName(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const SILENT = {
  camera_online: "The picture is there.",
  camera_offline: "The picture went away.",
  engine_online: "The engine decides again.",
  engine_offline: "The engine is away.",
  session_started: "Watching began.",
  session_ended: "Watching ended.",
  delegated: "Handed a question over.",
};

/** What an event says, also where it has no words of its own. */
export function eventText({ type, text }) {
  if (type === "session_started") return SILENT.session_started;
  return text || SILENT[type] || typeWords(type);
}

/** "14:05: Somebody comes in." for a screen reader, who hears no picture. */
export const eventLabel = (event) => `${dayName(event.wall)}, ${shortTime(event.wall)}: ${eventText(event)}`;

const CLIP = {
  none: "There is no clip of this event.",
  recording: "The clip is being recorded. It appears here as soon as it is done.",
  failed: "The clip could not be recorded.",
  deleted: "The clip was deleted, because the room for clips was full or its time was over.",
};

/** Why there is no clip to play: the server's reason, or what its state means. */
export const clipWords = ({ state, reason }) => (reason && state !== "recording" ? sentence(reason) : (CLIP[state] ?? CLIP.none));

/** What a video that does not play means: `MediaError.code`. */
export const playWords = (code) =>
  code === 3 || code === 4
    ? "This browser cannot play this clip: it does not know the camera's codec. Save it and open it with another player."
    : "The clip could not be loaded.";

/** "Score 0.93; it speaks from 0.50." Empty where nothing was scored. */
export function scoreWords({ score, threshold }) {
  if (score === null) return "";
  const from = threshold === null ? "" : `; it speaks from ${threshold.toFixed(2)}`;
  return `Score ${score.toFixed(2)}${from}.`;
}

/** Why the timeline shows nothing: {title, text}. `narrowed`: a filter or a search is on. */
export function nothingWords({ narrowed, query, cameras }) {
  if (query) return { title: "Nothing was found", text: "Try other words, search by meaning, or take a filter away." };
  if (narrowed) return { title: "Nothing happened that fits", text: "Choose another camera, kind or time, or show everything." };
  if (!cameras) return { title: "Nothing has happened yet", text: "Nobody is watching: add a camera, or use this device's webcam on Live. What it notices then stands here, with picture and clip." };
  return { title: "Nothing has happened yet", text: "As soon as it notices something it stands here, with picture and clip. A watch tells it what to look for." };
}

/** What deleting these means. */
export function deleteWords(events) {
  const kept = events.filter((event) => event.kept).length;
  const what = events.length === 1 ? "It is deleted with its picture and its clip" : "They are deleted with their pictures and clips";
  const but = kept === 0 ? "" : events.length === 1 ? " It is marked to be kept." : ` ${kept === events.length ? "All" : kept} of them ${kept === 1 ? "is" : "are"} marked to be kept.`;
  return `${what}. This cannot be undone.${but}`;
}

/** What deleting all of a time means. `of`: what it is narrowed to, in words. */
export const deleteAllWords = ({ from, to, of }) =>
  `All that happened ${from ? `from ${from} to ${to}` : `before ${to}`} (${of.join(", ")}) is deleted with pictures, clips, and the memories and alerts that come from it: also what is not shown here, and what is kept. This cannot be undone.`;

export const deleteTitle = (events) => (events.length === 1 ? "Delete this event?" : `Delete ${events.length} events?`);

export const newWords = (count) => (count === 1 ? "1 new event" : `${count} new events`);
