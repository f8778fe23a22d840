// Where alerts go besides this page: the hooks, and the form for one.
import { html, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { usePoll } from "../../net/poll.js";
import { hooks, refreshHooks } from "../../state/hooks.js";
import { cameras, refreshCameras } from "../../state/lists.js";
import { PlusIcon } from "../common/icons.js";
import { HookForm } from "./hook_form.js";
import { HookRow } from "./hook_row.js";

const POLL_MS = 4000;

export function HookPage() {
  const [editing, setEditing] = useState(null); // the id of a hook, "new", or null
  usePoll(refreshHooks, POLL_MS);
  usePoll(refreshCameras, 10_000);
  const { hooks: known, problem } = hooks.value;
  const adds = may("POST /v1/hooks");
  const done = () => setEditing(null);
  const names = new Map((cameras.value ?? []).flatMap((camera) => [[camera.id, camera.name], ...(camera.watches ?? []).map((watch) => [watch.id, watch.name])]));
  return html`
    <div class="hooks">
      <p class="lead">Each alert goes to these places, in order and at least once, also after a restart or while the receiver is away.</p>
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
      ${editing === "new" && html`<${HookForm} key="new" onDone=${done} />`}
      ${known === null && !problem && html`<p class="muted">Reading the list…</p>`}
      ${known?.length === 0 && editing !== "new" && html`<${Empty} onAdd=${adds && (() => setEditing("new"))} />`}
      ${adds && known?.length > 0 && editing !== "new" && html`<p class="hook-add"><button type="button" class="primary" onClick=${() => setEditing("new")}><${PlusIcon} />Add a place</button></p>`}
      ${known?.length > 0 &&
      html`<ul class="hook-list">
        ${known.map((hook) => (editing === hook.id ? html`<li key=${hook.id}><${HookForm} hook=${hook} onDone=${done} /></li>` : html`<${HookRow} key=${hook.id} hook=${hook} nameOf=${(id) => names.get(id) ?? "one that is gone"} onEdit=${() => setEditing(hook.id)} />`))}
      </ul>`}
    </div>
  `;
}

const Empty = ({ onAdd }) => html`
  <section class="card empty-state">
    <h2>Alerts go nowhere else yet</h2>
    <p class="muted">${onAdd ? "Send them to a program of yours (webhook), to Home Assistant (MQTT), or to a phone (Apprise). The test button says at once whether they arrive." : "An admin can send them to a program, to Home Assistant, or to a phone."}</p>
    ${onAdd && html`<button type="button" class="primary" onClick=${onAdd}><${PlusIcon} />Add a place</button>`}
  </section>
`;
