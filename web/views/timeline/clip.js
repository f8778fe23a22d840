// What there is to see of an event: its clip with sound, else its picture, and why there is no clip.
import { html, useRef, useState } from "../../html.js";
import { clipWords, playWords } from "../../text/event_words.js";
import { DownIcon } from "../common/icons.js";
import { StoredPicture, useStored } from "../common/stored_picture.js";

export function Clip({ event, label }) {
  const { clip, picture } = event;
  if (clip.state === "ready") return html`<${Player} key=${clip.url} event=${event} label=${label} />`;
  return html`
    <div class="event-media">
      ${picture ? html`<${StoredPicture} path=${picture} alt=${`Picture: ${label}`} />` : html`<div class="thumb"><span class="thumb-none">No picture</span></div>`}
      ${(picture || clip.state !== "none" || clip.reason) && html`<p class="waiting clip-state" role="status" data-clip=${clip.state}>${clip.state === "recording" && html`<span class="spinner" aria-hidden="true"></span>`}${clipWords(clip)}</p>`}
    </div>
  `;
}

function Player({ event, label }) {
  const { clip, picture } = event;
  const video = useRef(null);
  const [problem, setProblem] = useState("");
  const triedTwice = useRef(false);
  const { src: poster } = useStored(picture);

  /** A line that broke is tried once more; the clip goes on where it was. */
  function onError() {
    const { currentTime, error } = video.current;
    if (error?.code === 2 && !triedTwice.current) {
      triedTwice.current = true;
      video.current.addEventListener("loadedmetadata", () => (video.current.currentTime = currentTime), { once: true });
      video.current.load();
      return;
    }
    setProblem(playWords(error?.code));
  }
  const save = () => Object.assign(document.createElement("a"), { href: clip.url, download: `${event.id}.mp4` }).click();

  return html`
    <div class="event-media">
      ${problem && picture
        ? html`<${StoredPicture} path=${picture} alt=${`Picture: ${label}`} />`
        : html`<video ref=${video} class="clip-video" controls playsinline preload="metadata" poster=${poster ?? undefined} src=${clip.url} aria-label=${`Clip: ${label}`} onError=${onError}></video>`}
      ${problem && html`<p class="note warn" role="alert">${problem}</p>`}
      <p class="clip-facts muted small-text">${clip.before ? html`<span>It begins ${Math.round(clip.before)} s before the event.</span>` : ""} <button type="button" class="link" onClick=${save}><${DownIcon} />Save the clip</button></p>
    </div>
  `;
}
