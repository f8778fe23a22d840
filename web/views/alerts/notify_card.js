// Whether this browser shows alerts itself.
import { html, useState } from "../../html.js";
import { notifying, setNotifying } from "../../state/alerts.js";
import { NOTIFY } from "../../text/alert_words.js";
import { BellIcon } from "../common/icons.js";

export function NotifyCard() {
  const [busy, setBusy] = useState(false);
  const state = notifying.value;
  const on = state === "on";
  async function toggle() {
    setBusy(true);
    await setNotifying(!on);
    setBusy(false);
  }
  return html`
    <div class="notify" data-notify=${state}>
      <${BellIcon} />
      <p role="status">${NOTIFY[state] ?? NOTIFY.off}</p>
      ${!["unsupported", "denied"].includes(state) && html`<button type="button" class="small" disabled=${busy} onClick=${toggle}>${on ? "Do not show them here" : "Show them in this browser"}</button>`}
    </div>
  `;
}
