// The server's voices as groups to choose from: by engine and language, the reader's languages first. Pure.
import { languageName, voiceEngineName } from "../text/words.js";

/** An engine with more voices than this shows those of the languages in use only. */
const MANY = 24;
/** It sounds like a machine: the others come before it. */
const PLAINEST = "espeak";

const baseOf = (tag) => (tag === "und" ? "" : tag.toLowerCase().split(/[-_]/)[0]);
const capital = (name) => name.charAt(0).toUpperCase() + name.slice(1);

/**
 * @param {{id: string, engine: string, language: string, name: string}[]} voices  as `GET /v1/voices` lists them
 * @param {{languages: readonly string[], current: string, all: boolean}} how  `languages`: tags, the dearest first;
 *   `current`: the voice that is chosen, always among them; `all`: no language is left out
 * @returns {{groups: {label: string, options: {value: string, name: string}[]}[], hidden: number}}
 */
export function voiceGroups(voices, { languages, current, all }) {
  const order = [...new Set(languages.map(baseOf))];
  const engines = Map.groupBy(voices, ({ engine }) => engine);
  const few = ({ engine }) => engines.get(engine).length <= MANY;
  const shown = voices.filter((voice) => all || few(voice) || voice.id === current || order.includes(baseOf(voice.language)));
  const groups = [...Map.groupBy(shown, ({ engine, language }) => `${engine} ${baseOf(language)}`).values()];
  const rank = ([{ engine, language }]) => {
    const at = order.indexOf(baseOf(language));
    return [at < 0 ? order.length : at, engine === PLAINEST ? 1 : 0];
  };
  groups.sort((a, b) => rank(a)[0] - rank(b)[0] || rank(a)[1] - rank(b)[1]);
  const free = [...engines.keys()].map((engine) => ({ value: engine, name: voiceEngineName(engine) }));
  const first = free.length ? [{ label: "By the language of each sentence", options: free }] : [];
  return { groups: [...first, ...groups.map(named)], hidden: voices.length - shown.length };
}

function named(group) {
  const [{ engine, language }] = group;
  const base = baseOf(language);
  const label = [voiceEngineName(engine), base && languageName(base)].filter(Boolean).join(" · ");
  return { label, options: group.map((voice) => ({ value: voice.id, name: nameOf(voice) })) };
}

/** With the country, where the name does not tell it. */
function nameOf({ name, language }) {
  const country = /^[a-z]{2,3}[-_][A-Z]{2}$/.test(language) && !name.includes("(");
  return country ? `${capital(name)}, ${languageName(language.replace("_", "-"))}` : capital(name);
}
