// Markdown within a paragraph: emphasis, code, links. One pass over the text, whatever is in it. Pure.

/** Marks that wait for their end at once; the oldest is plain text then. It bounds the depth of the tree too. */
const OPEN_MARKS = 12;
const LONGEST_TARGET = 1000;
const MOST_TARGETS = 2000;
const ESCAPED = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;
const BARE = /https?:\/\/[^\s<>"`]{1,1000}/iy;
const ANGLED = /<((?:https?:\/\/|mailto:)[^\s<>]{1,1000}|[^\s<>@]{1,64}@[^\s<>@]{1,250})>/iy;
const BREAK = /<br\s*\/?>/iy;
const KINDS = { "*": ["em", "strong"], _: ["em", "strong"], "~": ["del", "del"] };

/** An address that a link may have; null for every other: what runs, what opens programs, what is relative to this page. */
export function safeHref(address) {
  // Browsers skip tabs and line ends in an address, so what holds them is not what it looks like.
  const text = address.trim();
  if (/[\s\p{Cc}]/u.test(text) || !/^(https?:\/\/|mailto:)/i.test(text)) return null;
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * The pieces of a text: strings, and {type: strong|em|del, children}, {type: code, text}, {type: link, href, children},
 * {type: break}. `budget`: {left} pieces; where it is used up, nothing more comes.
 * @returns {(string|object)[]}
 */
export function inline(text, budget) {
  return new Scanner(text, budget).run();
}

class Scanner {
  constructor(text, budget) {
    this.text = text;
    this.budget = budget;
    this.out = [];
    this.plain = "";
    /** {mark, count, at}: `at` is where its own text stands in `out`. */
    this.open = [];
    this.targets = 0;
    this.ticks = lastRuns(text);
  }

  run() {
    let at = 0;
    while (at < this.text.length && this.budget.left > 0) at = this.step(at);
    this.flush();
    return joined(this.out);
  }

  step(at) {
    const { text } = this;
    const c = text[at];
    switch (c) {
      case "\\":
        if (text[at + 1] === "\n") return this.push({ type: "break" }, at + 2);
        return ESCAPED.test(text[at + 1] ?? "") ? this.keep(text[at + 1], at + 2) : this.keep(c, at + 1);
      case "\n":
        return this.endLine(at);
      case "`":
        return this.code(at);
      case "*":
      case "_":
      case "~":
        return this.mark(at, c);
      case "!":
        return text[at + 1] === "[" ? this.bracket(at, "![") : this.keep(c, at + 1);
      case "[":
        return this.bracket(at, "[");
      case "]":
        return this.close(at);
      case "<":
        return this.angle(at);
      case "h":
      case "H":
        return this.bare(at);
      default:
        return this.keep(c, at + 1);
    }
  }

  keep(text, next) {
    this.plain += text;
    return next;
  }

  flush() {
    if (!this.plain) return;
    this.out.push(this.plain);
    this.plain = "";
    this.budget.left -= 1;
  }

  push(piece, next) {
    this.flush();
    this.out.push(piece);
    this.budget.left -= 1;
    return next;
  }

  endLine(at) {
    if (this.text.slice(Math.max(0, at - 2), at) !== "  ") return this.keep("\n", at + 1);
    this.plain = this.plain.trimEnd();
    return this.push({ type: "break" }, at + 1);
  }

  code(at) {
    const length = runLength(this.text, at);
    if ((this.ticks.get(length) ?? -1) <= at) return this.keep("`".repeat(length), at + length);
    let end = at + length;
    for (;;) {
      end = this.text.indexOf("`", end);
      const other = runLength(this.text, end);
      if (other === length) break;
      end += other;
    }
    const inside = this.text.slice(at + length, end).replaceAll("\n", " ");
    const padded = inside.startsWith(" ") && inside.endsWith(" ") && inside.trim();
    return this.push({ type: "code", text: padded ? inside.slice(1, -1) : inside }, end + length);
  }

  mark(at, c) {
    const whole = runLength(this.text, at);
    const before = this.text[at - 1] ?? " ";
    const after = this.text[at + whole] ?? " ";
    const count = Math.min(whole, 2);
    if (whole > 3 || (c === "~" && whole !== 2)) return this.keep(c.repeat(whole), at + whole);
    const inWord = c === "_" && WORD.test(before) && WORD.test(after);
    const closes = !/\s/.test(before) && !inWord;
    const opens = !/\s/.test(after) && !inWord;
    if (whole === 3) return this.three(at, c, closes, opens);
    if (closes && this.wrap(c, count)) return at + count;
    return opens ? this.begin(c, count, at + count) : this.keep(c.repeat(count), at + count);
  }

  /** Strong and emphasis together. */
  three(at, c, closes, opens) {
    if (closes) {
      const first = this.open.at(-1)?.mark === c ? this.open.at(-1).count : 0;
      if (first && this.wrap(c, first)) {
        if (!this.wrap(c, 3 - first)) this.keep(c.repeat(3 - first), 0);
        return at + 3;
      }
    }
    if (!opens) return this.keep(c.repeat(3), at + 3);
    this.begin(c, 2, 0);
    return this.begin(c, 1, at + 3);
  }

  begin(mark, count, next) {
    this.flush();
    if (this.open.length === OPEN_MARKS) this.open.shift();
    this.open.push({ mark, count, at: this.out.length });
    this.out.push(mark.repeat(count));
    this.budget.left -= 1;
    return next;
  }

  /** Was there a mark that this one ends? What was opened after it is plain text. */
  wrap(mark, count) {
    const index = this.open.findLastIndex((one) => one.mark === mark && one.count === count);
    const bracket = this.open.findLastIndex((one) => one.mark.endsWith("["));
    if (index < 0 || index < bracket) return false;
    this.flush();
    const { at } = this.open[index];
    if (at === this.out.length - 1) return false; // nothing is in it
    this.open.length = index;
    const children = joined(this.out.splice(at + 1));
    this.out[at] = { type: KINDS[mark][count - 1], children };
    return true;
  }

  bracket(at, mark) {
    return this.begin(mark, 1, at + mark.length);
  }

  close(at) {
    const index = this.open.findLastIndex((one) => one.mark.endsWith("["));
    if (index < 0) return this.keep("]", at + 1);
    const target = this.text[at + 1] === "(" && this.targets < MOST_TARGETS ? this.target(at + 2) : null;
    if (target === null) {
      this.open.splice(index, 1);
      return this.keep("]", at + 1);
    }
    this.flush();
    const { at: from, mark } = this.open[index];
    this.open.length = index;
    const children = joined(withoutLinks(this.out.splice(from + 1)));
    const href = safeHref(target.address);
    const label = mark === "![" ? ["Image: ", ...(children.length ? children : ["without a name"])] : children;
    // A link that may not be one is its words: nothing of it can be clicked.
    if (href === null) this.out.splice(from, 1, ...label);
    else this.out[from] = { type: "link", href, children: label.length ? label : [href] };
    return target.end;
  }

  /** `address "title")` from here on; null where it is none. */
  target(from) {
    this.targets += 1;
    const { text } = this;
    const last = Math.min(text.length, from + LONGEST_TARGET);
    let at = from;
    while (at < last && text[at] === " ") at += 1;
    const start = at;
    const angled = text[at] === "<";
    for (let depth = 0; at < last; at += 1) {
      const c = text[at];
      if (c === "\n" || (!angled && /\s/.test(c))) break;
      if (angled && c === ">") {
        at += 1;
        break;
      }
      if (angled) continue;
      if (c === "(") depth += 1;
      if (c === ")" && (depth -= 1) < 0) break;
    }
    const address = angled ? text.slice(start + 1, at - 1) : text.slice(start, at);
    const rest = /^\s*(?:"[^"]*"|'[^']*')?\s*\)/.exec(text.slice(at, last));
    return rest ? { address, end: at + rest[0].length } : null;
  }

  angle(at) {
    const link = matchAt(ANGLED, this.text, at);
    if (link) {
      const href = safeHref(/^(https?:|mailto:)/i.test(link[1]) ? link[1] : `mailto:${link[1]}`);
      if (href) return this.push({ type: "link", href, children: [link[1]] }, at + link[0].length);
    }
    const ends = matchAt(BREAK, this.text, at);
    return ends ? this.push({ type: "break" }, at + ends[0].length) : this.keep("<", at + 1);
  }

  bare(at) {
    const found = WORD.test(this.text[at - 1] ?? " ") ? null : matchAt(BARE, this.text, at);
    if (!found) return this.keep(this.text[at], at + 1);
    const address = withoutEnd(found[0]);
    const href = safeHref(address);
    if (!href || this.open.some((one) => one.mark.endsWith("["))) return this.keep(address, at + address.length);
    return this.push({ type: "link", href, children: [address] }, at + address.length);
  }
}

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function runLength(text, at) {
  let end = at + 1;
  while (text[end] === text[at]) end += 1;
  return end - at;
}

/** Where the last run of backticks of each length is: one that is never closed need not be looked for. */
function lastRuns(text) {
  const runs = new Map();
  for (let at = text.indexOf("`"); at >= 0; ) {
    const length = runLength(text, at);
    runs.set(length, at);
    at = text.indexOf("`", at + length);
  }
  return runs;
}

/** An address at the end of a sentence does not hold its full stop, nor a bracket that was opened before it. */
function withoutEnd(address) {
  let end = address.length;
  while (end > 8) {
    const last = address[end - 1];
    if (/[.,;:!?'*_~\]}]/.test(last)) end -= 1;
    else if (last === ")" && !address.slice(0, end).includes("(")) end -= 1;
    else break;
  }
  return address.slice(0, end);
}

/** A link in a link is its words. */
function withoutLinks(pieces) {
  return pieces.flatMap((piece) => {
    if (piece.type === "link") return piece.children;
    return piece.children ? [{ ...piece, children: withoutLinks(piece.children) }] : [piece];
  });
}

function joined(pieces) {
  const out = [];
  for (const piece of pieces) {
    if (typeof piece === "string" && typeof out.at(-1) === "string") out[out.length - 1] += piece;
    else out.push(piece);
  }
  return out;
}
