// What to open: this webcam, a camera, or a call that runs already.
import { html, useEffect } from "../../html.js";
import { call, callFidelity, startCall, stopCall } from "../../call/call.js";
import { usePoll } from "../../net/poll.js";
import { cameras, choicesOf, refreshCameras, refreshSessions, refreshSessionSettings, sessions } from "../../state/lists.js";
import { liveHref } from "../../state/router.js";
import { ago, timeOfDay } from "../../text/format.js";
import { whyNoPicture } from "../../text/words.js";
import { CameraIcon, PlusIcon } from "../common/icons.js";
import { Thumbnail } from "../common/picture.js";
import { CameraBadge, engineLine } from "../common/status.js";

export function Landing() {
  usePoll(() => Promise.all([refreshCameras(), refreshSessions()]), 2000);
  const others = (sessions.value ?? []).filter((s) => s.kind !== "camera" && s.id !== call.value?.sessionId);
  return html`
    <div class="page landing">
      <h1>What should be watched?</h1>
      <p class="lead">joyvl looks at the picture every second and decides by itself: stay silent, speak, or delegate a question.</p>
      <div class="landing-grid">
        <${WebcamCard} />
        <section aria-labelledby="cameras-title">
          <div class="section-head">
            <h2 id="cameras-title">Cameras</h2>
            ${cameras.value?.length > 0 && html`<a class="button small" href="#/cameras">Manage</a>`}
          </div>
          <${CameraList} />
          ${others.length > 0 &&
          html`<h2 class="later">Other sessions</h2>
            <ul class="tiles">
              ${others.map((s) => html`<li key=${s.id}><${SessionTile} session=${s} /></li>`)}
            </ul>`}
        </section>
      </div>
    </div>
  `;
}

function WebcamCard() {
  const now = call.value;
  const busy = now && ["asking", "dialling", "redialling"].includes(now.status);
  const words = { asking: "Waiting for the browser's permission…", dialling: "Connecting…", redialling: "Reconnecting…" };
  const running = now && now.sessionId && now.status !== "failed";
  return html`
    <section class="card webcam-card" aria-labelledby="webcam-title">
      <span class="webcam-mark"><${CameraIcon} /></span>
      <h2 id="webcam-title">This webcam</h2>
      <p class="muted">The picture goes to this server only, and only until you hang up.</p>
      ${running
        ? html`<a class="button primary big" href=${liveHref(now.sessionId)}>Back to your call</a>
            <button type="button" class="big" onClick=${stopCall}>Hang up</button>`
        : html`<button type="button" class="primary big" disabled=${busy} onClick=${startCall}>Use this webcam</button>`}
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
  const choices = choicesOf("fidelity");
  const chosen = choices.find(({ value }) => value === callFidelity.value);
  return html`
    <details class="call-cost">
      <summary>Pictures: ${chosen?.title ?? "the server's default"}</summary>
      <select aria-label="What frames may cost" disabled=${disabled} value=${callFidelity.value} onChange=${(e) => (callFidelity.value = e.target.value)}>
        <option value="">The server's default</option>
        ${choices.map(({ value, title }) => html`<option key=${value} value=${value}>${title}</option>`)}
      </select>
      ${chosen && html`<p class="hint">${chosen.description}</p>`}
    </details>
  `;
}

function CameraList() {
  if (cameras.value === null) return html`<p class="muted">Reading the list…</p>`;
  const none = cameras.value.length === 0;
  return html`
    <ul class="tiles">
      ${cameras.value.map((camera) => html`<li key=${camera.id}><${CameraTile} camera=${camera} /></li>`)}
      <li class=${none ? "add-row whole-row" : "add-row"}>
        <a class="tile add ${none ? "first" : ""}" href="#/cameras/new"><span><${PlusIcon} />${none ? "Add your first camera" : "Add a camera"}</span></a>
      </li>
    </ul>
  `;
}

function CameraTile({ camera }) {
  const body = html`
    <${Thumbnail} camera=${camera} />
    <span class="tile-head"><strong class="clip-text">${camera.name}</strong><${CameraBadge} camera=${camera} /></span>
    <span class="tile-why">${tileWords(camera)}</span>
    <${LastRemark} sessionId=${camera.session_id} />
  `;
  if (!camera.enabled) return html`<div class="tile off">${body}</div>`;
  return html`<a class="tile" href=${liveHref(camera.session_id)} aria-label=${`Open ${camera.name}`}>${body}</a>`;
}

/** What was said last here: one sees on the first page that it is awake. */
function LastRemark({ sessionId }) {
  const remark = sessions.value?.find((s) => s.id === sessionId)?.last_remark;
  if (!remark) return null;
  return html`<span class="tile-said"><time>${timeOfDay(remark.wall)}</time> <span>${remark.text || remark.question}</span></span>`;
}

function tileWords(camera) {
  if (!camera.enabled) return "Switched off";
  const { state, watches } = camera;
  if (state?.status === "offline") return `${whyNoPicture(state)} Offline for ${ago(state.since)}.`;
  if (state?.status !== "online") return whyNoPicture(state);
  const trouble = engineLine(camera);
  if (trouble) return trouble;
  return watches.length === 0 ? "No watch yet" : watches.length === 1 ? watches[0].name : `${watches.length} watches`;
}

function SessionTile({ session }) {
  return html`<a class="tile row" href=${liveHref(session.id)}>
    <strong class="clip-text">${session.name}</strong><span class="muted">Webcam call since ${ago(session.created_at)}</span>
  </a>`;
}
