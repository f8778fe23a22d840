// What is heard of the server in a call: its voice, how loud, through which loudspeaker.
import { signal } from "../html.js";
import { keep, kept } from "../net/kept.js";

/** 0 to 1, for every voice on this page. */
export const volume = signal(Number(kept("volume") || 1));
/** The id of the chosen loudspeaker; empty: the browser's choice. */
export const loudspeaker = signal(kept("loudspeaker-id"));
/** The browser plays nothing before somebody has clicked. */
export const blocked = signal(false);
export const canChooseLoudspeaker = "setSinkId" in HTMLMediaElement.prototype;

let element = null;
let silent = false;

/** Play this track of a call from now on. */
export function playTrack(track) {
  element ??= new Audio();
  element.autoplay = true;
  element.volume = volume.value;
  element.muted = silent;
  element.srcObject = new MediaStream([track]);
  route();
  play();
}

export function stopPlaying() {
  if (element) element.srcObject = null;
  blocked.value = false;
}

/** The reader does not want to hear it. */
export function keepQuiet(on) {
  silent = on;
  if (element) element.muted = on;
}

export function setVolume(value) {
  volume.value = value;
  keep("volume", String(value));
  if (element) element.volume = value;
}

export function chooseLoudspeaker(id) {
  loudspeaker.value = id;
  keep("loudspeaker-id", id);
  route();
}

/** One that is gone: the browser's choice. */
function route() {
  if (!canChooseLoudspeaker || !element) return;
  element.setSinkId(loudspeaker.value).catch(() => element.setSinkId("").catch(() => {}));
}

async function play() {
  if (!element?.srcObject) return;
  try {
    await element.play();
    blocked.value = false;
  } catch (error) {
    if (error.name === "NotAllowedError") blocked.value = true;
  }
}

// A lock screen or a headset that goes may pause it.
document.addEventListener("visibilitychange", () => document.hidden || play());
document.addEventListener("pointerdown", () => blocked.value && play());
document.addEventListener("keydown", () => blocked.value && play());
navigator.mediaDevices?.addEventListener?.("devicechange", () => {
  route();
  play();
});
