// Is something really before somebody's eyes?
import { useEffect } from "../../html.js";

/** So long it must be there: who scrolls past has not seen it. */
const SEEN_MS = 800;
const AGAIN_MS = 5000;
const SHARE = 0.5;
const SHARE_OF_WINDOW = 0.3;
const STEPS = Array.from({ length: 21 }, (_, n) => n / 20);

/**
 * Call `onSeen` once half of the element was in the window, or a third of the window was full of it, for a moment, while
 * `wanted` and on a visible page. Where `onSeen` returns false it is called again a little later.
 */
export function useSeen(ref, wanted, onSeen) {
  useEffect(() => {
    if (!wanted) return undefined;
    let timer = null;
    let within = false;
    let over = false;
    const wait = (ms) => {
      clearTimeout(timer);
      timer = within && !document.hidden ? setTimeout(tell, ms) : null;
    };
    async function tell() {
      over = true;
      if ((await onSeen()) === false && !stopped) {
        over = false;
        wait(AGAIN_MS);
      }
    }
    let stopped = false;
    const observer = new IntersectionObserver(
      (entries) => {
        const { intersectionRatio, intersectionRect, rootBounds } = entries.at(-1);
        const now = intersectionRatio >= SHARE || (rootBounds !== null && intersectionRect.height >= SHARE_OF_WINDOW * rootBounds.height);
        if (now === within) return;
        within = now;
        if (!over) wait(SEEN_MS);
      },
      { threshold: STEPS },
    );
    const onVisible = () => !over && wait(SEEN_MS);
    observer.observe(ref.current);
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      stopped = true;
      clearTimeout(timer);
      observer.disconnect();
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [wanted]);
}
