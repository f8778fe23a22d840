// The microphone of the call: wanted or not, which one, muted, gone and back.
import { signal } from "../html.js";
import { kept, keep } from "../net/kept.js";
import { microphoneProblem } from "../text/words.js";

const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const GONE = "The microphone is gone. It is used again as soon as it is back.";

/** Whether the next call takes a microphone along. */
export const wanted = signal(kept("microphone") !== "off");
/** The id of the chosen one; empty: the browser's choice. */
export const chosen = signal(kept("microphone-id"));
/** `track`: what is sent; null where there is none, and then `problem` may say why. */
export const microphone = signal({ track: null, problem: null });
export const muted = signal(false);
/** Microphones and loudspeakers that the browser names: [{id, name}]. */
export const inputs = signal([]);
export const outputs = signal([]);

let sender = null;
let silent = false;
let opening = false;

export const soundWanted = () => ({ ...SOUND, ...(chosen.value && { deviceId: { ideal: chosen.value } }) });

export function chooseWanted(on) {
  wanted.value = on;
  keep("microphone", on ? "" : "off");
}

/** The call got these tracks from the browser; without sound, `error` says why. */
export function takeFrom(stream, error = null) {
  muted.value = false;
  const track = stream.getAudioTracks()[0] ?? null;
  use(track, !track && error ? microphoneProblem(error) : null);
}

/** Where the sound goes. A call that is dialled again has another sender. */
export async function sendTo(next) {
  sender = next;
  await sender.replaceTrack(microphone.value.track);
}

/** The call is over. */
export function letGo() {
  sender = null;
  microphone.value.track?.stop();
  microphone.value = { track: null, problem: null };
}

export function mute(on) {
  muted.value = on;
  enable();
}

/** Push to talk: nothing leaves this machine while the button is up. */
export function keepSilent(on) {
  silent = on;
  enable();
}

/** Use another one, now and in later calls. */
export async function choose(id) {
  chosen.value = id;
  keep("microphone-id", id);
  await reopen();
}

/** Ask for the microphone in a running call. */
export async function reopen() {
  if (!sender || opening) return;
  opening = true;
  const mine = sender;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: soundWanted() });
    const [track] = stream.getAudioTracks();
    if (sender === null) return track.stop();
    microphone.value.track?.stop();
    use(track, null);
    await sender.replaceTrack(track);
  } catch (error) {
    if (mine === sender && !microphone.value.track) use(null, microphoneProblem(error));
  } finally {
    opening = false;
  }
}

function use(track, problem) {
  microphone.value = { track, problem };
  if (track) track.onended = () => microphone.value.track === track && lose();
  enable();
  listDevices();
}

function lose() {
  sender?.replaceTrack(null).catch(() => {});
  use(null, GONE);
}

function enable() {
  const { track } = microphone.value;
  if (track) track.enabled = !muted.value && !silent;
}

export async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const named = (kind) => devices.filter((d) => d.kind === kind && d.deviceId && d.label).map((d) => ({ id: d.deviceId, name: d.label }));
  inputs.value = named("audioinput");
  outputs.value = named("audiooutput");
}

navigator.mediaDevices?.addEventListener?.("devicechange", async () => {
  await listDevices();
  if (microphone.value.problem === GONE && inputs.value.length) await reopen();
});

/** How loud the microphone is, 0 to 1, whenever it is read. Call `stop` at the end. */
export function meterOf(track) {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 512 });
  const source = context.createMediaStreamSource(new MediaStream([track]));
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return {
    read() {
      if (!track.enabled) return 0;
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-9)) / 60)); // -60 dB is silence
    },
    stop() {
      source.disconnect();
      context.close();
    },
  };
}
