// This webcam as a source: what a call may cost, and its start.
import { html, useEffect } from "../../html.js";
import { call, callFidelity, startCall, stopCall } from "../../call/call.js";
import { chooseWanted, wanted } from "../../call/microphone.js";
import { refreshSessionSettings, settingOf } from "../../state/lists.js";
import { liveHref } from "../../state/router.js";
import { defaultWords } from "../../text/words.js";
import { CameraIcon } from "../common/icons.js";

export function WebcamCard() {
  const now = call.value;
  const busy = now && ["asking", "dialling", "redialling"].includes(now.status);
  const words = { asking: "Waiting for the browser's permission…", dialling: "Connecting…", redialling: "Reconnecting…" };
  const running = now && now.sessionId && now.status !== "failed";
  return html`
    <section class="card webcam-card" aria-labelledby="webcam-title">
      <span class="webcam-mark"><${CameraIcon} /></span>
      <h2 id="webcam-title">This webcam</h2>
      <p class="muted">Picture and sound go to this server only, and only until you hang up.</p>
      ${running
        ? html`<a class="button primary big" href=${liveHref(now.sessionId)}>Back to your call</a>
            <button type="button" class="big" onClick=${stopCall}>Hang up</button>`
        : html`<button type="button" class="primary big" disabled=${busy} onClick=${startCall}>Use this webcam</button>`}
      ${!running && html`<label class="with-microphone">
        <input type="checkbox" checked=${wanted.value} disabled=${busy} onChange=${(e) => chooseWanted(e.target.checked)} /> With microphone
      </label>`}
      ${!running && html`<${CallCost} disabled=${busy} />`}
      <p class="webcam-state" role="status">${busy ? words[now.status] : ""}</p>
      ${now?.status === "failed" && html`<p class="note bad" role="alert">${now.error}</p>`}
    </section>
  `;
}

/** How much of the engine a call may take is chosen before it begins. */
function CallCost({ disabled }) {
  useEffect(() => {
    refreshSessionSettings();
  }, []);
  const setting = settingOf("fidelity");
  const choices = setting?.choices ?? [];
  const chosen = choices.find(({ value }) => value === callFidelity.value);
  return html`
    <details class="call-cost">
      <summary>Pictures: ${chosen?.title ?? defaultWords(setting)}</summary>
      <select aria-label="What frames may cost" disabled=${disabled} value=${callFidelity.value} onChange=${(e) => (callFidelity.value = e.target.value)}>
        <option value="">${defaultWords(setting)}</option>
        ${choices.map(({ value, title }) => html`<option key=${value} value=${value}>${title}</option>`)}
      </select>
      ${chosen && html`<p class="hint">${chosen.description}</p>`}
    </details>
  `;
}
