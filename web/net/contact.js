// Does the server answer? Every answer and every update is a sign of life; a request without an answer is none.
import { signal, useEffect, useState } from "../html.js";

const ASK_MS = [1000, 2000, 3000];
const ASK_TIMEOUT_MS = 3000;

/** null while the server answers, else when it was last heard, in milliseconds since 1970. */
export const lost = signal(null);

let heardAt = Date.now();
let asking = false;

/** Something came from the server. */
export function heard() {
  heardAt = Date.now();
  if (lost.value !== null) lost.value = null;
}

/** A request, or a line, that was silent since `began`. Whatever came later from the server speaks against it. */
export function missed(began) {
  if (heardAt > began) return;
  if (lost.value === null) lost.value = heardAt;
  ask();
}

/** A proxy that answers for a server which is not there. The server's own refusals are JSON. */
export const fromProxy = (response) =>
  [502, 503, 504].includes(response.status) && !(response.headers.get("Content-Type") ?? "").includes("json");

/** Until it is back: whatever page is open, also one that asks for nothing itself. */
async function ask() {
  if (asking) return;
  asking = true;
  for (let tries = 0; lost.value !== null; tries += 1) {
    await new Promise((done) => setTimeout(done, ASK_MS[Math.min(tries, ASK_MS.length - 1)]));
    if (lost.value === null || document.hidden) continue;
    try {
      const response = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
      if (!fromProxy(response)) heard();
    } catch {
      // Not yet.
    }
  }
  asking = false;
}

/** Call `action` whenever the server is back. Returns what ends that. */
export function onReturn(action) {
  let away = lost.value !== null;
  return lost.subscribe((since) => {
    const back = away && since === null;
    away = since !== null;
    if (back) action();
  });
}

/** The time now in milliseconds, once a second while `running`: for words that count seconds. */
export function useSeconds(running) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!running) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}
