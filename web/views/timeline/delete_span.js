// Delete all that happened in the time that is shown, also what is further down.
import { html, useState } from "../../html.js";
import { deleteAllThatFit, narrowing } from "../../state/events.js";
import { attempt } from "../../state/messages.js";
import { deleteAllWords, GROUPS, HAPPENINGS } from "../../text/event_words.js";
import { dayAndTime } from "../../text/format.js";
import { Confirm } from "../common/confirm.js";
import { BinIcon } from "../common/icons.js";

/** A search by meaning finds what is near, which is nothing to delete by. */
export function DeleteSpan({ filter, names, onDone }) {
  const [asking, setAsking] = useState(null); // what was asked about stays that, however long the answer takes
  const [busy, setBusy] = useState(false);
  const now = narrowing(filter);
  if ((now.since === null && now.until === null) || (now.query && now.by === "meaning")) return null;
  async function remove() {
    setAsking(null);
    setBusy(true);
    if (await attempt(() => deleteAllThatFit(asking))) onDone();
    setBusy(false);
  }
  const ask = () => !busy && setAsking({ ...now, types: filter.group ? now.types : [], until: now.until ?? Date.now() / 1000 });
  return html`
    <button type="button" class="small quiet-danger" aria-disabled=${busy} onClick=${ask}><${BinIcon} />${busy ? "Deleting…" : "Delete all of this time…"}</button>
    ${asking && html`<${Confirm} title="Delete all of this time?" text=${deleteAllWords(wordsOf(asking, filter, names))} yes="Delete" word="delete" onYes=${remove} onNo=${() => setAsking(null)} />`}
  `;
}

/** What is meant, piece by piece. */
function wordsOf({ since, until, query, cameraId, watchId, kept }, { group, kind }, names) {
  return {
    from: since === null ? "" : dayAndTime(since),
    to: dayAndTime(until),
    of: [
      cameraId ? (names.get(cameraId) ?? "a camera that is gone") : "all cameras and calls",
      group && GROUPS.find(([name]) => name === group)?.[1],
      kind && (HAPPENINGS.find(([name]) => name === kind)?.[1] ?? kind),
      watchId && "one watch",
      query && `“${query}”`,
      kept && "kept ones only",
    ].filter(Boolean),
  };
}
