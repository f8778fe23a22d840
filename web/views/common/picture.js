// A picture that is fetched again and again: fetch, show, revoke the one before, back off on errors.
import { html, useEffect, useRef, useState } from "../../html.js";
import { bodyOf, request } from "../../net/api.js";
import { lost, onReturn } from "../../net/contact.js";

const SLOWEST_MS = 5000;
/** A picture that takes longer is none: what is on the screen is old by then. */
const TIMEOUT_MS = 4000;
const NONE = { src: null, problem: null, at: null };

/**
 * Fetch `url` every `ms` while the page is visible and `url` is set. While `paused` the last picture stays.
 * @returns {{src: string|null, problem: string|null, at: number|null}}  `problem` is a sentence while there is no new
 *   picture; `at`: when `src` was last the newest, in milliseconds
 */
export function usePicture(url, ms, paused = false) {
  const waiting = useRef(paused);
  waiting.current = paused;
  const [picture, setPicture] = useState(NONE);
  useEffect(() => {
    if (!url) {
      setPicture(NONE);
      return undefined;
    }
    const aborter = new AbortController();
    let timer = null;
    let shown = null;
    let etag = null;
    let wait = ms;
    let running = false;

    async function run() {
      if (running) return;
      running = true;
      clearTimeout(timer);
      const started = performance.now();
      try {
        if (!document.hidden && !waiting.current) await next();
        wait = ms;
      } catch (error) {
        if (error.name === "AbortError") return;
        wait = Math.min(SLOWEST_MS, Math.max(1000, wait * 2));
        setPicture((before) => ({ ...before, problem: error.message }));
      } finally {
        running = false;
      }
      if (!aborter.signal.aborted) timer = setTimeout(run, Math.max(50, wait - (performance.now() - started)));
    }

    async function next() {
      const headers = etag ? { "If-None-Match": etag } : {};
      const response = await request("GET", url, { headers, signal: aborter.signal, ms: TIMEOUT_MS });
      if (response.status === 304) return setPicture(({ src }) => ({ src, problem: null, at: Date.now() }));
      const src = URL.createObjectURL(await bodyOf(response, "blob"));
      etag = response.headers.get("ETag"); // only now: what broke off half-way is not what is on the screen
      if (aborter.signal.aborted) return URL.revokeObjectURL(src);
      const old = shown;
      shown = src;
      setPicture({ src, problem: null, at: Date.now() });
      // The old one is still on the screen until the new one is decoded.
      if (old) setTimeout(() => URL.revokeObjectURL(old), 1000);
    }

    const forget = onReturn(run);
    run();
    return () => {
      forget();
      aborter.abort();
      clearTimeout(timer);
      if (shown) URL.revokeObjectURL(shown);
    };
  }, [url, ms]);
  return picture;
}

/** A camera's small picture in a list; the words beside it tell its state, so it is decoration. */
export function Thumbnail({ camera }) {
  const on = camera.enabled && camera.state?.status === "online";
  const { src, problem } = usePicture(on ? `/v1/cameras/${encodeURIComponent(camera.id)}/snapshot.jpg` : null, 2000);
  const shown = src && (!problem || lost.value !== null);
  return html`<div class="thumb">
    ${shown ? html`<img src=${src} alt="" />` : html`<span class="thumb-none">${camera.enabled ? "No picture" : "Off"}</span>`}
  </div>`;
}

/** The live picture of a webcam: the local one, without a detour. */
export function LocalVideo({ stream }) {
  const video = useRef(null);
  useEffect(() => {
    video.current.srcObject = stream;
  }, [stream]);
  return html`<video ref=${video} autoplay muted playsinline aria-label="Your webcam"></video>`;
}
