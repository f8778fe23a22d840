// A question asked once; the answer comes in the transcript.
import { html } from "../../html.js";
import { post, sessionPath } from "../../net/api.js";
import { stream } from "../../state/session.js";
import { useDraft } from "../common/draft.js";
import { SendIcon } from "../common/icons.js";

/** `onAsk`: called when a question is sent. */
export function Ask({ session, onAsk }) {
  const { text, setText, submit } = useDraft((question) => {
    onAsk();
    return post(sessionPath(session.id, "/queries"), { text: question });
  });
  const off = !session || stream.value.state === "gone";

  return html`
    <form class="ask" onSubmit=${submit}>
      <label class="visually-hidden" for="ask">Ask about what it sees</label>
      <input id="ask" type="text" placeholder="Ask about what it sees" maxlength="2000" autocomplete="off" value=${text} disabled=${off}
        aria-describedby=${session && !session.capabilities.follows_instructions ? "ask-hint" : undefined} onInput=${(e) => setText(e.target.value)} />
      <button class="primary icon-only" aria-label="Ask" disabled=${off || !text.trim()}><${SendIcon} /></button>
      ${session && !session.capabilities.follows_instructions && html`<p id="ask-hint" class="hint">The engine ${session.engine} does not read words, so it cannot say what it sees now. Ask about the past, or tell it what to remember.</p>`}
    </form>
  `;
}
