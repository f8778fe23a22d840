// Asking again and again, only while somebody looks.
import { useEffect } from "../html.js";
import { lost, onReturn } from "./contact.js";

const SLOWEST_MS = 10_000;

/**
 * Call `action` now and every `ms` while the page is visible (`unseen`: also while it is not); never two at once. While the server is away less and less
 * often, and at once when it is back.
 */
export function usePoll(action, ms, deps = [], { unseen = false } = {}) {
  useEffect(() => {
    let timer = null;
    let stopped = false;
    let running = false;
    let wait = ms;
    async function run() {
      if (running) return;
      running = true;
      clearTimeout(timer);
      if (unseen || !document.hidden) await action();
      running = false;
      wait = lost.value === null ? ms : Math.min(SLOWEST_MS, 2 * wait);
      if (!stopped) timer = setTimeout(run, wait);
    }
    const onVisible = () => !document.hidden && run();
    document.addEventListener("visibilitychange", onVisible);
    const forget = onReturn(run);
    run();
    return () => {
      stopped = true;
      forget();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, deps);
}
