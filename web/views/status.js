// A camera's or session's state: a shape, a colour and a word, never a colour alone.
import { html } from "../html.js";
import { cameraStatus, sourceStatus } from "../words.js";

export const CameraBadge = ({ camera }) => html`<${Badge} ...${cameraStatus(camera)} />`;
export const SourceBadge = ({ state }) => html`<${Badge} ...${sourceStatus(state)} />`;

export function Badge({ word, tone }) {
  return html`<span class="badge ${tone}"><span class="dot ${tone}" aria-hidden="true"></span>${word}</span>`;
}
