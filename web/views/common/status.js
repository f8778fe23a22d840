// A camera's or session's state: a shape, a colour and a word, never a colour alone.
import { html } from "../../html.js";
import { lost } from "../../net/contact.js";
import { ago, timeOfDay } from "../../text/format.js";
import { cameraStatus, engineTrouble, NO_CONTACT, sourceStatus } from "../../text/words.js";

/** A camera in a list, in one word: the first thing that keeps it from being watched. */
export function CameraBadge({ camera }) {
  if (lost.value !== null) return html`<${Badge} ...${NO_CONTACT} />`;
  const source = cameraStatus(camera);
  const trouble = source.tone === "online" && engineTrouble(camera.engine_state);
  return html`<${Badge} ...${trouble || source} />`;
}

/** The open session; `known`: its connection to the server works. */
export function SourceBadge({ state, engine, known }) {
  if (!known) return html`<${Badge} ...${NO_CONTACT} />`;
  const trouble = engineTrouble(engine);
  return html`<${Badge} ...${sourceStatus(state)} />${trouble && html`<${Badge} ...${trouble} />`}`;
}

export function Badge({ word, tone }) {
  return html`<span class="badge ${tone}"><span class="dot ${tone}" aria-hidden="true"></span>${word}</span>`;
}

/** What is wrong with the engine, since when, and what happens now; nothing while it decides. */
export function EngineNote({ state }) {
  const trouble = engineTrouble(state);
  return html`<div role="status">${trouble &&
    html`<p class="note engine-state ${trouble.tone === "offline" ? "bad" : "warn"}" data-status=${trouble.status}>
      <span><strong>${trouble.title}</strong> ${trouble.reason} ${trouble.next}
        ${" "}<span class="since">Since ${timeOfDay(Date.parse(trouble.since) / 1000)}.</span></span>
    </p>`}</div>`;
}

/** The same for a row or tile, in a line. */
export function engineLine(camera) {
  const trouble = camera.enabled && engineTrouble(camera.engine_state);
  return trouble ? `${trouble.title} ${trouble.reason} For ${ago(trouble.since)}.`.replaceAll("  ", " ") : null;
}
