// Cameras and other sessions as tiles that open them.
import { html } from "../../html.js";
import { isBound, may } from "../../net/auth.js";
import { cameras, sessions } from "../../state/lists.js";
import { liveHref } from "../../state/router.js";
import { ago, timeOfDay } from "../../text/format.js";
import { noCamera } from "../../text/role_words.js";
import { whyNoPicture } from "../../text/words.js";
import { PlusIcon } from "../common/icons.js";
import { Thumbnail } from "../common/picture.js";
import { CameraBadge, engineLine } from "../common/status.js";

export function CameraList() {
  if (cameras.value === null) return html`<p class="muted">Reading the list…</p>`;
  const none = cameras.value.length === 0;
  const adds = may("POST /v1/cameras");
  if (none && !adds) return html`<p class="card nothing-here muted">${noCamera(isBound())}</p>`;
  return html`
    <ul class="tiles">
      ${cameras.value.map((camera) => html`<li key=${camera.id}><${CameraTile} camera=${camera} /></li>`)}
      ${adds &&
      html`<li class=${none ? "add-row whole-row" : "add-row"}>
        <a class="tile add ${none ? "first" : ""}" href="#/cameras/new"><span><${PlusIcon} />${none ? "Add your first camera" : "Add a camera"}</span></a>
      </li>`}
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

export function SessionTile({ session }) {
  return html`<a class="tile row" href=${liveHref(session.id)}>
    <strong class="clip-text">${session.name}</strong><span class="muted">Webcam call since ${ago(session.created_at)}</span>
  </a>`;
}
