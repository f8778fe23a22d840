// Text as a voice of the browser takes it: sentence by sentence, without marks that are no words. Pure.

const ENDS = /[.!?…]+["')\]]*\s+|[。！？；]+["」』）]*|\n+/gu;
/** Longer ones are taken apart: browsers fall silent in the midst of very long ones. */
const LONG = 220;
const COMMAS = /[,;:，、；：]\s*|\s[–—-]\s/gu;

/**
 * The next sentence of `text` after `from`: {start, end}, its place in the text. null: none is complete yet.
 * `whole`: no more text comes, so the rest is a sentence too.
 */
export function nextSentence(text, from, whole) {
  let start = from;
  while (start < text.length && /\s/.test(text[start])) start += 1;
  if (start >= text.length) return null;
  ENDS.lastIndex = start;
  const found = ENDS.exec(text);
  const end = found ? found.index + found[0].length : whole ? text.length : null;
  if (end !== null && end - start <= LONG) return { start, end };
  if (end === null && text.length - start <= LONG) return null;
  return { start, end: start + cutLong(text.slice(start, Math.min(end ?? text.length, start + LONG))) };
}

function cutLong(text) {
  const comma = [...text.matchAll(COMMAS)].at(-1);
  if (comma && comma.index > 40) return comma.index + comma[0].length;
  const space = text.lastIndexOf(" ");
  return space > 40 ? space + 1 : text.length;
}

const NO_WORDS = /[*_`#~|<>\u200b-\u200f\u202a-\u202e]|\p{Extended_Pictographic}|\ufe0f/gu;

/** Of the same length, so that places in it are places in the text. */
export const speakable = (text) => text.replace(NO_WORDS, (mark) => " ".repeat(mark.length));

/** zh where it has Chinese characters, else en: what the server writes. */
export const languageOf = (text) => (/\p{Script=Han}/u.test(text) ? "zh" : "en");

/** Of the browser's voices the best for a language: one of this machine before one of a service. null: there is none. */
export function voiceFor(voices, language) {
  const fitting = voices.filter((voice) => voice.lang.toLowerCase().replace("_", "-").startsWith(language));
  const best = (voice) => (voice.localService ? 2 : 0) + (voice.default ? 1 : 0);
  return fitting.sort((a, b) => best(b) - best(a))[0] ?? null;
}

/** Characters as the server counts them, of the first `length` units of a text. */
export const characters = (text, length) => [...text.slice(0, length)].length;
