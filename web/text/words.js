// What states, errors and decisions are called.

const SKIPPED = {
  busy: "Skipped: the decision before was still being made.",
  late: "Skipped: its second was over before its turn came.",
  no_frame: "Skipped: the source had no new picture.",
  offline: "Skipped: the source was not connected.",
  still: "Skipped: nothing had changed in the picture.",
  failed: "Skipped: the engine failed.",
  away: "Skipped: the engine is away, so it was not asked.",
};

const SUPPRESSED = {
  cooldown: "it had just said something similar",
  duplicate: "it had just said the same",
  zone: "no watch covers that part of the picture",
  kind: "no watch there fires at that kind of thing",
  empty: "there were no words",
  hovering: "the score has not fallen since its last remark",
  below: "its watch requires a higher score",
};

/** What watches may fire at: [kind, name]. */
export const KINDS = [
  ["enter", "Comes in"],
  ["leave", "Goes away"],
  ["move", "Moves again"],
  ["still", "Stays still"],
  ["changed", "Scene changes"],
  ["dark", "Gets dark"],
  ["covered", "Camera covered"],
  ["frozen", "Picture frozen"],
];

const STATUS = { connecting: "Connecting", online: "Online", offline: "Offline", ended: "Ended" };

const MODES = {
  structure: "sees movement, reads no words",
  scored: "scores the model's own markers",
  markers: "writes its markers as text, without scores",
  instruct: "general model, with instructions in words",
};

const WEBCAM = {
  NotAllowedError: "The browser may not use the webcam. Allow it in the address bar, then try again.",
  NotFoundError: "No webcam was found. Plug one in, then try again.",
  NotReadableError: "Another program uses the webcam. Close that program, then try again.",
  SecurityError: "Browsers give the webcam only to pages on https or on localhost. Open this page through one of them.",
};

const MICROPHONE = {
  NotAllowedError: "The browser may not use the microphone, so nothing you say is heard. The picture goes on.",
  NotFoundError: "No microphone was found, so nothing you say is heard. The picture goes on.",
  NotReadableError: "Another program uses the microphone, so nothing you say is heard. The picture goes on.",
};

const CODECS = { h264: "H.264", hevc: "H.265", h265: "H.265", vp8: "VP8", vp9: "VP9", av1: "AV1", mjpeg: "MJPEG", mpeg4: "MPEG-4" };

/** One word and a tone for a camera's dot. */
export function cameraStatus(camera) {
  if (!camera.enabled) return { word: "Off", tone: "off" };
  return sourceStatus(camera.state);
}

export function sourceStatus(state) {
  if (!state) return { word: "Waiting", tone: "connecting" };
  return { word: STATUS[state.status] ?? state.status, tone: state.status };
}

/** A camera or session whose server does not answer: nobody knows. */
export const NO_CONTACT = { word: "No contact", tone: "off" };

const ENGINE = {
  loading: ["Engine loading", "connecting", "The engine is loading.", "It decides as soon as it is ready."],
  away: ["Engine away", "offline", "The engine is away.", "There are no decisions until it is back. The server tries it every few seconds."],
  cannot: ["Engine can't decide", "offline", "The engine can't decide.", "There are no decisions until that is fixed. The server tries it every few seconds."],
  slow: ["Engine slow", "connecting", "The engine is slow.", "The server asks it as often as it can answer, always about the newest picture."],
};

/** What is wrong with a session's engine: {word, tone, title, reason, next, since}; null while it decides or was not asked yet. */
export function engineTrouble(state) {
  if (!state || !(state.status in ENGINE) || (state.status === "loading" && !state.reason)) return null;
  const [word, tone, title, next] = ENGINE[state.status];
  return { word, tone, title, reason: state.reason ? sentence(state.reason) : "", next, since: state.since, status: state.status };
}

/** A change of the engine's state as a line of the transcript. */
export function engineNotice(state) {
  const trouble = engineTrouble(state);
  if (!trouble) return { text: "The engine decides again.", tone: "good" };
  return { text: [trouble.title, trouble.reason].filter(Boolean).join(" "), tone: "warn" };
}

/** Why nothing new is said, as a sentence; null while it looks and decides. `silent`: our own call gets nothing through. */
export function whyQuiet(session, stream, silent) {
  if (silent) return "Your picture does not reach the server, so there is nothing to look at.";
  if (stream === "away") return "The server does not answer, so nothing new can be shown.";
  if (stream === "gone") return "The session is over.";
  if (!session) return "The session is being opened.";
  if (session.state?.status === "ended") return "The source has ended, so there is nothing to look at.";
  if (session.state?.status !== "online") return "There is no picture, so there is nothing to look at.";
  const trouble = engineTrouble(session.engine_state);
  return trouble && trouble.status !== "slow" ? `${trouble.title} In the meantime nobody looks at the picture.` : null;
}

/** How an engine decides, in a few words. */
export const modeWords = (capabilities) => MODES[capabilities.mode] ?? capabilities.mode ?? "";

