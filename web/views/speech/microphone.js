// The microphone of one's own call: on, muted, how loud; or how to get one.
import { html, useEffect, useRef } from "../../html.js";
import { meterOf, microphone, mute, muted, reopen } from "../../call/microphone.js";
import { MicrophoneIcon, MicrophoneOffIcon } from "../common/icons.js";

const STEP_MS = 100;
/** For those who want little movement. */
const CALM_MS = 1000;

export function Microphone() {
  const { track } = microphone.value;
  if (!track) {
    return html`<button type="button" class="sound-button" onClick=${reopen}><${MicrophoneOffIcon} />Use the microphone</button>`;
  }
  return html`<span class="with-meter">
    <button type="button" class="sound-button" aria-pressed=${!muted.value} onClick=${() => mute(!muted.value)}>
      ${muted.value ? html`<${MicrophoneOffIcon} />Muted` : html`<${MicrophoneIcon} />Microphone`}
    </button>
    <${Meter} track=${track} />
  </span>`;
}

function Meter({ track }) {
  const bar = useRef(null);
  useEffect(() => {
    const meter = meterOf(track);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const timer = setInterval(() => {
      if (document.hidden) return;
      const level = meter.read();
      bar.current?.style.setProperty("--level", level.toFixed(2));
      bar.current?.setAttribute("data-level", level.toFixed(2));
    }, calm ? CALM_MS : STEP_MS);
    return () => {
      clearInterval(timer);
      meter.stop();
    };
  }, [track]);
  return html`<span class="meter" ref=${bar} role="img" aria-label="Level of the microphone"></span>`;
}
