// The browser's own voice: says the text of an utterance while it still comes, and tells how far it is.
import { signal } from "../html.js";
import { volume } from "../call/loudspeaker.js";
import { post, sessionPath } from "../net/api.js";
import { characters, languageOf, nextSentence, speakable, voiceFor } from "./text.js";

const REPORT_MS = 200;
const KEPT = 32;
const synthesis = window.speechSynthesis;

/** The voices that the browser has; they come late, and in some browsers never. */
export const voices = signal(synthesis?.getVoices() ?? []);
/** Why the last utterance was not spoken, or null. */
export const voiceProblem = signal(null);
/** The place that is being said: {epoch, at}; null while it is silent. */
export const saying = signal(null);

synthesis?.addEventListener?.("voiceschanged", () => (voices.value = synthesis.getVoices()));

/** One session's voice. `take` every update of it; `stop` when it is not to speak any more. */
export class OwnVoice {
  constructor(sessionId) {
    this.sessionId = sessionId;
    this.texts = new Map();
    this.epoch = null;
    this.held = false;
    this.at = 0; // where it goes on
    this.said = 0; // so much was reported
    this.sentence = null; // the browser forgets a voice whose utterance nobody holds
    this.timer = null;
  }

  take(update) {
    const { type, epoch } = update;
    if (type === "response.created") this.write(epoch, "");
    else if (type === "response.output_text.delta") this.write(epoch, update.delta);
    else if (type === "response.output_text.done") this.end(epoch, update.text);
    else if (type === "output_audio_buffer.started" && update.by_client) this.begin(epoch);
    else if (epoch !== this.epoch || epoch === null) return;
    else if (type === "output_audio_buffer.held") this.hold();
    else if (type === "output_audio_buffer.resumed") this.resume();
    else if (["output_audio_buffer.cleared", "output_audio_buffer.stopped", "conversation.item.truncated"].includes(type)) this.drop();
  }

  write(epoch, delta) {
    const known = this.texts.get(epoch) ?? { text: "", whole: false };
    this.texts.set(epoch, { ...known, text: known.text + delta });
    if (this.texts.size > KEPT) this.texts.delete(this.texts.keys().next().value);
    if (epoch === this.epoch) this.goOn();
  }

  end(epoch, text) {
    this.texts.set(epoch, { text, whole: true });
    if (epoch === this.epoch) this.goOn();
  }

  begin(epoch) {
    this.drop();
    if (!this.texts.has(epoch)) return;
    Object.assign(this, { epoch, held: false, at: 0, said: 0 });
    this.goOn();
  }

  /** Not the browser's own pause: some phones have none, and some never wake from it. */
  hold() {
    this.held = true;
    this.silence();
  }

  resume() {
    this.held = false;
    this.goOn();
  }

  drop() {
    this.epoch = null;
    this.silence();
  }

  /** It does not speak any more, whatever comes. */
  stop() {
    if (this.epoch !== null) this.report(true);
    this.drop();
  }

  silence() {
    const spoke = this.sentence !== null;
    this.sentence = null;
    saying.value = null;
    clearTimeout(this.timer);
    this.timer = null;
    if (spoke) synthesis.cancel();
  }

  goOn() {
    if (this.epoch === null || this.held || this.sentence) return;
    const { text, whole } = this.texts.get(this.epoch);
    const next = nextSentence(text, this.at, whole);
    if (next) return this.say(text, next);
    if (!whole) return undefined;
    this.at = text.length;
    this.report(true);
    return this.drop();
  }

  say(text, { start, end }) {
    const words = speakable(text.slice(start, end));
    if (!/[\p{L}\p{N}]/u.test(words)) {
      this.at = end;
      return this.goOn();
    }
    const sentence = new SpeechSynthesisUtterance(words);
    const language = languageOf(words);
    const voice = voiceFor(voices.value, language);
    sentence.lang = voice?.lang ?? language;
    if (voice) sentence.voice = voice;
    sentence.volume = volume.value;
    const mine = (action) => (event) => this.sentence === sentence && action(event);
    sentence.onstart = mine(() => this.reach(start));
    sentence.onboundary = mine((event) => event.name !== "sentence" && this.reach(start + event.charIndex));
    sentence.onend = mine(() => {
      this.sentence = null;
      this.reach(end);
      this.goOn();
    });
    sentence.onerror = mine(({ error }) => this.fail(error));
    this.sentence = sentence;
    return synthesis.speak(sentence);
  }

  reach(at) {
    voiceProblem.value = null;
    this.at = at;
    saying.value = { epoch: this.epoch, at };
    if (this.said === 0) this.report();
    else this.timer ??= setTimeout(() => this.report(), REPORT_MS);
  }

  fail(error) {
    voiceProblem.value = error === "not-allowed" ? "blocked" : "failed";
    this.sentence = null;
    this.report(true);
    this.drop();
  }

  /** What cannot be told now is told by the next report. */
  report(ended = false) {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.epoch === null) return;
    const { text } = this.texts.get(this.epoch);
    const heard = characters(text, this.at);
    this.said = ended ? heard : Math.max(1, heard);
    post(sessionPath(this.sessionId, "/playback"), { epoch: this.epoch, heard: this.said, ended }).catch(() => {});
  }
}
