// What the session speaks with: the server's choice, the browser's own voice, none, or one of the server's voices.
import { html, useState } from "../../html.js";
import { voiceGroups } from "../../speech/voice_choices.js";
import { serverVoices } from "../../state/lists.js";
import { VOICES } from "../../text/words.js";

export function VoiceField({ session, choose }) {
  const [all, setAll] = useState(false);
  const { voice, speech_language: spoken } = session;
  const languages = [...(spoken && spoken !== "auto" ? [spoken] : []), ...navigator.languages, "en"];
  const { groups, hidden } = voiceGroups(serverVoices.value, { languages, current: voice, all });
  const known = VOICES.some(([value]) => value === voice) || groups.some(({ options }) => options.some(({ value }) => value === voice));
  return html`
    <div class="voice-field">
      <label>It speaks with
        <select aria-label="It speaks with" value=${voice} onChange=${(e) => choose(e.target.value)}>
          ${VOICES.map(([value, name]) => html`<option key=${value} value=${value}>${name}</option>`)}
          ${!known && html`<option key=${voice} value=${voice}>${voice}</option>`}
          ${groups.map(({ label, options }) => html`<optgroup key=${label} label=${label}>
            ${options.map(({ value, name }) => html`<option key=${value} value=${value}>${name}</option>`)}
          </optgroup>`)}
        </select>
      </label>
      ${hidden > 0 && html`<button type="button" class="link" onClick=${() => setAll(true)}>Voices of other languages (${hidden})</button>`}
    </div>
  `;
}
