// Markdown as elements: only such as are made here, and text. Nothing is read as HTML, loaded, or run.
import { html, useMemo } from "../../html.js";
import { parseMarkdown } from "../../text/markdown.js";

const INLINE = { strong: "strong", em: "em", del: "del" };
/** Headings of a text stand below those of the page. */
const FIRST_LEVEL = 4;

/** `whole`: what can be done where the text is too long to be shown whole. */
export function Markdown({ text, whole }) {
  const { blocks, cut } = useMemo(() => parseMarkdown(text), [text]);
  return html`
    <div class="markdown" dir="auto">
      ${blocks.map(block)}
      ${cut && html`<p class="hint markdown-cut">It is too long to be shown here whole. ${whole}</p>`}
    </div>
  `;
}

function block(node) {
  switch (node.type) {
    case "paragraph":
      return html`<p>${pieces(node.children)}</p>`;
    case "heading": {
      const level = Math.min(6, node.level + FIRST_LEVEL - 1);
      const Heading = `h${level}`;
      return html`<${Heading}>${pieces(node.children)}<//>`;
    }
    case "code":
      return html`<pre tabindex="0" data-language=${node.language || undefined}><code dir="ltr">${node.text}</code></pre>`;
    case "quote":
      return html`<blockquote>${node.blocks.map(block)}</blockquote>`;
    case "list":
      return node.start === null ? html`<ul>${node.items.map(item)}</ul>` : html`<ol start=${node.start}>${node.items.map(item)}</ol>`;
    case "table":
      return table(node);
    default:
      return html`<hr />`;
  }
}

function item({ checked, blocks }) {
  const box = checked !== null && html`<span class="checked" role="img" aria-label=${checked ? "done" : "not done"}>${checked ? "☑" : "☐"}</span>`;
  // A list of single lines is set tightly.
  const [first] = blocks;
  const inside = blocks.length && first.type === "paragraph" ? html`${pieces(first.children)}${blocks.slice(1).map(block)}` : blocks.map(block);
  return html`<li class=${checked === null ? undefined : "check-item"}>${box}${inside}</li>`;
}

function table({ head, rows, align }) {
  const side = (n) => (align[n] === "left" || !align[n] ? undefined : align[n]);
  return html`
    <div class="table-scroll" tabindex="0" role="region" aria-label="Table">
      <table>
        <thead><tr>${head.map((cell, n) => html`<th scope="col" class=${side(n)}>${pieces(cell)}</th>`)}</tr></thead>
        <tbody>${rows.map((row) => html`<tr>${row.map((cell, n) => html`<td class=${side(n)}>${pieces(cell)}</td>`)}</tr>`)}</tbody>
      </table>
    </div>
  `;
}

const pieces = (children) => children.map(piece);

function piece(node) {
  if (typeof node === "string") return node;
  if (node.type === "code") return html`<code dir="ltr">${node.text}</code>`;
  if (node.type === "break") return html`<br />`;
  if (node.type === "link") return html`<a href=${node.href} title=${node.href} target="_blank" rel="noopener noreferrer nofollow">${pieces(node.children)}</a>`;
  const Tag = INLINE[node.type];
  return html`<${Tag}>${pieces(node.children)}<//>`;
}
