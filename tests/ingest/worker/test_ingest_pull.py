"""A pulled source in its thread: files here, odd cameras too; real ones stand in tests/e2e and tests/faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fakes.media.odd_camera import OddCamera, rtp
from fakes.media.told import Told
from fakes.media.video import draw_clip, draw_sound, join
from fakes.patience import PATIENCE_S
from joyvl_server.core.errors import NotAllowed
from joyvl_server.ingest import backoff, source_errors
from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.audio.source_sound import SoundTeller
from joyvl_server.ingest.base import PullSpec
from joyvl_server.ingest.worker import pull
from joyvl_server.ingest.worker.deadlines import Timeouts
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.ingest.worker.pull import PullSource
from joyvl_server.kit.net.policy import CheckedUrl, NetPolicy

Start = Callable[..., tuple[PullSource, Told]]
SOON = Timeouts(1.0, 0.6)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts pulls; in the end every one of their threads must be gone."""
    monkeypatch.setattr(backoff, "STEPS", ((0.05, 5), (0.1, 5)))
    pulls: list[PullSource] = []
    before = threading.active_count()

    def begin(spec: PullSpec, policy: NetPolicy | None = None, begin_at: float = 0.0) -> tuple[PullSource, Told]:
        told = Told()
        policy = policy or NetPolicy(file_roots=(str(tmp_path),))
        hearing = Hearing(SoundTeller(told), live=not spec.is_file)
        source = PullSource(spec, policy, SOON, FramePublisher(told, GreyHistory(192)), hearing, start=begin_at)
        pulls.append(source)
        source.start()
        return source, told

    yield begin
    for source in pulls:
        assert source.close(PATIENCE_S)
    assert threading.active_count() <= before


