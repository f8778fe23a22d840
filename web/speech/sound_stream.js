// Sound that comes with the updates: played as it comes, a moment late so that it has no gaps.
import { volume } from "../call/loudspeaker.js";

/** So late is the first piece played: pieces come unevenly. */
const DELAY_S = 0.15;

export class SoundStream {
  constructor() {
    this.context = new AudioContext();
    this.gain = this.context.createGain();
    this.gain.connect(this.context.destination);
    this.forget = volume.subscribe((value) => (this.gain.gain.value = value));
    this.epoch = null;
    this.cleared = new Set();
    this.next = 0;
    this.playing = new Set();
  }

  /** A piece of sound, or that an utterance is over at once. */
  hear(piece) {
    if (piece.type === "output_audio_buffer.cleared") this.clear(piece.epoch);
    else if (piece.type === "response.output_audio.delta" && !this.cleared.has(piece.epoch)) this.play(piece);
  }

  /** The updates tell when it is held: what has come already waits. */
  take({ type, epoch }) {
    if (epoch !== this.epoch || epoch === undefined) return;
    if (type === "output_audio_buffer.held") this.context.suspend();
    else if (type === "output_audio_buffer.resumed") this.context.resume();
    else if (type === "output_audio_buffer.cleared") this.clear(epoch);
  }

  play({ epoch, rate, delta }) {
    if (epoch !== this.epoch) {
      this.epoch = epoch;
      this.context.resume();
    }
    const samples = decode(delta);
    if (!samples.length) return;
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.gain);
    const now = this.context.currentTime;
    const at = this.next > now ? this.next : now + DELAY_S;
    source.start(at);
    this.next = at + buffer.duration;
    this.playing.add(source);
    source.onended = () => this.playing.delete(source);
  }

  clear(epoch) {
    this.cleared.add(epoch);
    if (epoch !== this.epoch) return;
    for (const source of this.playing) source.stop();
    this.playing.clear();
    this.next = 0;
    this.context.resume();
  }

  stop() {
    this.forget();
    this.context.close();
  }
}

/** Mono 16-bit samples, little-endian, as numbers from -1 to 1. */
function decode(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const read = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length >> 1 }, (_, n) => read.getInt16(2 * n, true) / 32768);
}
