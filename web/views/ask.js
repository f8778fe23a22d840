// A question asked once; the answer comes in the transcript.
import { html, useState } from "../html.js";
import { post, sessionPath } from "../api.js";
import { attempt, stream } from "../store.js";
import { SendIcon } from "./icons.js";

export function Ask({ session }) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const off = !session || stream.value.state === "gone";

  async function submit(event) {
    event.preventDefault();
    if (!text.trim()) return;
    setBusy(true);
    const asked = await attempt(() => post(sessionPath(session.id, "/queries"), { text: text.trim() }));
    setBusy(false);
    if (asked) setText("");
  }

  return html`
    <form class="ask" onSubmit=${submit}>
      <label class="visually-hidden" for="ask">Ask about what it sees</label>
      <input id="ask" type="text" placeholder="Ask about what it sees" maxlength="2000" autocomplete="off" value=${text} disabled=${off}
        aria-describedby=${session && !session.capabilities.follows_instructions ? "ask-hint" : undefined} onInput=${(e) => setText(e.target.value)} />
      <button class="primary icon-only" aria-label="Ask" disabled=${off || busy || !text.trim()}><${SendIcon} /></button>
      ${session && !session.capabilities.follows_instructions && html`<p id="ask-hint" class="hint">The engine ${session.engine} does not read words, so it cannot answer.</p>`}
    </form>
  `;
}
