// A page without echo cancellation: what it plays comes back into its microphone, later and softer.
(() => {
  const [GAIN, DELAY_S] = ECHO;
  const media = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const contexts = [];

  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await media({ ...wanted, audio: wanted.audio ? { ...plain } : false });
    const [track] = stream.getAudioTracks();
    if (!track) return stream;
    const context = new AudioContext({ sampleRate: 48000 });
    const out = context.createMediaStreamDestination();
    const echo = new DelayNode(context, { delayTime: DELAY_S, maxDelayTime: 1 });
    const gain = new GainNode(context, { gain: GAIN });
    context.createMediaStreamSource(stream).connect(out);
    echo.connect(gain).connect(out);
    contexts.push({ context, echo, stream });
    return new MediaStream([...out.stream.getAudioTracks(), ...stream.getVideoTracks()]);
  };

  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(...how) {
      super(...how);
      this.addEventListener("track", ({ track }) => {
        const last = contexts.at(-1);
        if (track.kind === "audio" && last)
          last.context.createMediaStreamSource(new MediaStream([track])).connect(last.echo);
      });
    }
  };
})();
