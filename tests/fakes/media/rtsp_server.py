"""A real RTSP camera for tests: Debian's gst-rtsp-server in a child process, without re-encoding.

    with RtspServer(path) as camera:        # H.264, H.265, MPEG-4, MJPEG or VP8 file, played at real speed, for ever
        av.open(camera.url)
        camera.kill()                       # SIGKILL: connections drop
        camera.start()                      # again, on the same port
        camera.freeze(); camera.resume()    # SIGSTOP, SIGCONT

`path` may be a list of files: they play one after another. Every client starts at the first frame; with `shared=True`
all join one running picture. `auth=("cam", "s3cret")` asks for a password, `digest=True` by digest instead of basic.
`loop=False` ends the stream after the file. `speed=2.0` plays faster. `kind="audio"` serves sound without video.
`sound=("pcmu", path)` adds the sound of a WAV file: pcmu, pcma, opus or aac; once, from its beginning.
The server dies with the test that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

PYTHON = "/usr/bin/python3"
UNITS = "stream-format=byte-stream,alignment=au"
PAYLOADS = {
    "h264": ("h264parse", f"video/x-h264,{UNITS}", "rtph264pay config-interval=-1"),
    "hevc": ("h265parse", f"video/x-h265,{UNITS}", "rtph265pay config-interval=-1"),
    "mpeg4": ("mpeg4videoparse", "video/mpeg,mpegversion=4", "rtpmp4vpay config-interval=1"),
    "mjpeg": ("jpegparse", "image/jpeg", "rtpjpegpay"),
    "vp8": ("identity", "video/x-vp8", "rtpvp8pay"),
}

SOUNDS = {
    "pcmu": "audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0",
    "pcma": "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8",
    "opus": "audio/x-raw,rate=48000,channels=1 ! opusenc ! rtpopuspay name=pay1 pt=97",
    "aac": "audio/x-raw,rate=16000,channels=1 ! voaacenc ! aacparse ! rtpmp4gpay name=pay1 pt=97",
}


def available() -> str | None:
    """None when it can run here, else a sentence that says what is missing."""
    if not Path(PYTHON).exists():
        return f"{PYTHON} is missing."
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if subprocess.run([PYTHON, "-c", check], capture_output=True, check=False).returncode:
        return "gst-rtsp-server is missing (Debian: gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-bad)."
    return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def codec_of(path: str) -> str:
    import av  # the child process, under the system's Python, has none

    with av.open(path) as container:
        return container.streams.video[0].codec_context.name


class RtspServer:
    def __init__(
        self,
        path: str | Path | list[str] | list[Path],
        *,
        auth: tuple[str, str] | None = None,
        digest: bool = False,
        loop: bool = True,
        shared: bool = False,
        speed: float = 1.0,
        port: int | None = None,
        mount: str = "/cam",
        kind: str = "video",
        sound: tuple[str, str | Path] | None = None,
    ) -> None:
        paths = [str(p) for p in path] if isinstance(path, list) else [str(path)]
        self.port = port or free_port()
        self.auth = auth
        self.mount = mount
        self._options = {
            "paths": paths, "port": self.port, "auth": auth, "digest": digest, "loop": loop, "shared": shared,
            "speed": speed, "mount": mount, "kind": kind,
            "sound": [sound[0], str(sound[1])] if sound else None, "parent": os.getpid(),
            "codec": codec_of(paths[0]) if kind == "video" else "h264",
        }  # fmt: skip
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """With the credentials percent-encoded, if there are any."""
        who = f"{quote(self.auth[0], safe='')}:{quote(self.auth[1], safe='')}@" if self.auth else ""
        return f"rtsp://{who}127.0.0.1:{self.port}{self.mount}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> RtspServer:
        """Returns when it listens."""
        assert self._process is None, "already started"
        self._process = subprocess.Popen(
            [PYTHON, __file__, json.dumps(self._options)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line.strip() != "ready":
            self.kill()
            raise RuntimeError(f"the RTSP server did not start: {line!r}")
        return self

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(3)  # pace: then it is killed
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> RtspServer:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.kill()


def serve(options: dict) -> None:
    """The child process. Runs under the system's Python, which has the GStreamer bindings."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != options["parent"]:
        return
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    gi.require_version("GstRtsp", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)

    def units_of(path: str) -> list[tuple[bytes, int, int]]:
        """All access units of a file as (bytes, pts, dts), in ns."""
        source = f"filesrc location={json.dumps(path)} ! parsebin ! {parser} ! {caps}"
        pipeline = Gst.parse_launch(f"{source} ! appsink name=out sync=false max-buffers=0")
        pipeline.set_state(Gst.State.PLAYING)
        out = pipeline.get_by_name("out")
        units, clock = [], 0
        while (sample := out.emit("try-pull-sample", 5 * Gst.SECOND)) is not None:
            buffer = sample.get_buffer()
            step = buffer.duration if buffer.duration != Gst.CLOCK_TIME_NONE else Gst.SECOND // 25
            dts = buffer.dts if buffer.dts != Gst.CLOCK_TIME_NONE else clock
            pts = buffer.pts if buffer.pts != Gst.CLOCK_TIME_NONE else dts
            clock = dts + step
            units.append((buffer.extract_dup(0, buffer.get_size()), pts, dts))
        pipeline.set_state(Gst.State.NULL)
        if not units:
            raise SystemExit(f"no video that can be served in {path}")
        return units

    def playlist() -> tuple[list[tuple[bytes, int, int]], int]:
        """All files one after another, and the length of it all in ns."""
        everything, offset = [], 0
        for path in options["paths"]:
            units = units_of(path)
            first = min(unit[2] for unit in units)
            everything += [(data, pts - first + offset, dts - first + offset) for data, pts, dts in units]
            span = units[-1][2] - first
            offset += span + span // max(1, len(units) - 1)
        return everything, offset

    def sound_launch() -> str:
        if not options["sound"]:
            return ""
        codec, path = options["sound"]
        return f"filesrc location={json.dumps(path)} ! wavparse ! audioconvert ! audioresample ! {SOUNDS[codec]}"

    class Factory(GstRtspServer.RTSPMediaFactory):
        def do_create_element(self, url):
            if options["kind"] == "audio":
                launch = "audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay0 pt=8"
            else:
                launch = sound_launch() + (
                    f" appsrc name=src is-live=true format=time block=false max-bytes=0 caps={caps}"
                    f" ! {parser} ! {pay} name=pay0 pt=96"
                )
            return Gst.parse_launch(f"( {launch} )")

        def do_configure(self, media):
            source = media.get_element().get_child_by_name("src")
            if source is None:
                return
            state = {"n": 0, "start": None, "alive": True}
            media.connect("unprepared", lambda *_: state.update(alive=False))
            GLib.timeout_add(5, lambda: push(source, state))

    def push(source, state) -> bool:
        """Push what is due by now. Called every 5 ms."""
        if not state["alive"]:
            return False
        now = GLib.get_monotonic_time() * 1000
        if state["start"] is None:
            state["start"] = now
        elapsed = (now - state["start"]) * options["speed"]
        while True:
            turn, index = divmod(state["n"], len(units))
            if turn and not options["loop"]:
                source.emit("end-of-stream")
                return False
            data, pts, dts = units[index]
            if dts + turn * length > elapsed:
                return True
            buffer = Gst.Buffer.new_wrapped(data)
            buffer.pts = int((pts + turn * length) / options["speed"])
            buffer.dts = int((dts + turn * length) / options["speed"])
            state["n"] += 1
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return False

    parser, caps, pay = PAYLOADS[options["codec"]]
    units, length = playlist() if options["kind"] == "video" else ([], 0)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options["port"]))
    factory = Factory()
    factory.set_shared(options["shared"])
    if options["auth"]:
        user, password = options["auth"]
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        if options["digest"]:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        access = "user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
        role = Gst.Structure.new_from_string(access)
        factory.add_role_from_structure(role[0] if isinstance(role, tuple) else role)
    server.get_mount_points().add_factory(options["mount"], factory)
    if not server.attach(None):
        raise SystemExit("cannot listen")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
