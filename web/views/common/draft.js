// A line that somebody writes and sends.
import { useState } from "../../html.js";
import { attempt } from "../../state/messages.js";

// Sent it is gone from the field at once, so that the next can be typed meanwhile; refused it comes back, unless
// something else was begun. `send(text)` may throw, and is never called with nothing.
export function useDraft(send) {
  const [text, setText] = useState("");

  async function submit(event) {
    event.preventDefault();
    const sent = text.trim();
    if (!sent) return;
    setText("");
    if (!(await attempt(() => send(sent)))) setText((now) => now || sent);
  }

  return { text, setText, submit };
}
