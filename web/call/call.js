// The webcam call: get camera and microphone, dial, dial again when the connection fails, hang up.
import { signal } from "../html.js";
import { request } from "../net/api.js";
import { needsKey } from "../net/auth.js";
import { keep, kept } from "../net/kept.js";
import { webcamProblem } from "../text/words.js";
import { playTrack, stopPlaying } from "./loudspeaker.js";
import { letGo, sendTo, soundWanted, takeFrom, wanted } from "./microphone.js";

/** What the pictures of the next call may cost; empty: as the server is set. */
export const callFidelity = signal("");

const WANTED = { width: { min: 640, ideal: 1280 }, height: { min: 480, ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const GATHER_MS = 2000;
const QUIET_MS = 40;
const LOST_MS = 5000;
const REDIAL_MS = [500, 1000, 2000, 5000, 5000, 5000];
/** How long one try may take, and for how long a server that does not answer at all is called again. */
const CALL_MS = 15_000;
const PATIENCE_MS = 600_000;
const HANG_UP_MS = 3000;

/**
 * null, or the call.
 * status: asking (for the webcam), dialling, connected, redialling, failed.
 * silent: it is connected, but nothing gets through any more.
 * @type {{value: null | {status: string, error: string|null, stream: MediaStream|null, sessionId: string|null,
 *   replaced: string|null, silent?: boolean}}}
 */
export const call = signal(null);

/** The session that was just hung up: nothing more comes of it. */
export const hungUp = signal(null);

let peer = null;
let location_ = null;
let round = 0;
let reachedAt = 0;

const update = (changes) => (call.value = { ...call.value, ...changes });

/** Ask for the webcam and dial. Resolves when the call is placed or has failed; `call` tells which. */
export async function startCall() {
  if (call.value && call.value.status !== "failed") return;
  const mine = (round += 1);
  call.value = { status: "asking", error: null, stream: null, sessionId: null, replaced: null };
  let stream;
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
    stream = await openDevices(mine);
  } catch (error) {
    if (mine === round) update({ status: "failed", error: webcamProblem(error) });
    return;
  }
  if (mine !== round) return release(stream);
  stream.getVideoTracks()[0].onended = () => fail("The webcam was unplugged, or another program took it.");
  update({ stream, status: "dialling" });
  reachedAt = Date.now();
  await dial(mine);
}

/** Hang up: the server frees the session, the webcam's light goes out. */
export async function stopCall() {
  round += 1;
  const { stream, sessionId } = call.value ?? {};
  hungUp.value = sessionId ?? null;
  call.value = null;
  release(stream);
  letGo();
  await hangUp();
}

/** One question of the browser for both. Without a microphone the picture goes on. */
async function openDevices(mine) {
  let missing = null;
  if (wanted.value) {
    try {
      return keepSound(mine, await navigator.mediaDevices.getUserMedia({ video: WANTED, audio: soundWanted() }));
    } catch (error) {
      missing = error;
    }
  }
  return keepSound(mine, await openWebcam(), missing);
}

function keepSound(mine, stream, missing = null) {
  if (mine === round) takeFrom(stream, missing);
  return stream;
}

async function openWebcam() {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: WANTED });
  } catch (error) {
    if (error.name !== "OverconstrainedError") throw error;
    return navigator.mediaDevices.getUserMedia({ video: true }); // a small webcam is better than none
  }
}

async function dial(mine, attempt = 0) {
  try {
    await place(mine);
  } catch (error) {
    if (mine !== round) return;
    // The server's refusal is final; silence on the line is not.
    if ((error.status >= 400 && error.status < 500) || error.code === "engine_full") fail(error.message);
    else if (error.status === 0 && Date.now() - reachedAt < PATIENCE_MS) redial(mine, error.message, Math.min(attempt, REDIAL_MS.length - 1));
    else redial(mine, error.message, attempt);
  }
}

/** By which the server knows this browser again: what is remembered of one call is known in the next. */
function browserId() {
  const known = kept("browser");
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const made = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  keep("browser", made);
  return made;
}

