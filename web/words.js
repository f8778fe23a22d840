// What states, errors and decisions are called.

const SKIPPED = {
  busy: "Skipped: the decision before was still being made.",
  late: "Skipped: its second was over before it could begin.",
  no_frame: "Skipped: the source had no new picture.",
  offline: "Skipped: the source was not connected.",
  still: "Skipped: nothing had changed in the picture.",
  failed: "Skipped: the engine failed.",
  away: "Skipped: the engine is away, so it was not asked.",
};

const SUPPRESSED = {
  cooldown: "it had just said something alike",
  duplicate: "it had just said the same",
  zone: "no watch covers that part of the picture",
  empty: "there were no words",
  hovering: "the score has not fallen since its last remark",
  below: "the watch it is about asks for a higher score",
};

const STATUS = { connecting: "Connecting", online: "Online", offline: "Offline", ended: "Ended" };

const MODES = {
  structure: "sees movement, reads no words",
  scored: "scores the model's own markers",
  markers: "writes its markers as text, without scores",
  instruct: "general model, told in words",
};

/** What pictures may cost: [value, name, what it means]. */
export const FIDELITIES = [
  ["faithful", "Faithful", "Every picture in full, once a second."],
  ["adaptive", "Adaptive", "In full where much changed, small where little did."],
  ["eco", "Eco", "Like adaptive, and fewer looks while nothing moves."],
];

const WEBCAM = {
  NotAllowedError: "The browser may not use the webcam. Allow it in the address bar, then try again.",
  NotFoundError: "No webcam was found. Plug one in, then try again.",
  NotReadableError: "Another program holds the webcam. Close that program, then try again.",
  SecurityError: "Browsers give the webcam only to pages on https or on localhost. Open this page through one of them.",
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

/** What one mark of the strip stands for, as sentences. */
export function tickWords(tick) {
  if (tick.skipped) return [SKIPPED[tick.skipped] ?? `Skipped: ${tick.skipped}.`, tick.detail].filter(Boolean).join(" ");
  if (tick.decision === "speak") return tick.text;
  if (tick.decision === "delegate") return `${tick.text} Handed over: ${tick.question}`;
  if (tick.suppressed) return `Kept silent: ${SUPPRESSED[tick.suppressed] ?? tick.suppressed}.`;
  return "Silent: nothing worth saying.";
}

export const webcamProblem = (error) => WEBCAM[error.name] ?? `The webcam did not start: ${error.message || error.name}.`;
