// Cameras: the list, and the form to add one.
import { html, useState } from "../../html.js";
import { isBound, may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { cameras, refreshCameras } from "../../state/lists.js";
import { go, route } from "../../state/router.js";
import { noCamera } from "../../text/role_words.js";
import { CameraIcon, PlusIcon } from "../common/icons.js";
import { NotYours } from "../common/not_yours.js";
import { CameraForm } from "./camera_form.js";
import { CameraRow } from "./camera_row.js";
import { UrlAnatomy } from "./url_anatomy.js";

export function Cameras() {
  const adding = route.value.id === "new";
  const [editing, setEditing] = useState(null);
  usePoll(refreshCameras, 2000);
  const known = cameras.value;
  const adds = may("POST /v1/cameras");
  const closeForm = () => go("#/cameras", { replace: true });
  return html`
    <div class="page">
      <div class="section-head">
        <h1>Cameras</h1>
        ${adds && !adding && known?.length > 0 && html`<a class="button primary" href="#/cameras/new"><${PlusIcon} />Add a camera</a>`}
      </div>
      ${adding && !adds && html`<${NotYours} back="#/cameras" words="Show the cameras" />`}
      ${adding && adds && html`<${CameraForm} key="new" onDone=${closeForm} />`}
      ${known === null && html`<p class="muted">Reading the list…</p>`}
      ${known?.length === 0 && !adding && (adds ? html`<${Empty} />` : html`<p class="card nothing-here muted">${noCamera(isBound())}</p>`)}
      ${known?.length > 0 &&
      html`<ul class="camera-list">
        ${known.map((camera) =>
          editing === camera.id
            ? html`<li key=${camera.id}><${CameraForm} camera=${camera} onDone=${() => setEditing(null)} /></li>`
            : html`<${CameraRow} key=${camera.id} camera=${camera} onEdit=${() => setEditing(camera.id)} />`,
        )}
      </ul>`}
    </div>
  `;
}

const Empty = () => html`
  <section class="card empty-state">
    <span class="webcam-mark"><${CameraIcon} /></span>
    <h2>No camera yet</h2>
    <p class="muted">Network cameras give their picture at an RTSP address. Yours is in the camera's app or manual and looks like this:</p>
    <${UrlAnatomy} />
    <a class="button primary" href="#/cameras/new"><${PlusIcon} />Add a camera</a>
  </section>
`;
