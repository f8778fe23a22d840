// The picture, with a frame around what was just spoken about.
import { html, useEffect, useState } from "../../html.js";
import { call, hungUp, startCall } from "../../call/call.js";
import { sessionPath } from "../../net/api.js";
import { may } from "../../net/auth.js";
import { useSeconds } from "../../net/contact.js";
import { stream, view } from "../../state/session.js";
import { ago } from "../../text/format.js";
import { sentence, whyNoPicture } from "../../text/words.js";
import { LocalVideo, usePicture } from "../common/picture.js";
import { Captions } from "../speech/captions.js";

const POLL_MS = 333;
const BOX_MS = 3000;

export function Stage({ session, own }) {
  const over = stream.value.state === "gone" || (session && hungUp.value === session.id);
  const remote = !own && session && !over;
  const offline = session?.state && session.state.status !== "online";
  const away = stream.value.state === "away";
  const { src, problem, at } = usePicture(remote ? sessionPath(session.id, "/snapshot.jpg") : null, POLL_MS, offline);
  const reason = own ? null : over ? whyOver() : away ? whyAway(session) : (offline || problem) && whyNoPicture(session?.state, problem);
  const now = useSeconds(Boolean(reason) && at !== null);
  const shape = session?.state?.width ? session.state.width / session.state.height : 16 / 9;
  return html`
    <section class="stage" aria-label="Picture">
      <div class="stage-picture" style=${{ "--shape": shape }}>
        ${own ? html`<${LocalVideo} stream=${own} />` : src && html`<img class=${reason ? "stale" : ""} src=${src} alt=${`Live picture of ${session?.name ?? "the source"}`} />`}
        ${!reason && html`<${Sighting} />`}
        ${!over && !away && html`<${Captions} />`}
        ${reason &&
        html`<div class="no-picture" role="status">
          <strong>${over ? "The session is over" : src ? `Last seen ${ago(at, now)} ago` : "No picture"}</strong><span>${reason}</span>
          ${over ? html`<${CallAgain} session=${session} />` : !away && html`<${NextTry} state=${session?.state} />`}
        </div>`}
        ${own && (away || call.value?.silent) && html`<p class="unseen" role="status">Your picture does not reach the server. Reconnecting…</p>`}
        ${!own && !src && !reason && html`<div class="no-picture"><span>Waiting for the first picture…</span></div>`}
      </div>
    </section>
  `;
}

const whyAway = (session) => (session ? "The server does not answer. The picture comes back by itself." : "The server does not answer.");

function whyOver() {
  if (call.value?.status === "failed") return call.value.error;
  return stream.value.why ? sentence(`The session ended: ${stream.value.why}`) : "The call was hung up.";
}

function CallAgain({ session }) {
  if (session?.kind !== "call" || !may("POST /v1/realtime/calls") || (call.value && call.value.status !== "failed")) return null;
  return html`<button type="button" class="primary" onClick=${startCall}>Use this webcam again</button>`;
}

function NextTry({ state }) {
  if (!state || state.status === "online" || !state.retry_in_s) return null;
  return html`<span class="muted-on-dark">Tries again every ${Math.max(1, Math.round(state.retry_in_s))} s.</span>`;
}

/** A frame around the place of the newest remark, for a few seconds. */
function Sighting() {
  const last = view.value.ticks.findLast((tick) => tick.decision !== "silent" && tick.box);
  const key = last ? `${last.wall}-${last.epoch}` : "";
  const [hidden, setHidden] = useState("");
  const age = last ? view.value.ticks.at(-1).wall - last.wall : Infinity;
  useEffect(() => {
    if (!key) return undefined;
    const timer = setTimeout(() => setHidden(key), BOX_MS);
    return () => clearTimeout(timer);
  }, [key]);
  if (!last || hidden === key || age > BOX_MS / 1000) return null;
  const [x0, y0, x1, y1] = last.box;
  const place = { left: `${x0 * 100}%`, top: `${y0 * 100}%`, width: `${(x1 - x0) * 100}%`, height: `${(y1 - y0) * 100}%` };
  return html`<div class="sighting" style=${place} aria-hidden="true"></div>`;
}
