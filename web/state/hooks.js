// Hooks: where alerts are sent, how each is doing, and what was sent to it.
import { del, get, hookPath, patch, post } from "../net/api.js";
import { shownSignal } from "../net/auth.js";
import { isObject, number, text, texts } from "../net/told.js";

const LOG = 30;
/** What was said about hooks when they were saved: why nothing can arrive. The list does not repeat it. */
const notices = new Map();
/** A receiver may take its time before it says no. */
const TEST_MS = 60_000;

/** All of them; null until read. `problem`: a sentence where they cannot be had. */
export const hooks = shownSignal({ hooks: null, problem: null });

/** A hook as views expect it, whatever server told it; null where that is none. */
export function hookOf(told) {
  if (typeof told?.id !== "string" || !told.id) return null;
  const state = isObject(told.state) ? told.state : {};
  return {
    id: told.id,
    name: text(told.name) || told.id,
    kind: text(told.kind),
    options: isObject(told.options) ? told.options : {},
    enabled: told.enabled !== false,
    events: texts(told.events),
    cameras: texts(told.cameras),
    watches: texts(told.watches),
    quietHours: (Array.isArray(told.quiet_hours) ? told.quiet_hours : []).filter(isObject).map(({ from, to, days }) => ({ from: text(from), to: text(to), days: texts(days) })),
    hold: told.hold === true,
    cooldownS: number(told.cooldown_s) ?? 0,
    groupS: number(told.group_s) ?? 0,
    escalateAfterS: number(told.escalate_after_s),
    escalates: number(told.escalates) ?? 0,
    state: { ok: typeof state.ok === "boolean" ? state.ok : null, lastError: text(state.last_error), waiting: number(state.waiting) ?? 0, retryInS: number(state.retry_in_s) },
    notice: text(told.notice),
  };
}

export async function refreshHooks() {
  try {
    const { data } = await get("/v1/hooks");
    const told = (Array.isArray(data) ? data : []).map(hookOf).filter(Boolean);
    hooks.value = { hooks: told.map((hook) => ({ ...hook, notice: hook.notice || notices.get(hook.id) || "" })), problem: null };
  } catch (error) {
    if (error.status !== 0 && error.status !== 401) hooks.value = { ...hooks.value, problem: error.message };
  }
}

/** As the API wants it. `options` replace those it has; a secret that is `***` stays. */
export const bodyOf = (draft) => ({
  name: draft.name.trim(),
  options: draft.options,
  events: draft.events,
  cameras: draft.cameras,
  watches: draft.watches,
  quiet_hours: draft.quietHours,
  hold: draft.hold,
  cooldown_s: draft.cooldownS,
  group_s: draft.groupS,
  escalate_after_s: draft.escalateAfterS,
  escalates: draft.escalates,
});

/** `hook`: the one that is changed, or null. Returns it as it is now. Raises ApiError. */
export async function saveHook(hook, draft) {
  const told = hook ? await patch(hookPath(hook.id), bodyOf(draft)) : await post("/v1/hooks", { kind: draft.kind, ...bodyOf(draft) });
  notices.set(told?.id, text(told?.notice));
  await refreshHooks();
  return hookOf(told);
}

/** Raises ApiError. */
export async function switchHook(hook, enabled) {
  const told = await patch(hookPath(hook.id), { enabled });
  notices.set(hook.id, text(told?.notice));
  await refreshHooks();
}

/** Raises ApiError; not where somebody else deleted it. */
export async function deleteHook(hook) {
  await del(hookPath(hook.id)).catch((error) => {
    if (error.status !== 404) throw error;
  });
  await refreshHooks();
}

/** Send it a message now. Raises ApiError only where the server itself did not do it. */
export async function testHook(hook) {
  const told = await post(hookPath(hook.id, "/test"), {}, { ms: TEST_MS });
  refreshHooks();
  return { ok: told?.ok === true, status: number(told?.status), message: text(told?.message), tookS: number(told?.took_s) };
}

/** The secret that was made for it. Raises ApiError. */
export const readSecret = async (hook) => text((await get(hookPath(hook.id, "/secret"))).secret);

/** What was sent to it, newest first: {deliveries, next}. Raises ApiError. */
export async function readDeliveries(hook, after = null) {
  const page = await get(hookPath(hook.id, `/deliveries?limit=${LOG}${after ? `&after=${encodeURIComponent(after)}` : ""}`));
  const deliveries = (Array.isArray(page.data) ? page.data : [])
    .filter((one) => typeof one?.id === "string")
    .map((one) => ({ id: one.id, alertId: text(one.alert_id) || null, title: text(one.title), at: text(one.last_at) || text(one.at), reason: text(one.reason), state: text(one.state), attempts: number(one.attempts) ?? 0, status: number(one.status), error: text(one.error) }));
  return { deliveries, next: page.next ?? null };
}

/** Send a message again that was given up or refused. Raises ApiError. */
export async function retryDelivery(hook, delivery) {
  await post(hookPath(hook.id, `/deliveries/${encodeURIComponent(delivery.id)}/retry`));
  await refreshHooks();
}
