// How the open session is heard on this page: by the browser's own voice, by sound that comes with its updates, by the call,
// or not at all.
import { batch, signal } from "../html.js";
import { call } from "../call/call.js";
import { keepQuiet } from "../call/loudspeaker.js";
import { may } from "../net/auth.js";
import { keep, kept } from "../net/kept.js";
import { askAgain, letHear, stream, view } from "../state/session.js";
import { OwnVoice, voices } from "./own_voice.js";
import { SoundStream } from "./sound_stream.js";

const LOCK = "joyvl.voice";

/** What the reader chose: "on", "off", or "" where nothing was chosen: then calls are heard and cameras are not. */
export const choice = signal(kept("voice"));
/** A page may make sound only after somebody has touched it. */
export const touched = signal(navigator.userActivation?.hasBeenActive ?? false);
/** Only one tab speaks: "" nobody asked, "waiting" another one speaks, "held" it is this one. */
export const turn = signal("");
/** How the open session is heard: call, own, stream, or "" for not at all. */
export const heardBy = signal("");

let voice = null;
let sound = null;
let free = null;

export function choose(on) {
  choice.value = on ? "on" : "off";
  keep("voice", choice.value);
}

export const inCall = () => view.value.id !== "" && call.value?.sessionId === view.value.id;

/**
 * Can this browser hear a session that speaks so at all? Its own voice has to tell the server how far it is; a voice that is off
 * has to be switched on there.
 */
export const mayHear = ({ speaks }) =>
  speaks === "client" ? may("POST /v1/sessions/{session_id}/playback") : speaks !== "off" || may("PATCH /v1/sessions/{session_id}");

/** Does the reader want to hear the open session? */
export const wantsVoice = () => (choice.value === "" ? inCall() : choice.value === "on");

/** Why it is not heard although it should be: untouched, elsewhere (another tab speaks), voiceless; or "". */
export function whyUnheard() {
  const speaks = view.value.session?.speech?.speaks ?? "off";
  if (!wantsVoice() || speaks === "off" || !mayHear({ speaks }) || stream.value.state === "gone") return "";
  if (speaks === "client" && !voices.value.length) return "voiceless";
  if (speaks === "server" && inCall()) return "";
  if (!touched.value) return "untouched";
  return turn.value === "waiting" ? "elsewhere" : "";
}

/** What would be right now, if it is this tab's turn. */
function fitting() {
  const speaks = view.value.session?.speech?.speaks ?? "off";
  if (!wantsVoice() || speaks === "off" || !mayHear({ speaks }) || view.value.id === "") return "";
  if (speaks === "server" && inCall()) return "call";
  if (!touched.value || (speaks === "client" && !voices.value.length)) return "";
  return speaks === "client" ? "own" : "stream";
}

function settle() {
  keepQuiet(choice.value === "off");
  const fit = fitting();
  const needsTurn = fit === "own" || fit === "stream";
  if (needsTurn && turn.value === "") takeTurn();
  if (!needsTurn && turn.value !== "") leaveTurn();
  const next = needsTurn && turn.value !== "held" ? "" : fit;
  if (next === heardBy.value && (voice === null || voice.sessionId === view.value.id)) return;
  silence();
  if (next === "own") voice = new OwnVoice(view.value.id);
  if (next === "stream") sound = new SoundStream();
  const asked = asks(heardBy.value) !== asks(next);
  heardBy.value = next;
  if (asked) askAgain();
}

const asks = (how) => (how === "own" || how === "stream" ? how : "");

function silence() {
  voice?.stop();
  sound?.stop();
  voice = sound = null;
}

/** Without locks (a page over plain http) every tab speaks. */
function takeTurn() {
  if (!navigator.locks) return (turn.value = "held");
  const aborter = new AbortController();
  turn.value = "waiting";
  free = () => aborter.abort();
  const hold = () =>
    new Promise((done) => {
      free = done;
      turn.value = "held";
      settle();
    });
  navigator.locks.request(LOCK, { signal: aborter.signal }, hold).catch(() => {});
  return undefined;
}

function leaveTurn() {
  free?.();
  free = null;
  turn.value = "";
}

function touch() {
  if (!touched.value) touched.value = true;
}

/** Call it once: from then on the open session is heard as the reader wants it. */
export function startHearing() {
  letHear({
    query: () => (heardBy.value === "own" ? { speaks: "true" } : heardBy.value === "stream" ? { audio: "true" } : {}),
    onUpdate: (update) => (voice?.take(update), sound?.take(update)),
    onSound: (piece) => sound?.hear(piece),
  });
  for (const source of [view, call, choice, touched, voices, stream]) source.subscribe(() => queueMicrotask(() => batch(settle)));
  for (const type of ["pointerdown", "keydown"]) addEventListener(type, touch, { capture: true });
  addEventListener("pagehide", silence);
}
