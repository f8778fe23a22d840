// The command that an agent asks for, as it will be done. Nobody may miss that there is more of it.
import { html, useLayoutEffect, useMemo, useRef, useState } from "../../html.js";
import { emptyLinesWords, foldedLines, moreLinesWords } from "../../text/permission_words.js";

const CLOSE_PX = 4;

/** `onSeen`: all of it was shown: it fits, was scrolled to its end, or opened. */
export function PermissionDetail({ id, text, onSeen }) {
  const [open, setOpen] = useState(false);
  const [below, setBelow] = useState(0);
  const [long, setLong] = useState(false);
  const box = useRef(null);
  const pieces = useMemo(() => foldedLines(text), [text]);

  function measure() {
    const { scrollHeight, scrollTop, clientHeight } = box.current;
    if (clientHeight === 0) return; // it is not drawn
    const rest = scrollHeight - scrollTop - clientHeight;
    if (!open) setLong(scrollHeight - clientHeight > CLOSE_PX);
    setBelow(rest > CLOSE_PX ? Math.ceil(rest / parseFloat(getComputedStyle(box.current).lineHeight)) : 0);
    if (rest <= CLOSE_PX) onSeen();
  }

  useLayoutEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [text, open]);

  return html`
    <div class="permission-text ${open ? "open" : ""}">
      <pre ref=${box} id=${id} class="permission-detail" tabindex="0" dir="ltr" onScroll=${measure}>${pieces.map((piece, n) =>
        piece.empty ? html`<span key=${n} class="empty-lines">${emptyLinesWords(piece.empty)}</span>` : html`<span key=${n}>${piece.text}</span>`,
      )}</pre>
      ${long && html`<p class="permission-more">
        ${below > 0 && html`<strong>${moreLinesWords(below)}</strong>`}
        <button type="button" class="link" aria-expanded=${open} aria-controls=${id} onClick=${() => setOpen(!open)}>${open ? "Show less" : "Show all"}</button>
      </p>`}
    </div>
  `;
}
