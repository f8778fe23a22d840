// Asking again and again, only while somebody looks.
import { useEffect } from "./html.js";

/** Call `action` now and every `ms` while the page is visible; never two at once. */
export function usePoll(action, ms, deps = []) {
  useEffect(() => {
    let timer = null;
    let stopped = false;
    let running = false;
    async function run() {
      if (running) return;
      running = true;
      clearTimeout(timer);
      if (!document.hidden) await action();
      running = false;
      if (!stopped) timer = setTimeout(run, ms);
    }
    const onVisible = () => !document.hidden && run();
    document.addEventListener("visibilitychange", onVisible);
    run();
    return () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, deps);
}
