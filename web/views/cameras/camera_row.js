// One camera in the list: its state in words, and what can be done with it.
import { html, useState } from "../../html.js";
import { cameraPath, del, post } from "../../net/api.js";
import { may } from "../../net/auth.js";
import { refreshCameras } from "../../state/lists.js";
import { attempt } from "../../state/messages.js";
import { liveHref } from "../../state/router.js";
import { ago } from "../../text/format.js";
import { mediaFacts, whyNoPicture } from "../../text/words.js";
import { Confirm } from "../common/confirm.js";
import { Thumbnail } from "../common/picture.js";
import { CameraBadge, engineLine } from "../common/status.js";
import { ProbeResult, useProbe } from "./probe.js";

export function CameraRow({ camera, onEdit }) {
  const [asking, setAsking] = useState(false);
  const probe = useProbe();
  const act = (action) => attempt(async () => {
    await action();
    await refreshCameras();
  });
  const remove = () => {
    setAsking(false);
    act(() => del(cameraPath(camera.id)));
  };
  return html`
    <li class="camera card" data-camera=${camera.id}>
      <${Thumbnail} camera=${camera} />
      <div class="camera-text">
        <div class="camera-name"><h2 class="clip-text">${camera.name}</h2><${CameraBadge} camera=${camera} /></div>
        <p class="url" title=${camera.url}>${camera.url}</p>
        <p class="camera-state">${stateWords(camera)}</p>
        ${engineLine(camera) && html`<p class=${`camera-state engine-line ${camera.engine_state.status}`}>${engineLine(camera)}</p>`}
        ${camera.watches.length > 0 && html`<p class="muted small-text">${camera.watches.length === 1 ? "1 watch" : `${camera.watches.length} watches`}: ${camera.watches.map((w) => w.name).join("; ")}</p>`}
        <${ProbeResult} probe=${probe} />
      </div>
      <div class="camera-actions">
        <div>
        ${may("POST /v1/cameras/{camera_id}/enable") && html`<button type="button" class="switch" role="switch" aria-checked=${String(camera.enabled)} aria-label=${`Watch ${camera.name}`}
          onClick=${() => act(() => post(cameraPath(camera.id, camera.enabled ? "/disable" : "/enable")))}>
          <span class="switch-knob" aria-hidden="true"></span><span>${camera.enabled ? "On" : "Off"}</span>
        </button>`}
        ${camera.enabled && html`<a class="button primary small" href=${liveHref(camera.session_id)} aria-label=${`Open ${camera.name}`}>Open</a>`}
        </div>
        <div>
        ${may("POST /v1/cameras/{camera_id}/probe") && html`<button type="button" class="small" disabled=${probe.busy} onClick=${() => probe.run(cameraPath(camera.id, "/probe"))}>${probe.busy ? "Testing…" : "Test"}</button>`}
        ${may("PATCH /v1/cameras/{camera_id}") && html`<button type="button" class="small" onClick=${onEdit}>Edit</button>`}
        ${may("DELETE /v1/cameras/{camera_id}") && html`<button type="button" class="small quiet-danger" onClick=${() => setAsking(true)}>Delete</button>`}
        </div>
      </div>
      ${asking &&
      html`<${Confirm} title=${`Delete ${camera.name}?`} text="This also deletes its settings and watches. Its events stay." yes="Delete"
        onYes=${remove} onNo=${() => setAsking(false)} />`}
    </li>
  `;
}

function stateWords(camera) {
  if (!camera.enabled) return "Switched off: nobody looks at it.";
  const { state } = camera;
  if (!state || state.status === "connecting") return `${whyNoPicture(state)}${nextTry(state)}`;
  if (state.status === "online") return `${mediaFacts(state) || "The picture is there"}. Online for ${ago(state.since)}.`;
  if (state.status === "ended") return `${whyNoPicture(state)} Ended ${ago(state.since)} ago.`;
  return `${whyNoPicture(state)} Offline for ${ago(state.since)}.${nextTry(state)}`;
}

const nextTry = (state) => (state?.retry_in_s ? ` Next try within ${Math.max(1, Math.round(state.retry_in_s))} s${state.attempts > 1 ? `, ${state.attempts} tries so far` : ""}.` : "");
