// One session: picture, strip, transcript, watches.
import { html, useEffect } from "../../html.js";
import { call, sessionEnded, stopCall } from "../../call/call.js";
import { useSeconds } from "../../net/contact.js";
import { closeSession, open, stream, view } from "../../state/session.js";
import { ago } from "../../text/format.js";
import { sentence } from "../../text/words.js";
import { BackIcon, PhoneDownIcon } from "../common/icons.js";
import { EngineNote, SourceBadge } from "../common/status.js";
import { useTitle } from "../common/title.js";
import { SoundBar } from "../speech/sound_bar.js";
import { Strip } from "../strip/strip.js";
import { Transcript } from "../transcript/transcript.js";
import { Engine } from "./engine.js";
import { Stage } from "./stage.js";
import { Watches } from "./watches.js";

export function Live({ id }) {
  const { session } = view.value;
  const mine = call.value?.sessionId === id ? call.value : null;
  const gone = stream.value.state === "gone";
  useEffect(() => open(id, { keepTranscript: call.value?.replaced === view.value.id && view.value.id !== "" }), [id]);
  useEffect(() => closeSession, []);
  useTitle(session?.name ?? "");
  useEffect(() => {
    if (gone && mine) sessionEnded(stream.value.code);
  }, [gone, mine?.status]);

  if (gone && !session) return html`<${Missing} why=${stream.value.why} />`;
  return html`
    <div class="live" data-stream=${stream.value.state} data-call=${mine?.status}>
      <header class="live-head">
        <a class="icon-button" href="#/live" aria-label="Back to all cameras"><${BackIcon} /></a>
        <h1 class="clip-text">${session?.name ?? "Opening…"}</h1>
        ${session && !gone && html`<${SourceBadge} state=${mine ? callState(mine, session) : session.state} engine=${session.engine_state} known=${known(mine)} />`}
        <${StreamState} />
        ${mine && mine.status !== "failed" && html`<button type="button" class="hang-up" onClick=${stopCall}><${PhoneDownIcon} />Hang up</button>`}
      </header>
      <${EngineNote} state=${stream.value.state === "live" ? session?.engine_state : null} />
      <${Pressure} pressure=${session?.pressure} />
      <div class="live-grid">
        <div class="live-main">
          <${Stage} session=${session} own=${mine?.stream} />
          <${SoundBar} session=${session} mine=${mine && mine.status !== "failed" ? mine : null} />
          <${Strip} />
          <div class="live-below">
            <${Watches} session=${session} />
            <${Engine} session=${session} />
          </div>
        </div>
        <${Transcript} session=${session} />
      </div>
    </div>
  `;
}

/** Does what is shown hold now? Not while the connection to the server is lost, or no picture of ours arrives there. */
const known = (mine) => stream.value.state !== "away" && !mine?.silent;

/** While one dials, the call knows more than the session. */
function callState(mine, session) {
  const words = { redialling: "connecting", dialling: "connecting", failed: "offline" };
  return { ...session.state, status: words[mine.status] ?? session.state.status };
}

/** What the session gives up while its engine is short of time; nothing while it keeps up. */
function Pressure({ pressure }) {
  const short = pressure?.step > 0;
  return html`<div role="status">${short && html`<p class="note warn pressure" data-step=${pressure.step}>${pressure.sentence}</p>`}</div>`;
}

function StreamState() {
  const { state, why, since } = stream.value;
  const now = useSeconds(since !== null);
  const words = {
    connecting: "Connecting to the server…",
    away: `The connection to the server is lost. ${since === null ? "" : `No message for ${ago(since, now)}. `}Reconnecting…`,
    gone: `This session is over: ${sentence(why)}`,
  };
  return html`<span class="stream-state" data-state=${state} role="status">${words[state] ?? ""}</span>`;
}

function Missing({ why }) {
  return html`
    <div class="page narrow empty-state">
      <h1>This session is over</h1>
      <p class="muted">${why}</p>
      <a class="button primary" href="#/live">Choose another one</a>
    </div>
  `;
}
