// In the picture: who speaks now, and the sentence.
import { html, useEffect, useState } from "../../html.js";
import { saying } from "../../speech/own_voice.js";
import { heardBy } from "../../speech/speech.js";
import { captionOf } from "../../state/spoken.js";
import { serverNow, view } from "../../state/session.js";
import { MicrophoneIcon, SpeakerIcon } from "../common/icons.js";

const STEP_MS = 300;

export function Captions() {
  const { playing, hearing, partial } = view.value.sound;
  const text = playing && view.value.lines.findLast((line) => line.epoch === playing.epoch)?.text;
  useStep(Boolean(text) && !playing.held);
  // Read aloud to those who hear no voice is the transcript, whole; this changes with every word.
  return html`
    <div class="captions" aria-live="off">
      ${hearing !== null && html`<p class="caption user" data-speaker="user"><${MicrophoneIcon} /><span>${partial || "Listening…"}</span></p>`}
      ${text && html`<p class="caption ${playing.held ? "held" : ""}" data-speaker="session" data-heard=${heardBy.value}>
        <${SpeakerIcon} /><span>${sentenceOf(text, playing)}</span></p>`}
    </div>
  `;
}

function sentenceOf(text, playing) {
  const at = saying.value?.epoch === playing.epoch ? saying.value.at : null;
  const until = playing.held ? playing.heldAt : serverNow();
  return captionOf(text, Math.max(0, until - playing.since), at);
}

/** Drawn again and again while `running`: time alone moves it. */
function useStep(running) {
  const [, step] = useState(0);
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => step((n) => n + 1), STEP_MS);
    return () => clearInterval(timer);
  }, [running]);
}
