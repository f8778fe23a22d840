// The log of what was sent to a hook; read when it is opened.
import { html, useEffect, useState } from "../../html.js";
import { may } from "../../net/auth.js";
import { readDeliveries, retryDelivery } from "../../state/hooks.js";
import { attempt } from "../../state/messages.js";
import { deliveryState, reasonWords } from "../../text/alert_words.js";
import { dayAndTime } from "../../text/format.js";
import { Badge } from "../common/status.js";

export function Deliveries({ hook }) {
  const [open, setOpen] = useState(false);
  const [log, setLog] = useState({ deliveries: null, next: null, problem: "" });
  const { ok, waiting, lastError } = hook.state;
  const [read, setRead] = useState(0);
  useEffect(() => {
    if (!open) return undefined;
    let wanted = true;
    readDeliveries(hook).then(
      (page) => wanted && setLog({ ...page, problem: "" }),
      (error) => wanted && setLog((now) => ({ ...now, problem: error.message })),
    );
    return () => (wanted = false);
  }, [open, ok, waiting, lastError, read]);
  const older = () =>
    readDeliveries(hook, log.next).then(
      (page) => setLog((now) => ({ deliveries: [...now.deliveries, ...page.deliveries], next: page.next, problem: "" })),
      (error) => setLog((now) => ({ ...now, problem: error.message })),
    );
  const again = (delivery) => attempt(() => retryDelivery(hook, delivery)).then(() => setRead((n) => n + 1));
  const { deliveries, next, problem } = log;
  return html`
    <details class="task-log deliveries" onToggle=${(e) => setOpen(e.target.open)}>
      <summary>What was sent</summary>
      ${problem && html`<p class="note bad">${problem}</p>`}
      ${deliveries === null && !problem && html`<p class="muted">Reading…</p>`}
      ${deliveries?.length === 0 && html`<p class="muted">Nothing was sent to it yet.</p>`}
      ${deliveries?.length > 0 && html`<ol tabindex="0" aria-label=${`What was sent to ${hook.name}`}>${deliveries.map((one) => html`<${Line} key=${one.id} delivery=${one} onAgain=${() => again(one)} />`)}</ol>`}
      ${next && html`<button type="button" class="link" onClick=${older}>Show older ones</button>`}
    </details>
  `;
}

function Line({ delivery, onAgain }) {
  const { alertId, title, at, reason, state, attempts, status, error } = delivery;
  const facts = [reasonWords(reason), attempts > 1 && `${attempts} tries`, status && `answer ${status}`].filter(Boolean);
  const wall = Date.parse(at) / 1000;
  return html`
    <li data-state=${state}>
      <time datetime=${at}>${Number.isFinite(wall) ? dayAndTime(wall) : ""}</time>
      <span><${Badge} ...${deliveryState(state)} /> ${title && html`<strong dir="auto">${title}</strong> `}<span>${facts.join(" · ")}</span>${error && html`<span class="delivery-error" dir="auto">${error}</span>`}${alertId && ["dead", "refused"].includes(state) && may("POST /v1/hooks/{hook_id}/deliveries/{delivery_id}/retry") && html` <button type="button" class="link" onClick=${onAgain}>Send again</button>`}</span>
    </li>
  `;
}
