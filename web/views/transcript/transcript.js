// What was said and asked, with times. It follows the newest line unless somebody reads further up.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../html.js";
import { call } from "../../call/call.js";
import { may } from "../../net/auth.js";
import { heardBy } from "../../speech/speech.js";
import { stream, view } from "../../state/session.js";
import { askingWords } from "../../text/task_words.js";
import { whyQuiet } from "../../text/words.js";
import { DownIcon } from "../common/icons.js";
import { Ask } from "./ask.js";
import { Line } from "./line.js";

const NEAR_END = 48;

export function Transcript({ session }) {
  const { lines } = view.value;
  const log = useRef(null);
  const list = useRef(null);
  const following = useRef(true);
  const place = useRef(0);
  const [unread, setUnread] = useState(0);
  const seen = useRef(0);
  const last = lines.at(-1);

  useLayoutEffect(() => {
    if (following.current) {
      showEnd();
      seen.current = lines.length;
    }
    setUnread(following.current ? 0 : Math.max(0, lines.length - seen.current));
  }, [lines]);

  // Lines also grow after they came: what an answer rests on is read later.
  useLayoutEffect(() => {
    const watched = new ResizeObserver(() => following.current && log.current && showEnd());
    watched.observe(list.current);
    watched.observe(log.current);
    return () => watched.disconnect();
  }, []);

  function showEnd() {
    log.current.scrollTop = log.current.scrollHeight;
    place.current = log.current.scrollTop;
  }

  // Only who scrolls up leaves the end: lines that grow below the last place do not.
  function onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = log.current;
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) following.current = true;
    else if (scrollTop < place.current) following.current = false;
    place.current = scrollTop;
    if (following.current) {
      seen.current = view.value.lines.length;
      setUnread(0);
    }
  }

  function toEnd() {
    following.current = true;
    showEnd();
  }

  return html`
    <section class="transcript card" aria-labelledby="transcript-title">
      <h2 id="transcript-title">Transcript</h2>
      <div class="log-frame">
        <div class="log" ref=${log} role="log" aria-live="off" aria-labelledby="transcript-title" tabindex="0" onScroll=${onScroll}>
          ${lines.every((line) => line.type === "notice") && html`<${Quiet} session=${session} />`}
          <ol ref=${list}>
            ${lines.map((line, n) => html`<${Line} key=${line.key} line=${line} before=${lines[n - 1]} session=${session} closed=${view.value.closed} />`)}
          </ol>
        </div>
        ${unread > 0 && html`<button type="button" class="to-end" onClick=${toEnd}><${DownIcon} />${unread} new</button>`}
      </div>
      <${Asking} lines=${lines} log=${log} />
      <${Announcer} line=${last} />
      ${may("POST /v1/sessions/{session_id}/queries") ? html`<${Ask} session=${session} onAsk=${toEnd} />` : html`<p class="hint ask-not">You see what is said here. Asking is not for your key.</p>`}
    </section>
  `;
}

function Quiet({ session }) {
  const silent = session !== null && call.value?.sessionId === session.id && call.value.silent;
  const why = whyQuiet(session, stream.value.state, silent);
  return html`
    <div class="quiet">
      <p><strong>Nothing said yet.</strong></p>
      <p class="muted">${why ?? "It looks every second and speaks when there is something worth saying. The strip shows each look."}</p>
    </div>
  `;
}

/** An agent waits for a permission, perhaps further up: its card is a click away. */
function Asking({ lines, log }) {
  const waiting = lines.filter((line) => line.task?.status === "waiting");
  const show = () => {
    const card = log.current.querySelector(`[data-task="${CSS.escape(waiting[0].task.id)}"]`);
    card.scrollIntoView({ block: "nearest" });
    card.focus({ preventScroll: true });
  };
  return html`<div role="status">${waiting.length > 0 && html`<p class="asking note warn">
    <span>${askingWords(waiting.map((line) => line.task))}.</span>
    <button type="button" class="link" onClick=${show}>Show</button>
  </p>`}</div>`;
}

/** Reads whole lines to a screen reader, unless a voice says them; the growing text itself would be read in pieces. */
function Announcer({ line }) {
  const [text, setText] = useState("");
  const whole = line && !line.streaming && !["asked", "heard"].includes(line.type) && !(line.type === "said" && heardBy.value) ? line.text : null;
  useEffect(() => {
    if (whole) setText(whole);
  }, [whole, line?.key]);
  return html`<p class="visually-hidden" aria-live="polite" data-testid="announcer">${text}</p>`;
}