def test_a_file_plays_at_its_speed_and_ends(start: Start, tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", fps=20, seconds=2.0)
    began = time.monotonic()
    source, told = start(PullSpec(path.as_uri(), speed=4.0))
    times = []
    while "ended" not in told.statuses:
        newest = source.newest
        if newest is not None and (not times or times[-1] != newest.t):
            times.append(newest.t)
        time.sleep(0.002)
    took = time.monotonic() - began
    assert told.statuses == ["online", "ended"]
    assert (told[0].width, told[0].height, told[0].fps, told[0].codec) == (160, 120, 20.0, "h264")
    assert told[0].clock[1] == 0.0
    assert times == sorted(times)
    assert all(0 <= t < 2.0 for t in times)  # a busy machine may miss some
    assert took > 1.95 / 4
    assert source.newest is None


def test_a_loop_goes_on_and_its_time_too(start: Start, tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", fps=10, seconds=0.5)
    source, told = start(PullSpec(path.as_uri(), loop=True, speed=5.0))
    told.wait(lambda _: source.newest is not None and source.newest.t > 2.0)
    assert told.statuses == ["online"]


def test_another_worker_goes_on_where_the_first_was(start: Start, tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", fps=10, gop=10, seconds=3.0)
    source, told = start(PullSpec(path.as_uri(), speed=5.0), begin_at=2.0)
    told.wait(lambda _: source.newest is not None)
    assert source.newest.t >= 2.0
    told.wait(lambda t: t.statuses == ["online", "ended"])


def test_the_size_may_change(start: Start, tmp_path: Path) -> None:
    parts = [draw_clip(tmp_path / f"{w}.ts", size=(w, 96), seconds=0.4) for w in (128, 256)]
    _, told = start(PullSpec(join(tmp_path / "both.ts", parts).as_uri(), speed=4.0))
    told.wait(lambda t: "ended" in t.statuses)
    assert [report.width for report in told if report.status == "online"] == [128, 256]


def test_a_file_that_appears_later_is_found(start: Start, tmp_path: Path) -> None:
    source, told = start(PullSpec((tmp_path / "later.mp4").as_uri(), loop=True))
    told.wait(lambda t: len(t) >= 2)
    assert set(told.codes) == {"not_found"}
    assert [report.attempts for report in told[:2]] == [1, 2]
    draw_clip(tmp_path / "part.mp4").rename(tmp_path / "later.mp4")
    told.wait(lambda t: "online" in t.statuses)
    assert source.newest is not None


@pytest.mark.parametrize("name", ["sound.m4a", "text.mp4"])
def test_what_is_no_video_says_so(start: Start, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "sound.m4a":
        draw_sound(path)
    else:
        path.write_text("no video")
    _, told = start(PullSpec(path.as_uri()))
    told.wait(lambda t: len(t) >= 1)
    assert told.codes[0] == {"sound.m4a": "no_video", "text.mp4": "not_a_stream"}[name]
    assert told[0].retry_in_s == pytest.approx(0.05, rel=0.21)


def test_the_policy_is_asked_again_at_each_try(start: Start) -> None:
    class Closing(NetPolicy):
        asked = 0

        def check(self, url: str, **_: object) -> CheckedUrl:
            Closing.asked += 1
            if Closing.asked > 2:
                raise NotAllowed("The name points to a metadata address now.")
            return super().check(url)

    with OddCamera() as camera:
        port = camera.port
    _, told = start(PullSpec(f"rtsp://127.0.0.1:{port}/x"), Closing())
    told.wait(lambda t: "not_allowed" in t.codes)
    assert told.codes[:3] == ["refused", "refused", "not_allowed"]


def test_garbage_instead_of_video_is_a_stall(start: Start) -> None:
    def garbage(send: Callable[[bytes], None]) -> None:
        for number in range(400):
            send(rtp(number, b"\x65" + bytes((number * 7 + i) % 256 for i in range(900))))
            time.sleep(0.02)

    with OddCamera(after_play=garbage) as camera:
        source, told = start(PullSpec(camera.url))
        told.wait(lambda t: len(t) >= 1)
        assert told[0].status == "offline"
        assert told[0].error_code in ("stalled", "timeout")
        assert source.newest is None


def test_noise_that_is_not_even_rtp_is_survived(start: Start) -> None:
    def noise(send: Callable[[bytes], None]) -> None:
        for _ in range(50):
            send(bytes(range(256)) * 16)
            time.sleep(0.02)

    with OddCamera(after_play=noise) as camera:
        _, told = start(PullSpec(camera.url))
        told.wait(lambda t: len(t) >= 1)
        assert told[0].status == "offline"
        told.wait(lambda _: camera.connections >= 2)


def test_a_fault_nobody_thought_of_ends_nothing(start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4")
    calls = []

    class Broken:
        def read(self, *_: object) -> None:
            calls.append(1)
            raise ZeroDivisionError("rtsp://cam:s3cret@x")

    monkeypatch.setattr(pull, "FileReader", lambda *_: Broken())
    _, told = start(PullSpec(path.as_uri()))
    told.wait(lambda t: len(t) >= 2)
    assert told.codes[:2] == ["internal", "internal"]
    assert "s3cret" not in str(told[0].error)


def test_a_stop_ends_every_kind_of_wait(start: Start, tmp_path: Path) -> None:
    slow = draw_clip(tmp_path / "a.mp4", fps=1, seconds=5.0)
    playing, told = start(PullSpec(slow.as_uri(), speed=0.1))
    told.wait(lambda t: t.statuses == ["online"])
    with OddCamera(answer=lambda request: None) as camera:
        opening, _ = start(PullSpec(camera.url))
        time.sleep(0.2)
        for source in (playing, opening):
            assert source.close(PATIENCE_S)


def replies(status: bytes) -> Callable[[bytes], bytes]:
    """A camera that answers OPTIONS and refuses the rest with `status`."""

    def answer(request: bytes) -> bytes:
        number = next(line for line in request.split(b"\r\n") if line.startswith(b"CSeq"))
        code = b"200 OK" if request.startswith(b"OPTIONS") else status
        return b"RTSP/1.0 " + code + b"\r\n" + number + b"\r\n\r\n"

    return answer


def test_away_for_long_a_camera_is_noticed_when_it_is_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "STEPS", ())
    monkeypatch.setattr(backoff, "LAST_S", 0.05)
    with OddCamera() as camera:
        port = camera.port
    _, told = start(PullSpec(f"rtsp://127.0.0.1:{port}/x"))
    told.wait(lambda t: len(t) >= 20)
    assert set(told.codes) == {"refused"}
    with OddCamera(port=port, answer=replies(b"453 Not Enough Bandwidth")):
        told.wait(lambda t: t.codes[-1] == "not_a_stream")
        assert told[-1].retry_in_s == pytest.approx(0.05, rel=0.21)  # full up now, perhaps not in a moment


def test_as_long_as_nobody_answers_nothing_is_opened(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are taken but nothing comes back: a camera that starts, or hangs."""
    monkeypatch.setattr(backoff, "STEPS", ())
    monkeypatch.setattr(backoff, "LAST_S", 0.05)
    monkeypatch.setattr(source_errors, "REACH_TIMEOUT_S", 0.1)
    asked: list[bytes] = []

    def deaf(request: bytes) -> None:
        asked.append(request)

    with OddCamera(answer=deaf) as camera:
        _, told = start(PullSpec(f"rtsp://cam:s3cret@127.0.0.1:{camera.port}/x"))
        told.wait(lambda t: len(t) >= 1 + pull.MAX_SKIPPED_OPENS + 1)
    assert set(told.codes) == {"timeout"}
    knocks = asked[2 : 2 + pull.MAX_SKIPPED_OPENS]  # before them: the first opening, and why it failed
    assert all(knock.startswith(b"OPTIONS * ") and b"Authorization" not in knock for knock in knocks)
    assert any(not request.startswith(b"OPTIONS * ") for request in asked[2 + pull.MAX_SKIPPED_OPENS :]), (
        "it is tried in full"
    )


def test_a_refused_password_is_tried_again_slowly(start: Start) -> None:
    with OddCamera(answer=replies(b'401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"')) as camera:
        _, told = start(PullSpec(f"rtsp://cam:wrong@127.0.0.1:{camera.port}/x"))
        told.wait(lambda t: len(t) >= 1)
    assert told.codes == ["unauthorized"]
    assert told[0].retry_in_s >= 20


def test_a_fault_that_comes_at_every_try_is_logged_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def read(self, *_: object) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr(pull, "FileReader", lambda *_: Broken())
    _, told = start(PullSpec(draw_clip(tmp_path / "a.mp4").as_uri()))
    told.wait(lambda t: len(t) >= 4)
    assert len([r for r in caplog.records if r.name == pull.__name__]) == 1


def test_a_name_that_does_not_resolve_is_asked_for_again(start: Start) -> None:
    class Asked(NetPolicy):
        times = 0

        def check(self, url: str, **_: object) -> CheckedUrl:
            Asked.times += 1

            def nothing(host: str) -> list[str]:
                raise OSError

            return super().check(url, resolve=nothing)

    _, told = start(PullSpec("rtsp://door.invalid/x"), Asked())
    told.wait(lambda t: len(t) >= 3)
    assert set(told.codes) == {"unreachable"}
    assert Asked.times >= 3
