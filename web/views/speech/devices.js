// Which microphone and loudspeaker, what the session speaks with, and when it listens.
import { html, useEffect } from "../../html.js";
import { canChooseLoudspeaker, chooseLoudspeaker, loudspeaker } from "../../call/loudspeaker.js";
import { choose, chosen, inputs, outputs } from "../../call/microphone.js";
import { patch, sessionPath } from "../../net/api.js";
import { choicesOf, refreshSessionSettings } from "../../state/lists.js";
import { attempt } from "../../state/messages.js";
import { VOICES } from "../../text/words.js";

export function Devices({ session, mine }) {
  useEffect(() => {
    refreshSessionSettings();
  }, []);
  const change = (changes) => attempt(() => patch(sessionPath(session.id), changes));
  const voices = VOICES.some(([value]) => value === session.voice) ? VOICES : [...VOICES, [session.voice, session.voice]];
  const listening = choicesOf("listen");
  return html`
    <details class="devices">
      <summary>Sound settings</summary>
      <div class="device-fields">
        ${mine && inputs.value.length > 0 && html`<${Choice} label="Microphone" value=${chosen.value} devices=${inputs.value} choose=${choose} />`}
        ${mine && canChooseLoudspeaker && outputs.value.length > 0 &&
        html`<${Choice} label="Loudspeaker" value=${loudspeaker.value} devices=${outputs.value} choose=${chooseLoudspeaker} />`}
        <label>It speaks with
          <select aria-label="It speaks with" value=${session.voice} onChange=${(e) => change({ voice: e.target.value })}>
            ${voices.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
          </select>
        </label>
        ${listening.length > 0 && html`<label>It listens
          <select aria-label="It listens" value=${session.listen} onChange=${(e) => change({ listen: e.target.value })}>
            ${listening.map(({ value, description }) => html`<option key=${value} value=${value}>${description.replace(/[.]$/, "")}</option>`)}
          </select>
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