async function place(mine) {
  const pc = new RTCPeerConnection({ iceServers: [] });
  peer?.close();
  peer = pc;
  const { stream } = call.value;
  const sender = pc.addTransceiver(stream.getVideoTracks()[0], { direction: "sendonly", streams: [stream] }).sender;
  // With room for a microphone that comes later, and for the server's voice.
  const sound = pc.addTransceiver("audio", { direction: "sendrecv", streams: [stream] });
  await sendTo(sound.sender);
  pc.addEventListener("track", ({ track }) => track.kind === "audio" && pc === peer && playTrack(track));
  watchConnection(pc, mine);
  await pc.setLocalDescription(await pc.createOffer());
  await gathered(pc);
  const session = { memory_of: `browser:${browserId()}`, ...(callFidelity.value && { fidelity: callFidelity.value }) };
  const offer = { sdp: pc.localDescription.sdp, session };
  const response = await request("POST", "/v1/realtime/calls", { json: offer, ms: CALL_MS });
  reachedAt = Date.now();
  const where = response.headers.get("Location");
  if (mine !== round || pc !== peer) {
    pc.close();
    await drop(where);
    return;
  }
  location_ = where;
  const before = call.value.sessionId;
  update({ sessionId: response.headers.get("X-Session-Id"), replaced: before });
  await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
  await preferSharpness(sender);
}

/** The addresses of this machine come together at once. What Chromium still looks for then, 100 ms long, is TCP's alone. */
function gathered(pc) {
  if (pc.iceGatheringState === "complete") return null;
  return new Promise((done) => {
    let timer = setTimeout(done, GATHER_MS);
    pc.addEventListener("icecandidate", ({ candidate }) => {
      clearTimeout(timer);
      timer = setTimeout(done, candidate ? QUIET_MS : 0);
    });
  });
}

/** One picture a second is looked at: better few and sharp than many and small. */
async function preferSharpness(sender) {
  try {
    await sender.setParameters({ ...sender.getParameters(), degradationPreference: "maintain-resolution" });
  } catch {
    // Not every browser knows it.
  }
}

function watchConnection(pc, mine) {
  let timer = null;
  pc.addEventListener("connectionstatechange", () => {
    if (mine !== round || pc !== peer) return;
    clearTimeout(timer);
    if (pc.connectionState === "connected") update({ status: "connected", error: null, silent: false });
    if (pc.connectionState === "failed") redial(mine, "The connection was lost.");
    if (pc.connectionState === "disconnected") {
      update({ silent: true });
      timer = setTimeout(() => mine === round && pc === peer && redial(mine, "The connection was lost."), LOST_MS);
    }
  });
}

/** The session is over by the server's word: hung up by somebody else is final, all else is worth another call. */
export function sessionEnded(code) {
  // While one dials again, it is we who hung the old call up.
  if (call.value?.status !== "connected") return;
  if (code === "hung_up") fail("The call was hung up from elsewhere.");
  else redial(round, "The server ended the call.");
}

async function redial(mine, why, attempt = 0) {
  if (attempt >= REDIAL_MS.length) return fail(why);
  peer?.close();
  peer = null;
  update({ status: "redialling", error: why, silent: false });
  await hangUp();
  await new Promise((done) => setTimeout(done, REDIAL_MS[attempt]));
  if (mine === round) await dial(mine, attempt + 1);
}

async function fail(why) {
  round += 1;
  release(call.value?.stream);
  letGo();
  update({ status: "failed", error: why, stream: null });
  await hangUp();
}

/** The server is told first: a connection that closes before ends the call there, and then there is nothing to hang up. */
async function hangUp() {
  const old = peer;
  const where = location_;
  peer = location_ = null;
  stopPlaying();
  await drop(where);
  old?.close();
}

async function drop(where) {
  if (!where) return;
  try {
    await request("DELETE", where, { ms: HANG_UP_MS });
  } catch {
    // The server notices by itself when nothing comes any more.
  }
}

const release = (stream) => stream?.getTracks().forEach((track) => track.stop());

/** Nobody is filmed behind the sign-in. */
needsKey.subscribe((out) => out && call.value && stopCall());

// A closed tab sends no more pictures; say so at once instead of letting the server wait.
addEventListener("pagehide", () => {
  if (location_) fetch(location_, { method: "DELETE", keepalive: true });
  location_ = null;
});
