// Forgetting: those that were chosen, all of one place, all there is.
import { html, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { changeMemory, collections, forgetAll, forgetMemories } from "../../state/memories.js";
import { attempt } from "../../state/messages.js";
import { collectionName, FORGET_TEXT, forgetAllText, forgetTitle } from "../../text/memory_words.js";
import { ChosenBar } from "../common/chosen_bar.js";
import { Confirm } from "../common/confirm.js";
import { BinIcon, PinIcon } from "../common/icons.js";

export function ForgetChosen({ memories, onDone }) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  async function act(action) {
    if (busy) return;
    setBusy(true);
    setAsking(false);
    if (await attempt(action)) onDone();
    setBusy(false);
  }
  const keep = async () => {
    for (const memory of memories) await changeMemory(memory.id, { kept: true });
  };
  return html`
    <${ChosenBar} count=${memories.length} label="Chosen memories" onClear=${onDone}>
      ${may("PATCH /v1/memories/{memory_id}") && html`<button type="button" class="small" aria-disabled=${busy} onClick=${() => act(keep)}><${PinIcon} />Keep</button>`}
      ${may("DELETE /v1/memories/{memory_id}") && html`<button type="button" class="small quiet-danger" aria-disabled=${busy} onClick=${() => setAsking(true)}><${BinIcon} />Forget</button>`}
      ${asking && html`<${Confirm} title=${forgetTitle(memories.length)} text=${FORGET_TEXT} yes="Forget" onYes=${() => act(() => forgetMemories(memories.map((one) => one.id)))} onNo=${() => setAsking(false)} />`}
    <//>
  `;
}

/** `collection`: empty for all there is. */
export function ForgetAll({ collection, names, onDone }) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const known = collections.value.filter((one) => !collection || one.collection === collection);
  const count = known.length && known.every((one) => one.count !== null) ? known.reduce((sum, one) => sum + one.count, 0) : null;
  const name = collection && collectionName(collection, names);
  async function forget() {
    setAsking(false);
    setBusy(true);
    if (await attempt(() => forgetAll(collection))) onDone();
    setBusy(false);
  }
  return html`
    <button type="button" class="small quiet-danger" aria-disabled=${busy} onClick=${() => !busy && setAsking(true)}><${BinIcon} />${busy ? "Forgetting…" : collection ? `Forget all of ${name}…` : "Forget everything…"}</button>
    ${asking && html`<${Confirm} title=${collection ? `Forget all of ${name}?` : "Forget everything?"} text=${forgetAllText(collection ? `of ${name}` : "of all cameras and callers", count)} yes="Forget" word="forget" onYes=${forget} onNo=${() => setAsking(false)} />`}
  `;
}
