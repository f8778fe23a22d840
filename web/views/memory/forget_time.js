// Forget all of a time: what was seen, said and heard then.
import { html, useState } from "../../html.js";
import { forgetTime } from "../../state/memories.js";
import { attempt } from "../../state/messages.js";
import { dayAndTime, dayStart, fieldTime, wallOf } from "../../text/format.js";
import { collectionName, forgetTimeText } from "../../text/memory_words.js";
import { Confirm } from "../common/confirm.js";
import { BinIcon } from "../common/icons.js";

/** `collection`: empty for all cameras and callers. */
export function ForgetTime({ collection, names, onDone }) {
  const [times, setTimes] = useState(null); // {start, end} of the fields, while they are open
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const since = times && wallOf(times.start);
  const until = times && wallOf(times.end);
  const wrong = times && times.start && times.end && !(since < until);
  function open() {
    const now = Date.now() / 1000;
    setTimes({ start: fieldTime(dayStart(now)), end: fieldTime(now + 60) });
  }
  async function forget() {
    setAsking(false);
    setBusy(true);
    if (await attempt(() => forgetTime(since, until, collection))) {
      setTimes(null);
      onDone();
    }
    setBusy(false);
  }
  if (!times) return html`<button type="button" class="small quiet-danger" onClick=${open}><${BinIcon} />Forget a time…</button>`;
  const field = (name, label) => html`
    <div class="filter"><label for=${`forget-${name}`}>${label}</label>
      <input id=${`forget-${name}`} type="datetime-local" value=${times[name]} aria-invalid=${wrong ? "true" : undefined} onInput=${(e) => setTimes((now) => ({ ...now, [name]: e.target.value }))} />
    </div>`;
  const whose = collection ? `of ${collectionName(collection, names)}` : "of all cameras and callers";
  return html`
    <div class="own-span" role="group" aria-label="The time to forget">
      ${field("start", "From")} ${field("end", "To")}
      <button type="button" class="small" onClick=${() => setTimes(null)}>Cancel</button>
      <button type="button" class="small quiet-danger" disabled=${busy || wrong || since === null || until === null} onClick=${() => setAsking(true)}><${BinIcon} />${busy ? "Forgetting…" : "Forget it…"}</button>
      ${wrong && html`<p class="field-error" role="alert">“From” has to be before “to”.</p>`}
      ${asking && html`<${Confirm} title="Forget this time?" text=${forgetTimeText(whose, dayAndTime(since), dayAndTime(until))} yes="Forget" word="forget" onYes=${forget} onNo=${() => setAsking(false)} />`}
    </div>
  `;
}
