// What answers to a permission are called, and how the text of one is shown.
import { inShort } from "./task_words.js";

const CHOICES = {
  allow_once: "Allow once",
  allow_always: "Always allow",
  reject_once: "Deny",
  reject_always: "Always deny",
};
const ORDER = Object.keys(CHOICES);
const SAME = { allow_once: ["allow"], reject_once: ["reject"], reject_always: ["always reject"] };

export const readFirstWords = "It can be allowed when all of it was shown.";

export const isDenial = ({ kind }) => !kind.startsWith("allow");

/** What an answer does, whatever its agent calls it. */
export const choiceWords = ({ kind }) => CHOICES[kind] ?? "Deny";

/** What its agent calls it; empty where that says the same. */
export function calledWords({ name, kind }) {
  const plain = name.trim().toLowerCase();
  const same = [CHOICES[kind]?.toLowerCase(), ...(SAME[kind] ?? [])];
  return plain && !same.includes(plain) ? `“${inShort(name)}”` : "";
}

/** What allows before what denies, once before always. */
export const sortedChoices = (options) => [...options].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));

/** "1:05 left"; `until`: RFC 3339, `now` in milliseconds, the server's. */
export function leftWords(until, now) {
  const s = Math.ceil((Date.parse(until) - now) / 1000);
  if (!(s > 0)) return "No time left: it counts as denied.";
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")} left, then it counts as denied.`;
}

/** "12 more lines" */
export const moreLinesWords = (count) => (count === 1 ? "1 more line" : `${count} more lines`);

export const emptyLinesWords = (count) => `${count} empty lines`;

/** Letters and signs that are drawn as nothing count as empty, too. */
const EMPTY = /^[\s\u115f\u1160\u2800\u3164\uffa0]*$/u;
const MANY = 3;
const BREAK = /\r\n?|[\n\v\f\x85\u2028\u2029]/;

/** A text in pieces: { text } as it is, { empty }: as many lines of nothing, which would push the rest out of sight. */
export function foldedLines(text) {
  const lines = text.split(BREAK);
  const pieces = [];
  let from = 0;
  const textUpTo = (end) => end > from && pieces.push({ text: lines.slice(from, end).join("\n") });
  for (let n = 0; n < lines.length; n += 1) {
    let end = n;
    while (end < lines.length && EMPTY.test(lines[end])) end += 1;
    if (end - n >= MANY) {
      textUpTo(n);
      pieces.push({ empty: end - n });
      from = end;
    }
    n = Math.max(n, end - 1);
  }
  textUpTo(lines.length);
  return pieces;
}

export const ANSWERED_BY_OTHERS = "It waits for an answer of somebody whose key may give one.";
