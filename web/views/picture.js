// A picture that is fetched again and again: fetch, show, revoke the one before, back off on errors.
import { html, useEffect, useRef, useState } from "../html.js";
import { request } from "../api.js";

const SLOWEST_MS = 5000;

/**
 * Fetch `url` every `ms` while the page is visible and `url` is set. While `paused` the last picture stays.
 * @returns {{src: string|null, problem: string|null}}  `problem` is a sentence while there is no new picture
 */
export function usePicture(url, ms, paused = false) {
  const waiting = useRef(paused);
  waiting.current = paused;
  const [picture, setPicture] = useState({ src: null, problem: null });
  useEffect(() => {
    if (!url) {
      setPicture({ src: null, problem: null });
      return undefined;
    }
    const aborter = new AbortController();
    let timer = null;
    let shown = null;
    let etag = null;
    let wait = ms;

    async function run() {
      clearTimeout(timer);
      const started = performance.now();
      try {
        if (!document.hidden && !waiting.current) await next();
        wait = ms;
      } catch (error) {
        if (error.name === "AbortError") return;
        wait = Math.min(SLOWEST_MS, Math.max(1000, wait * 2));
        setPicture((before) => ({ src: before.src, problem: error.message }));
      }
      if (!aborter.signal.aborted) timer = setTimeout(run, Math.max(50, wait - (performance.now() - started)));
    }

    async function next() {
      const headers = etag ? { "If-None-Match": etag } : {};
      const response = await request("GET", url, { headers, signal: aborter.signal });
      if (response.status === 304) return setPicture((before) => (before.problem ? { src: before.src, problem: null } : before));
      etag = response.headers.get("ETag");
      const src = URL.createObjectURL(await response.blob());
      if (aborter.signal.aborted) return URL.revokeObjectURL(src);
      const old = shown;
      shown = src;
      setPicture({ src, problem: null });
      // The old one is still on the screen until the new one is decoded.
      if (old) setTimeout(() => URL.revokeObjectURL(old), 1000);
    }

    run();
    return () => {
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
  const shown = src && !problem;
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
