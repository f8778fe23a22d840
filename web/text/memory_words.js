// What memories are called.

/** What the list can be narrowed to: [kind, words]. */
export const MEMORY_KINDS = [
  ["", "All kinds"],
  ["fact", "Facts"],
  ["summary", "Summaries"],
  ["block", "Longer summaries"],
  ["said", "What it said"],
  ["heard", "What it heard"],
  ["watch_fired", "Watches that fired"],
  ["task", "Answers of agents"],
];

const ONE = { fact: "Fact", summary: "Summary", block: "Longer summary", said: "Said", heard: "Heard", watch_fired: "Watch fired", task: "Agent's answer" };

/** A kind in words; one of a newer server by its own name. */
export const memoryKind = (kind) => ONE[kind] ?? kind.replaceAll("_", " ");

const SOURCES = { user: "told by hand", wish: "because somebody asked to remember it", engine: "made by the engine", model: "made by the engine", server: "made by the server" };

/** Where it comes from; what a server says in words of its own stays as it is. */
export const sourceWords = (source) => SOURCES[source] ?? source;

/** The same, where the name of its place stands, too; empty where it only says that name again. */
export const sourceBeside = (source, place) => (source === place ? "" : sourceWords(source));

/** "Front door", "user anna", "a browser": of whom a collection is. `names`: of cameras by id. */
export function collectionName(collection, names) {
  if (names.has(collection)) return names.get(collection);
  if (collection === "shared") return "All cameras and callers";
  if (collection.startsWith("user:")) return `User ${collection.slice(5)}`;
  if (collection.startsWith("browser:")) return `Webcam of a browser (${collection.slice(8, 14)})`;
  return collection.startsWith("cam_") ? "A camera that is gone" : collection;
}

export const forgetTitle = (count) => (count === 1 ? "Forget this?" : `Forget ${count} memories?`);

export const FORGET_TEXT = "It is gone for good: its words, what finds it, and its picture and clip. This cannot be undone.";

/** What forgetting a whole collection, or all, means. */
export const forgetAllText = (whose, count) =>
  `${count === null ? "All" : count} ${count === 1 ? "memory" : "memories"} ${whose} ${count === 1 ? "is" : "are"} gone for good, facts and kept ones too, with pictures and clips. This cannot be undone. Export them before if you may want them again.`;

/** What forgetting all of a time means. */
export const forgetTimeText = (whose, from, to) =>
  `All that was seen, said, heard and asked from ${from} to ${to}, ${whose}, is gone for good: memories, events, pictures and clips, kept ones too. This cannot be undone.`;

/** Where no model of meaning is there; between the two stands the command that gets one. */
export const WORDS_ALONE = "No model of meaning is installed: only memories that share words with a question are found. To get one (135 MB, once), run";
export const WORDS_ALONE_DO = "where the server runs, then start the server again.";

/** Why nothing is shown: {title, text}. */
export function noMemories({ narrowed, query }) {
  if (query) return { title: "It remembers nothing like that", text: "Try other words, or search by meaning." };
  if (narrowed) return { title: "It remembers nothing of that kind", text: "Choose another place or kind." };
  return { title: "It remembers nothing yet", text: "What it sees and says is summed up here as time goes by. You can tell it a fact right now, such as “the blue box is mine”, or say “remember that …” to it." };
}
