// What the server has, as lists that polls read again: cameras, running sessions, engines, settings.
import { batch, signal } from "../html.js";
import { get, list } from "../net/api.js";
import { shownSignal } from "../net/auth.js";
import { showZone } from "../text/format.js";

/** Cameras and running sessions; null until first read. */
export const cameras = shownSignal(null);
export const sessions = shownSignal(null);
/** A sentence while a list cannot be had although the server answers, else null. */
export const listError = shownSignal(null);
export const engines = signal([]);
/** What the server can speak with: [{id, engine, language, name}]. */
export const serverVoices = signal([]);
/** The settings that a camera or session may have of its own, as the server describes them. */
export const sessionSettings = signal([]);

/** The server's time zone; empty until it is known, then the page shows the browser's. */
export const zone = signal("");

const POLL_TIMEOUT_MS = 5000;

export async function refreshCameras() {
  await refresh(cameras, "/v1/cameras");
}

export async function refreshSessions() {
  await refresh(sessions, "/v1/sessions");
}

export async function refreshEngines() {
  await refresh(engines, "/v1/engines");
}

export async function refreshSessionSettings() {
  await refresh(sessionSettings, "/v1/session-settings");
}

export async function refreshServerVoices() {
  await refresh(serverVoices, "/v1/voices");
}

export async function refreshZone() {
  try {
    const { time_zone: name } = await get("/version", { ms: POLL_TIMEOUT_MS });
    if (typeof name !== "string" || name === zone.value) return;
    showZone(name);
    zone.value = name;
  } catch {
    // That nobody answers is told by `lost`; until it is known times are in the browser's zone.
  }
}

/** A setting as the server describes it; undefined until that is known. */
export const settingOf = (name) => sessionSettings.value.find((one) => one.name === name);

/** The values that a setting may have: [{value, title, description}]; empty until they are known. */
export const choicesOf = (name) => settingOf(name)?.choices ?? [];

async function refresh(target, path) {
  try {
    const data = await list(path, { ms: POLL_TIMEOUT_MS });
    batch(() => {
      target.value = data;
      listError.value = null;
    });
  } catch (error) {
    listError.value = troubleOf(error);
  }
}

/** What `listError` says of it: nothing where `lost`, or the sign-in, tells it. */
export const troubleOf = (error) => (error.status === 0 || error.status === 401 ? null : error.message);
