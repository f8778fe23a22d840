// What just failed or was done, told for a moment.
import { shownSignal } from "../net/auth.js";

/** A short message about something that just failed or was done. */
export const toast = shownSignal(null);

let toastTimer = null;

/** Tell the reader what failed; it leaves by itself. A 401 is told by the sign-in instead. */
export function report(error) {
  if (error.status === 401 || error.name === "AbortError") return;
  clearTimeout(toastTimer);
  toast.value = { text: error.message };
  toastTimer = setTimeout(() => (toast.value = null), 7000);
}

/** Tell the reader what was done, where the page does not show it. */
export function tell(text) {
  clearTimeout(toastTimer);
  toast.value = { text };
  toastTimer = setTimeout(() => (toast.value = null), 7000);
}

/** Run what a button asked for and report its failure. Returns whether it went well. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    report(error);
    return false;
  }
}
