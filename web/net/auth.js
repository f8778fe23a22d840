// The API key: asked once, kept for this tab only.
import { signal } from "../html.js";

const SLOT = "joyvl.key";

/** The key sent with every request; empty when the server asks for none. */
export const apiKey = signal(sessionStorage.getItem(SLOT) ?? "");

/** True after a 401: the sign-in stands in front of the page. */
export const needsKey = signal(false);

export function keepKey(key) {
  apiKey.value = key;
  if (key) sessionStorage.setItem(SLOT, key);
  else sessionStorage.removeItem(SLOT);
  needsKey.value = false;
}

export function authHeaders(key = apiKey.value) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** A browser cannot set headers on a WebSocket, so the key travels as a subprotocol. */
export function socketProtocols(key = apiKey.value) {
  return key ? ["joyvl.v1", `joyvl.bearer.${base64url(key)}`] : ["joyvl.v1"];
}

function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
