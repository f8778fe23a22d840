// The server's keys: which there are, a new one, the end of one. For admins.
import { del, get, post } from "../../net/api.js";
import { shownSignal } from "../../net/auth.js";
import { text, texts, wall } from "../../net/told.js";

/** All of them, oldest first; null until read. `problem`: a sentence where they cannot be had. */
export const keys = shownSignal({ keys: null, problem: null });

/** A key as views expect it, whatever server told it; null where that is none. */
export function keyOf(told) {
  if (typeof told?.id !== "string" || !told.id) return null;
  return {
    id: told.id,
    name: text(told.name) || told.id,
    role: text(told.role),
    cameras: texts(told.cameras),
    createdAt: wall(told.created_at),
    expiresAt: wall(told.expires_at),
    usedAt: wall(told.used_at),
    over: told.state === "expired",
  };
}

export async function refreshKeys() {
  try {
    const { data } = await get("/v1/keys");
    keys.value = { keys: (Array.isArray(data) ? data : []).map(keyOf).filter(Boolean), problem: null };
  } catch (error) {
    if (error.status !== 0 && error.status !== 401) keys.value = { ...keys.value, problem: error.message };
  }
}

/** `days`: after how many it ends; null: never. Returns {name, text}: the text is told this once. Raises ApiError. */
export async function makeKey({ name, role, cameras, days }) {
  const until = days === null ? null : new Date(Date.now() + days * 86_400_000).toISOString();
  const told = await post("/v1/keys", { name: name.trim(), role, cameras: role === "admin" ? [] : cameras, expires_at: until });
  await refreshKeys();
  return { name: text(told?.name), text: text(told?.key) };
}

/** Raises ApiError; not where somebody else removed it. */
export async function removeKey(key) {
  await del(`/v1/keys/${encodeURIComponent(key.id)}`).catch((error) => {
    if (error.status !== 404) throw error;
  });
  await refreshKeys();
}
