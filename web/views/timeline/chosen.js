// What can be done with the events that were chosen.
import { html, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { deleteEvents, keepEvents } from "../../state/events.js";
import { attempt } from "../../state/messages.js";
import { deleteTitle, deleteWords } from "../../text/event_words.js";
import { ChosenBar } from "../common/chosen_bar.js";
import { Confirm } from "../common/confirm.js";
import { BinIcon, PinIcon } from "../common/icons.js";

export function Chosen({ events, onDone }) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const allKept = events.length > 0 && events.every((event) => event.kept);
  const ids = events.map((event) => event.id);
  async function act(action) {
    if (busy) return;
    setBusy(true);
    setAsking(false);
    if (await attempt(action)) onDone();
    setBusy(false);
  }
  return html`
    <${ChosenBar} count=${events.length} label="Chosen events" onClear=${onDone}>
      ${may("PATCH /v1/events/{event_id}") && html`<button type="button" class="small" aria-disabled=${busy} onClick=${() => act(() => keepEvents(ids, !allKept))}><${PinIcon} />${allKept ? "Do not keep" : "Keep"}</button>`}
      ${may("DELETE /v1/events/{event_id}") && html`<button type="button" class="small quiet-danger" aria-disabled=${busy} onClick=${() => setAsking(true)}><${BinIcon} />Delete</button>`}
      ${asking && html`<${Confirm} title=${deleteTitle(events)} text=${deleteWords(events)} yes="Delete" onYes=${() => act(() => deleteEvents(ids))} onNo=${() => setAsking(false)} />`}
    <//>
  `;
}
