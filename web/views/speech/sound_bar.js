// Below the picture: its voice, and the microphone of one's own call.
import { html } from "../../html.js";
import { blocked, setVolume, volume } from "../../call/loudspeaker.js";
import { microphone } from "../../call/microphone.js";
import { patch, sessionPath } from "../../net/api.js";
import { may } from "../../net/auth.js";
import { voiceProblem } from "../../speech/own_voice.js";
import { choose, inCall, mayHear, wantsVoice, whyUnheard } from "../../speech/speech.js";
import { attempt } from "../../state/messages.js";
import { stream } from "../../state/session.js";
import { unheardWords } from "../../text/words.js";
import { SpeakerIcon, SpeakerOffIcon } from "../common/icons.js";
import { Devices } from "./devices.js";
import { Microphone } from "./microphone.js";
import { PushToTalk } from "./push_to_talk.js";

export function SoundBar({ session, mine }) {
  if (!session?.speech || stream.value.state === "gone") return null;
  const { speech } = session;
  return html`
    <section class="sound-bar" aria-label="Sound">
      <div class="sound-controls">
        ${mayHear(speech) && html`<${Voice} session=${session} />`}
        ${mine && html`<${Microphone} />`}
        ${session.listen === "push_to_talk" && may("PUT /v1/sessions/{session_id}/talking") && (mine || speech.hears) && html`<${PushToTalk} session=${session} mine=${mine} />`}
        ${may("PATCH /v1/sessions/{session_id}") && html`<${Devices} session=${session} mine=${mine} />`}
      </div>
      <p class="sound-state" role="status">${problemOf(speech, mine)}</p>
    </section>
  `;
}

/** The first thing that keeps one from hearing or being heard, as a sentence. */
function problemOf(speech, mine) {
  if (mine && microphone.value.problem) return microphone.value.problem;
  if (speech.error) return speech.error;
  if (mine && blocked.value) return unheardWords("untouched");
  return unheardWords(whyUnheard() || voiceProblem.value || "");
}

/** What the session spoke with before it was switched off here. */
let before = null;

function Voice({ session }) {
  const off = session.speech.speaks === "off";
  const on = wantsVoice() && !off;

  /** In one's own call nobody else listens: then the session itself falls silent, and knows that nobody hears it. */
  async function toggle() {
    choose(!on);
    const silences = on && inCall() && session.speech.speaks === "server";
    if (silences) before = session.voice;
    if (silences || off) await attempt(() => patch(sessionPath(session.id), { voice: silences ? "off" : (before ?? "auto") }));
  }

  return html`
    <button type="button" class="sound-button" aria-pressed=${on} onClick=${toggle}>
      ${on ? html`<${SpeakerIcon} />` : html`<${SpeakerOffIcon} />`}Voice
    </button>
    ${on && html`<input class="volume" type="range" min="0" max="1" step="0.05" aria-label="Volume of the voice" value=${volume.value}
      onInput=${(e) => setVolume(Number(e.target.value))} />`}
  `;
}
