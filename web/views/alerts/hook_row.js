// One hook: how it is doing, what it is told of, and what can be done with it.
import { html, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { deleteHook, readSecret, switchHook, testHook } from "../../state/hooks.js";
import { attempt } from "../../state/messages.js";
import { hookKind, hookScope, hookState, testWords } from "../../text/alert_words.js";
import { Confirm } from "../common/confirm.js";
import { CheckIcon, WarnIcon } from "../common/icons.js";
import { Badge } from "../common/status.js";
import { Deliveries } from "./deliveries.js";

export function HookRow({ hook, nameOf, onEdit }) {
  const [asking, setAsking] = useState(false);
  const [test, setTest] = useState({ busy: false, result: null });
  const state = hookState(hook);
  async function tryIt() {
    setTest({ busy: true, result: null });
    const result = await testHook(hook).catch((error) => ({ ok: false, status: null, message: error.message, tookS: null }));
    setTest({ busy: false, result });
  }
  const remove = () => {
    setAsking(false);
    attempt(() => deleteHook(hook));
  };
  return html`
    <li class="hook card" data-hook=${hook.id} data-kind=${hook.kind}>
      <div class="hook-head">
        <h2 class="clip-text" dir="auto">${hook.name}</h2><span class="chip">${hookKind(hook.kind)}</span><${Badge} ...${state} />
      </div>
      <p class="hook-where url">${whereOf(hook)}</p>
      <p class="muted small-text">${hookScope(hook, nameOf)}</p>
      <p class=${`hook-state ${state.tone}`}>${state.text}</p>
      ${hook.notice && html`<p class="note warn">${hook.notice}</p>`}
      <div class="probe" role="status">
        ${test.result && html`<p class="note ${test.result.ok ? "good" : "bad"}">${test.result.ok ? html`<${CheckIcon} />` : html`<${WarnIcon} />`}<span>${testWords(test.result)}</span></p>`}
      </div>
      <div class="hook-actions">
        ${may("PATCH /v1/hooks/{hook_id}") && html`<button type="button" class="switch" role="switch" aria-checked=${String(hook.enabled)} aria-label=${`Send alerts to ${hook.name}`} onClick=${() => attempt(() => switchHook(hook, !hook.enabled))}><span class="switch-knob" aria-hidden="true"></span><span>${hook.enabled ? "On" : "Off"}</span></button>`}
        ${may("POST /v1/hooks/{hook_id}/test") && html`<button type="button" class="small" disabled=${test.busy} aria-label=${`Test ${hook.name}`} onClick=${tryIt}>${test.busy ? "Testing…" : "Test"}</button>`}
        ${may("PATCH /v1/hooks/{hook_id}") && html`<button type="button" class="small" aria-label=${`Change ${hook.name}`} onClick=${onEdit}>Change</button>`}
        ${may("DELETE /v1/hooks/{hook_id}") && html`<button type="button" class="small quiet-danger" aria-label=${`Delete ${hook.name}`} onClick=${() => setAsking(true)}>Delete</button>`}
        ${hook.options.secret_generated === true && may("GET /v1/hooks/{hook_id}/secret") && html`<${Secret} hook=${hook} />`}
      </div>
      <${Deliveries} hook=${hook} />
      ${asking && html`<${Confirm} title=${`Delete ${hook.name}?`} text="No alert goes there any more. What waits for it, and its log, are deleted too." yes="Delete" onYes=${remove} onNo=${() => setAsking(false)} />`}
    </li>
  `;
}

/** Its address, in whatever option that is. */
function whereOf({ options }) {
  if (typeof options.url === "string") return options.url;
  if (typeof options.host === "string") return `${options.host}${options.port ? `:${options.port}` : ""}`;
  if (Array.isArray(options.urls)) return options.urls.filter((one) => typeof one === "string").join(", ");
  return "";
}

/** What the receiver checks signatures with; shown when it is asked for. */
function Secret({ hook }) {
  const [secret, setSecret] = useState("");
  const show = () => attempt(async () => setSecret(await readSecret(hook)));
  if (secret) return html`<span class="hook-secret"><code>${secret}</code> <button type="button" class="link" onClick=${() => setSecret("")}>Hide</button></span>`;
  return html`<button type="button" class="link" onClick=${show}>Show the secret</button>`;
}
