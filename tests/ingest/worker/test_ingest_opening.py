"""What opens, what does not, and in which words."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fakes.media.odd_camera import UNKNOWN, OddCamera
from fakes.media.video import draw_clip, draw_sound, join
from fakes.patience import PATIENCE_S
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.worker.deadlines import Deadline, Timeouts, libav_obeys
from joyvl_server.ingest.worker.opening import OpenedStream, frames, open_source, seconds
from joyvl_server.kit.net.policy import NetPolicy

SECRET = "s3cret"


def opened(url: str, roots: tuple[str, ...] = (), timeout_s: float = 3.0) -> OpenedStream:
    target = NetPolicy(file_roots=roots).check(url)
    deadline = Deadline(time.monotonic() + timeout_s)
    with libav_obeys(deadline):
        return open_source(target, Timeouts(timeout_s, timeout_s), deadline)


def why_not(url: str, roots: tuple[str, ...] = (), timeout_s: float = 3.0) -> SourceError:
    with pytest.raises(SourceError) as caught:
        opened(url, roots, timeout_s).close()
    assert SECRET not in str(caught.value)
    assert str(caught.value).endswith(".")
    return caught.value


@pytest.fixture
def web_page() -> Iterator[int]:
    class Page(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(PATIENCE_S)


def answers(status: bytes, extra: bytes = b"") -> OddCamera:
    def answer(request: bytes) -> bytes:
        number = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"cseq"))
        return b"RTSP/1.0 " + status + b"\r\n" + number + b"\r\n" + extra + b"\r\n"

    return OddCamera(answer=answer)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_files_of_many_kinds(tmp_path: Path, suffix: str) -> None:
    path = draw_clip(tmp_path / f"a.{suffix}", fps=10, seconds=1.0, sound=suffix != "ts")
    clip = opened(path.as_uri(), (str(tmp_path),))
    times = [seconds(frame) or 0.0 for frame in frames(clip)]
    clip.close()
    assert len(times) == 10
    assert (clip.codec, clip.fps, clip.has_audio) == ("h264", 10.0, suffix != "ts")
    assert times[-1] - times[0] == pytest.approx(0.9, abs=0.02)


def test_b_frames_come_in_order(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "b.mp4", bframes=3)
    clip = opened(path.as_uri(), (str(tmp_path),))
    times = [seconds(frame) for frame in frames(clip)]
    clip.close()
    assert times == sorted(times)
    assert len(times) == 50


def test_sound_only(tmp_path: Path) -> None:
    path = draw_sound(tmp_path / "a.m4a")
    assert why_not(path.as_uri(), (str(tmp_path),)).code == "no_video"


@pytest.mark.parametrize("content", [b"", b"hello, this is no video\n" * 50, bytes(range(256)) * 40])
def test_no_video_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert why_not(path.as_uri(), (str(tmp_path),)).code == "not_a_stream"


def test_a_file_without_its_end_cannot_be_opened(tmp_path: Path) -> None:
    whole = draw_clip(tmp_path / "a.mp4")
    whole.write_bytes(whole.read_bytes()[:2000])  # the index of an mp4 is at its end
    assert why_not(whole.as_uri(), (str(tmp_path),)).code == "not_a_stream"


def test_a_damaged_file_plays_what_is_whole(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mkv", gop=5, seconds=4)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    clip = opened(path.as_uri(), (str(tmp_path),))
    number = sum(1 for _ in frames(clip))
    clip.close()
    assert 20 < number <= 100


def test_the_size_may_change_in_the_middle(tmp_path: Path) -> None:
    parts = [draw_clip(tmp_path / f"{w}.ts", size=(w, 96), seconds=0.4) for w in (128, 256)]
    path = join(tmp_path / "both.ts", parts)
    clip = opened(path.as_uri(), (str(tmp_path),))
    widths = [frame.width for frame in frames(clip)]
    clip.close()
    assert set(widths) == {128, 256}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile '{0}'\n"),
        ("list.mpd", "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{0}</BaseURL></MPD>"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n"),
    ],
)
def test_a_file_opens_no_other_file_and_no_network(tmp_path: Path, name: str, content: str) -> None:
    roots = tmp_path / "roots"
    roots.mkdir()
    secret = draw_clip(tmp_path / "secret.ts")
    path = roots / name
    path.write_text(content.format(secret))
    assert why_not(path.as_uri(), (str(roots),)).code == "not_a_stream"


def test_nobody_listens() -> None:
    with OddCamera() as camera:
        port = camera.port
    assert why_not(f"rtsp://cam:{SECRET}@127.0.0.1:{port}/x").code == "refused"


def test_a_web_page_is_no_camera(web_page: int) -> None:
    error = why_not(f"rtsp://cam:{SECRET}@127.0.0.1:{web_page}/x")
    assert error.code == "not_a_stream"
    assert "not an RTSP camera" in str(error)


def test_another_protocol_is_no_camera() -> None:
    with OddCamera(answer=lambda request: b"SSH-2.0-OpenSSH_9.2\r\n") as camera:
        assert why_not(camera.url, timeout_s=1.0).code in ("not_a_stream", "timeout")


def test_silence_is_a_timeout() -> None:
    with OddCamera(answer=lambda request: None) as camera:
        assert why_not(camera.url, timeout_s=0.6).code == "timeout"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (b"401 Unauthorized", "unauthorized"),
        (b"403 Forbidden", "unauthorized"),
        (b"404 Not Found", "not_found"),
        (b"461 Unsupported Transport", "not_a_stream"),
        (b"503 Service Unavailable", "not_a_stream"),
    ],
)
def test_refusals(status: bytes, code: str) -> None:
    with answers(status) as camera:
        assert why_not(camera.url).code == code


@pytest.mark.parametrize("where", [b"file:///etc/passwd", b"http://127.0.0.1:9/x", b"udp://127.0.0.1:9"])
def test_a_camera_cannot_send_us_to_files_or_other_protocols(where: bytes) -> None:
    with answers(b"302 Moved", b"Location: " + where + b"\r\n") as camera:
        assert why_not(camera.url).code == "redirected"
        assert camera.connections == 1


def test_a_picture_nobody_can_decode() -> None:
    with OddCamera(sdp=UNKNOWN) as camera:
        assert why_not(camera.url).code == "unknown_codec"


def test_a_camera_with_sound_only() -> None:
    with OddCamera(sdp="m=audio 0 RTP/AVP 8\r\na=control:trackID=1\r\n") as camera:
        assert why_not(camera.url).code == "no_video"
