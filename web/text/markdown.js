// Markdown as a tree, of whatever somebody else wrote: bounded, in one pass, and nothing in it is HTML. Pure.
import { inline } from "./markdown_inline.js";

/** Characters; what is longer is cut. */
export const LONGEST = 200_000;
const PIECES = 6000;
/** What a block that scrolls costs, in pieces. */
const SCROLLED = 5;
const DEPTH = 6;
const ROWS = 200;
const COLUMNS = 30;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const CHECK = /^\[([ xX])\][ \t]+/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/**
 * The blocks of a text, and whether it was too long to be shown whole.
 *
 * Blocks: {type: paragraph, children}, {type: heading, level, children}, {type: code, language, text},
 * {type: quote, blocks}, {type: list, start (null: bullets), items: [{checked, blocks}]}, {type: rule},
 * {type: table, head, rows, align}. Cells and `children` are what `inline` gives.
 */
export function parseMarkdown(text) {
  const budget = { left: PIECES };
  const lines = text.slice(0, LONGEST).replace(/\r\n?/g, "\n").replaceAll("\t", "    ").split("\n");
  const state = { budget, cut: text.length > LONGEST };
  const blocks = blocksOf(lines, state, 0);
  return { blocks, cut: state.cut || budget.left <= 0 };
}

function blocksOf(lines, state, depth) {
  const blocks = [];
  let at = 0;
  while (at < lines.length && state.budget.left > 0) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    state.budget.left -= 1;
    const [block, next] = blockAt(lines, at, state, depth);
    blocks.push(block);
    at = next;
  }
  return blocks;
}

function blockAt(lines, at, state, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) {
    state.budget.left -= SCROLLED;
    return code(lines, at, fence);
  }
  const heading = HEADING.exec(line);
  if (heading) {
    const text = heading[2].trimEnd().replace(/(?:^| )#+$/, "");
    return [{ type: "heading", level: heading[1].length, children: inline(text, state.budget) }, at + 1];
  }
  if (RULE.test(line)) return [{ type: "rule" }, at + 1];
  if (depth < DEPTH && QUOTE.test(line)) return quote(lines, at, state, depth);
  if (depth < DEPTH && ITEM.test(line)) return list(lines, at, state, depth);
  if (isTable(lines, at)) return table(lines, at, state);
  return paragraph(lines, at, state, depth);
}

/** To its end, or to the end of the text: an answer may break off. */
function code(lines, at, [line, mark, language]) {
  const indent = line.length - line.trimStart().length;
  const closes = new RegExp(`^ {0,3}\\${mark[0]}{${mark.length},}\\s*$`);
  let end = at + 1;
  while (end < lines.length && !closes.test(lines[end])) end += 1;
  const text = lines.slice(at + 1, end).map((one) => dedent(one, indent)).join("\n");
  return [{ type: "code", language: language.slice(0, 30), text }, end + 1];
}

function quote(lines, at, state, depth) {
  const inside = [];
  let end = at;
  for (; end < lines.length && QUOTE.test(lines[end]); end += 1) inside.push(lines[end].replace(QUOTE, ""));
  return [{ type: "quote", blocks: blocksOf(inside, state, depth + 1) }, end];
}

const isOrdered = (mark) => /\d/.test(mark);

function list(lines, at, state, depth) {
  const first = ITEM.exec(lines[at]);
  const ordered = isOrdered(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length && state.budget.left > 0) {
    const item = ITEM.exec(lines[end]);
    if (!item || isOrdered(item[2]) !== ordered || item[1].length > first[1].length + 3 || RULE.test(lines[end])) break;
    const [inside, next] = itemLines(lines, end, item);
    const check = CHECK.exec(inside[0]);
    if (check) inside[0] = inside[0].slice(check[0].length);
    state.budget.left -= 1;
    items.push({ checked: check ? check[1] !== " " : null, blocks: blocksOf(inside, state, depth + 1) });
    end = next;
  }
  return [{ type: "list", start: ordered ? Number.parseInt(first[2], 10) : null, items }, end];
}

/** What is indented below an item belongs to it, and so does the rest of its first paragraph. */
function itemLines(lines, at, [mark, indent]) {
  const width = Math.max(mark.length, indent.length + 2);
  const inside = [lines[at].slice(mark.length)];
  let end = at + 1;
  while (end < lines.length) {
    const line = lines[end];
    const own = line.length - line.trimStart().length;
    if (!line.trim()) {
      // A blank line ends it, unless what follows is indented or another item.
      let next = end + 1;
      while (next < lines.length && !lines[next].trim()) next += 1;
      const after = lines[next];
      if (after === undefined || !(after.startsWith(" ".repeat(indent.length + 2)) || ITEM.test(after))) return [inside, next];
      inside.push("");
      end = next;
      continue;
    }
    if (own > indent.length + 1) inside.push(dedent(line, width));
    else if (ITEM.test(line) || starts(lines, end) || !lines[end - 1].trim()) break;
    else inside.push(line.trimStart());
    end += 1;
  }
  return [inside, end];
}

const dedent = (line, most) => line.slice(Math.min(most, line.length - line.trimStart().length));

/** Does a block begin here that ends a paragraph? */
const starts = (lines, at) => FENCE.test(lines[at]) || HEADING.test(lines[at]) || RULE.test(lines[at]) || QUOTE.test(lines[at]);

function paragraph(lines, at, state, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !starts(lines, end) && !isTable(lines, end)) {
    if (depth < DEPTH && ITEM.test(lines[end])) break;
    end += 1;
  }
  const text = lines.slice(at, end).map((line) => line.trimStart()).join("\n").trimEnd();
  return [{ type: "paragraph", children: inline(text, state.budget) }, end];
}

const isTable = (lines, at) => lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") && DIVIDER.test(lines[at + 1]);

function table(lines, at, state) {
  const head = cellsOf(lines[at]);
  const align = cellsOf(lines[at + 1]).map((cell) => {
    if (cell.endsWith(":")) return cell.startsWith(":") ? "center" : "right";
    return "left";
  });
  const count = Math.min(head.length, COLUMNS);
  state.budget.left -= SCROLLED;
  const row = (cells) => Array.from({ length: count }, (_, n) => inline(cells[n] ?? "", state.budget));
  const titles = row(head); // before the rows: they may use up what is left
  let end = at + 2;
  const rows = [];
  for (; end < lines.length && lines[end].includes("|") && lines[end].trim(); end += 1) {
    if (rows.length < ROWS && state.budget.left > 0) {
      state.budget.left -= count;
      rows.push(row(cellsOf(lines[end])));
    } else state.cut = true;
  }
  if (head.length > COLUMNS) state.cut = true;
  return [{ type: "table", head: titles, rows, align: align.slice(0, count) }, end];
}

/** A "|" that is escaped is a part of its cell. */
function cellsOf(line) {
  const text = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return text.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}