/** A reason with its full stop. */
export const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);

/** Why there is no picture, as a sentence. */
export function whyNoPicture(state, problem) {
  if (state?.error) return state.error;
  if (state?.status === "connecting") return "The camera is connecting.";
  if (state?.status === "ended") return "The source has ended.";
  return problem ?? "It has not arrived yet.";
}

/** "1280 × 720, 25 pictures a second, H.264" from whatever is known. */
export function mediaFacts({ width, height, fps, codec }) {
  const facts = [];
  if (width && height) facts.push(`${width} × ${height}`);
  if (fps) facts.push(`${Number(fps.toFixed(1))} pictures a second`);
  if (codec) facts.push(CODECS[codec.toLowerCase()] ?? codec);
  return facts.join(", ");
}

/** A probe report in words: {good, title, text}. */
export function probeWords(report) {
  if (!report.ok) {
    return { good: false, title: report.error ?? "This source cannot be used.", text: report.hint ?? "" };
  }
  const details = [`${report.has_audio ? "With" : "No"} sound. Opened in ${report.took_s.toFixed(1)} s.`];
  if (report.keyframe_interval_s) details.push(`A full picture every ${Number(report.keyframe_interval_s.toFixed(1))} s.`);
  return { good: true, title: `It works: ${mediaFacts(report)}.`, text: details.join(" ") };
}

/** A value of a setting as people read it. */
export function valueWords({ type, choices }, value) {
  if (type === "boolean") return value ? "Yes" : "No";
  return choices?.find((one) => one.value === value)?.title ?? String(value);
}

/** What a setting without a value of its own follows: "Server default (Eco)". */
export function defaultWords(setting) {
  const value = setting?.default;
  const known = value !== null && value !== undefined && value !== "";
  return known ? `Server default (${valueWords(setting, value)})` : "Server default";
}

/** What one mark of the strip stands for, as sentences. */
export function tickWords(tick) {
  if (tick.skipped) return [SKIPPED[tick.skipped] ?? `Skipped: ${tick.skipped}.`, tick.detail].filter(Boolean).join(" ");
  if (tick.decision === "speak") return tick.text;
  if (tick.decision === "delegate") return `${tick.text} Delegated: ${tick.question}`;
  if (tick.suppressed) return `Kept silent: ${SUPPRESSED[tick.suppressed] ?? tick.suppressed}.`;
  return "Silent: nothing worth saying.";
}

export const webcamProblem = (error) => WEBCAM[error.name] ?? `The webcam did not start: ${error.message || error.name}.`;

export const microphoneProblem = (error) =>
  MICROPHONE[error.name] ?? `The microphone did not start: ${error.message || error.name}. The picture goes on.`;

const UNHEARD = {
  untouched: "Click anywhere to hear its voice: browsers play no sound before that.",
  elsewhere: "Another tab speaks. This one takes over when that is closed.",
  voiceless: "This browser has no voice of its own, so nothing is spoken here. Choose another voice in the sound settings.",
  blocked: "The browser did not let its voice speak. Click anywhere; the next remark is spoken.",
  failed: "The browser's voice failed. The next remark is tried again.",
};

/** Why one hears nothing, as a sentence; empty where all is well. */
export const unheardWords = (why) => UNHEARD[why] ?? "";

/** What a session may speak with: [value, name]. A server may have more, which are named as they are. */
export const VOICES = [
  ["auto", "The server's choice"],
  ["browser", "This browser's own voice"],
  ["off", "No voice"],
];

const VOICE_ENGINES = { espeak: "eSpeak", kokoro: "Kokoro", openai: "Speech server", piper: "Piper" };

export const voiceEngineName = (engine) => VOICE_ENGINES[engine] ?? engine;

/** When it listens, as short as fits a phone; a server may know other ways. */
const LISTENING = { auto: "In calls", open: "Always", push_to_talk: "While the button is held", off: "Never" };

export const listeningWords = ({ value, title }) => LISTENING[value] ?? title ?? value;

/** "English" of "en"; the tag itself where the browser knows no name. */
export function languageName(tag) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language", fallback: "code" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}

/** How much of a spoken line was heard; empty where nobody listened. `heard`: characters; `cutOff`: the words. */
export function heardWords({ text, heard, cutOff }) {
  if (cutOff === "") return "Cut off before a word was heard";
  if (cutOff !== undefined) return `Cut off after “${lastWords(cutOff)}”`;
  if (!heard) return "";
  const whole = [...text.trimEnd()];
  return heard >= whole.length ? "Heard" : `Heard up to “${lastWords(whole.slice(0, heard).join(""))}”`;
}

const LAST_CHARACTERS = 28;

function lastWords(text) {
  const end = text.trim();
  if (end.length <= LAST_CHARACTERS) return end;
  const short = end.slice(-LAST_CHARACTERS);
  return `…${short.slice(short.indexOf(" ") + 1)}`;
}
