// What to open: this webcam, a camera, or a call that runs already.
import { html } from "../../html.js";
import { call } from "../../call/call.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { cameras, refreshCameras, refreshSessions, sessions } from "../../state/lists.js";
import { CameraList, SessionTile } from "./tiles.js";
import { WebcamCard } from "./webcam_card.js";

export function Landing() {
  usePoll(() => Promise.all([refreshCameras(), refreshSessions()]), 2000);
  const others = (sessions.value ?? []).filter((s) => s.kind !== "camera" && s.id !== call.value?.sessionId);
  const calls = may("POST /v1/realtime/calls");
  return html`
    <div class="page landing">
      <h1>${calls ? "What should be watched?" : "What do you want to see?"}</h1>
      <p class="lead">joyvl looks at the picture every second and decides by itself: stay silent, speak, or delegate a question.</p>
      <div class="landing-grid ${calls ? "" : "alone"}">
        ${calls && html`<${WebcamCard} />`}
        <section aria-labelledby="cameras-title">
          <div class="section-head">
            <h2 id="cameras-title">Cameras</h2>
            ${cameras.value?.length > 0 && may("POST /v1/cameras/{camera_id}/enable") && html`<a class="button small" href="#/cameras">Manage</a>`}
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
