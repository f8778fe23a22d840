// The button that is held while one talks; the space key does the same.
import { html, useEffect, useRef, useState } from "../../html.js";
import { keepSilent } from "../../call/microphone.js";
import { put, sessionPath } from "../../net/api.js";
import { report } from "../../state/messages.js";
import { MicrophoneIcon } from "../common/icons.js";

/** The server takes a button that it does not hear of for let go. */
const AGAIN_MS = 3000;

export function PushToTalk({ session, mine }) {
  const [held, setHeld] = useState(false);
  const button = useRef(null);
  useSpaceKey(setHeld);

  useEffect(() => {
    if (mine) keepSilent(!held);
  }, [held, Boolean(mine)]);
  useEffect(() => () => keepSilent(false), []);
  useEffect(() => {
    if (!held) return undefined;
    const tell = (talking) => put(sessionPath(session.id, "/talking"), { talking }).catch(report);
    tell(true);
    const timer = setInterval(() => tell(true), AGAIN_MS);
    return () => {
      clearInterval(timer);
      tell(false);
    };
  }, [held, session.id]);

  return html`
    <button type="button" class="sound-button talk" ref=${button} aria-pressed=${held}
      onPointerDown=${(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setHeld(true);
      }}
      onPointerUp=${() => setHeld(false)} onPointerCancel=${() => setHeld(false)} onContextMenu=${(event) => event.preventDefault()}>
      <${MicrophoneIcon} />${held ? "Talk now" : "Hold to talk"}
    </button>
  `;
}

/** Not where the key means something else: in a field, or on a button. */
function useSpaceKey(setHeld) {
  useEffect(() => {
    const free = (target) => !target.closest?.("input, select, textarea, summary, a, button:not(.talk), [role=log]");
    const down = (event) => {
      if (event.code !== "Space" || !free(event.target)) return;
      event.preventDefault();
      if (!event.repeat) setHeld(true);
    };
    const up = (event) => event.code === "Space" && setHeld(false);
    const gone = () => setHeld(false);
    addEventListener("keydown", down);
    addEventListener("keyup", up);
    addEventListener("blur", gone);
    return () => {
      removeEventListener("keydown", down);
      removeEventListener("keyup", up);
      removeEventListener("blur", gone);
    };
  }, []);
}
