// Browsers that are signed in. For admins.
import { del, get } from "../../net/api.js";
import { shownSignal } from "../../net/auth.js";
import { text, wall } from "../../net/told.js";

/** All of them, oldest first; null until read. `problem`: a sentence where they cannot be had. */
export const browsers = shownSignal({ browsers: null, problem: null });

/** A browser as views expect it, whatever server told it; null where that is none. */
export function browserOf(told) {
  if (typeof told?.id !== "string" || !told.id) return null;
  return {
    id: told.id,
    name: text(told.name) || "Somebody",
    role: text(told.role),
    address: text(told.address),
    createdAt: wall(told.created_at),
    usedAt: wall(told.used_at),
    isThis: told.this === true,
  };
}

export async function refreshBrowsers() {
  try {
    const { data } = await get("/v1/logins");
    browsers.value = { browsers: (Array.isArray(data) ? data : []).map(browserOf).filter(Boolean), problem: null };
  } catch (error) {
    if (error.status !== 0 && error.status !== 401) browsers.value = { ...browsers.value, problem: error.message };
  }
}

/** Raises ApiError; not where it is out already. */
export async function endBrowser(browser) {
  await del(`/v1/logins/${encodeURIComponent(browser.id)}`).catch((error) => {
    if (error.status !== 404) throw error;
  });
  await refreshBrowsers();
}
