// Records what the page's microphone sends and what comes from the server, side by side, with the wall clock.
(() => {
  const WORKLET = `
    const SIZE = 4800;
    registerProcessor("bench-recorder", class extends AudioWorkletProcessor {
      constructor() {
        super();
        this.begin();
      }
      begin() {
        this.filled = 0;
        this.pcm = [new Int16Array(SIZE), new Int16Array(SIZE)];
      }
      process(inputs) {
        // A context that had no time leaves blocks out.
        if (this.filled && currentFrame !== this.frame + this.filled) this.send();
        // The quickest block tells best when its samples were there: others waited for the processor.
        const began = Date.now() - (currentFrame * 1000) / sampleRate;
        this.began = this.filled ? Math.min(this.began, began) : began;
        if (!this.filled) this.frame = currentFrame;
        const length = 128;
        for (let n = 0; n < 2; n += 1) {
          const samples = inputs[n][0];
          if (!samples) continue;
          for (let i = 0; i < length; i += 1)
            this.pcm[n][this.filled + i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32767)));
        }
        this.filled += length;
        if (this.filled + length > SIZE) this.send();
        return true;
      }
      send() {
        const [sent, received] = this.pcm.map((all) => all.slice(0, this.filled));
        this.port.postMessage({ frame: this.frame, began: this.began, sent, received }, [sent.buffer, received.buffer]);
        this.begin();
      }
    });
  `;

  let recorder = null;
  let pieces = [];
  const sources = [null, null];

  function open() {
    recorder ??= (async () => {
      const context = new AudioContext({ sampleRate: 48000 });
      await context.audioWorklet.addModule(URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" })));
      const node = new AudioWorkletNode(context, "bench-recorder", {
        numberOfInputs: 2,
        channelCount: 1,
        channelCountMode: "explicit",
      });
      node.port.onmessage = ({ data }) => pieces.push(data);
      node.connect(context.destination); // silent, but it keeps it running
      return { context, node };
    })();
    return recorder;
  }

  async function attach(input, track) {
    const { context, node } = await open();
    sources[input]?.disconnect();
    sources[input] = context.createMediaStreamSource(new MediaStream([track]));
    sources[input].connect(node, 0, input);
  }

  const base64 = (samples) => {
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return btoa(text);
  };

  /** What came since the last time. */
  window.takeRecorded = () => {
    const taken = pieces;
    pieces = [];
    return taken.map(({ frame, began, sent, received }) => [frame, began, base64(sent), base64(received)]);
  };

  const media = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await media(wanted);
    const [track] = stream.getAudioTracks();
    if (track) await attach(0, track);
    return stream;
  };
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(...how) {
      super(...how);
      window.recordedPeer = this;
      this.addEventListener("track", ({ track }) => track.kind === "audio" && attach(1, track));
    }
  };
})();
