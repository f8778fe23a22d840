// Which microphone and loudspeaker, what the session speaks with, and when it listens.
import { html, useEffect, useState } from "../../html.js";
import { canChooseLoudspeaker, chooseLoudspeaker, loudspeaker } from "../../call/loudspeaker.js";
import { choose, chosen, inputs, outputs } from "../../call/microphone.js";
import { patch, sessionPath } from "../../net/api.js";
import { choicesOf, refreshServerVoices, refreshSessionSettings, settingOf } from "../../state/lists.js";
import { attempt } from "../../state/messages.js";
import { listeningWords } from "../../text/words.js";
import { VoiceField } from "./voice_field.js";

export function Devices({ session, mine }) {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!seen) return;
    refreshSessionSettings();
    // Voices come and go with what is installed; espeak is asked which it has.
    refreshServerVoices();
  }, [seen]);
  const change = (changes) => attempt(() => patch(sessionPath(session.id), changes));
  const listening = choicesOf("listen");
  const wakeWord = session.listen !== "off" && session.wake_word !== undefined && settingOf("wake_word");
  return html`
    <details class="devices" onToggle=${(e) => setSeen(e.target.open)}>
      <summary>Sound settings</summary>
      <div class="device-fields">
        ${mine && inputs.value.length > 0 && html`<${Choice} label="Microphone" value=${chosen.value} devices=${inputs.value} choose=${choose} />`}
        ${mine && canChooseLoudspeaker && outputs.value.length > 0 &&
        html`<${Choice} label="Loudspeaker" value=${loudspeaker.value} devices=${outputs.value} choose=${chooseLoudspeaker} />`}
        <${VoiceField} session=${session} choose=${(voice) => change({ voice })} />
        ${listening.length > 0 && html`<label>It listens
          <select aria-label="It listens" value=${session.listen} onChange=${(e) => change({ listen: e.target.value })}>
            ${listening.map((one) => html`<option key=${one.value} value=${one.value} title=${one.description}>${listeningWords(one)}</option>`)}
          </select>
        </label>`}
        ${wakeWord && html`<label>${wakeWord.title}
          <input type="text" aria-label=${wakeWord.title} maxlength="60" autocomplete="off" placeholder="None; for example: hey joy" title=${wakeWord.description} value=${session.wake_word ?? ""} onChange=${(e) => change({ wake_word: e.target.value.trim() })} />
        </label>`}
      </div>
    </details>
  `;
}

/** A device that is not there at the moment stays chosen; the browser takes another one meanwhile. */
function Choice({ label, value, devices, choose: pick }) {
  const there = devices.some(({ id }) => id === value);
  return html`
    <label>${label}
      <select aria-label=${label} value=${there ? value : ""} onChange=${(e) => pick(e.target.value)}>
        ${!devices.some(({ id }) => id === "default") && html`<option value="">The browser's choice</option>`}
        ${devices.map(({ id, name }) => html`<option key=${id} value=${id === "default" ? "" : id}>${name}</option>`)}
      </select>
    </label>
  `;
}
