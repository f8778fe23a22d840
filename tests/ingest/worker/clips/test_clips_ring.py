"""What a source keeps of its packets, and what becomes of clips that wait while it breaks off, is closed or is full."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fakes.media.clips import Played, look_into
from fakes.media.video import draw_clip
from fakes.patience import PATIENCE_S
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import ClipOrder, CutClip
from joyvl_server.ingest.worker.clips import recorder, writer
from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.ingest.worker.clips.material import decoding_order
from joyvl_server.ingest.worker.clips.packets import parameter_sets
from joyvl_server.ingest.worker.clips.writer import ClipWriter

SHORT = ClipLimits(6.0, 20.0, 32 << 20)


def test_it_keeps_so_many_seconds_from_a_keyframe_on(tmp_path: Path) -> None:
    played = Played(SHORT)
    opened = played.begin(draw_clip(tmp_path / "a.mp4", seconds=30.0, scene_cuts=False))
    starts = [(t, played.recorder._ring.segments[0].groups[0].t) for t in played.steps(opened)]
    kept = [t - start for t, start in starts if t > 10]
    assert min(kept) > 5.9
    assert max(kept) < 7.2


def test_it_never_takes_more_than_its_bytes(tmp_path: Path) -> None:
    limits = ClipLimits(60.0, 90.0, 40_000)
    played = Played(limits)
    opened = played.begin(draw_clip(tmp_path / "a.mp4", seconds=20.0, gop=10))
    sizes = [played.recorder.size for _ in played.steps(opened)]
    ring = played.recorder._ring
    assert max(sizes) <= 40_000 + 5_000  # one packet more, before it is trimmed
    assert ring.size == sum(group.size for segment in ring.segments for group in segment.groups)
    assert max(sizes) > 20_000
    clip = played.cut(tmp_path / "clip.mp4", played.t - 1.0)
    played.recorder.lost("the file ended")
    assert clip.result(0).bytes > 0


def test_a_clip_that_waits_keeps_its_beginning_until_memory_is_full(tmp_path: Path) -> None:
    played = Played(ClipLimits(2.0, 90.0, 40_000))
    outcome = None
    for t in played.steps(played.begin(draw_clip(tmp_path / "a.mp4", seconds=40.0, gop=10))):
        if outcome is None and t > 4.0:
            outcome = played.cut(tmp_path / "clip.mp4", t, before_s=1.0, after_s=60.0)
        if outcome is not None and outcome.done():
            break
    assert outcome is not None
    clip = outcome.result(0)
    assert clip.start <= 3.1
    assert clip.seconds > 4.0
    assert clip.reason.endswith("after the picture: the memory for clips (media.clip_mb) was full.")
    assert played.recorder.size <= 41_000


def test_a_connection_that_breaks_off_ends_the_clip_and_says_so(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=8.0)
    played = Played()
    outcome = None
    opened = played.begin(path)
    for t in played.steps(opened):
        if t > 7.0 and outcome is None:
            outcome = played.cut(tmp_path / "clip.mp4", 7.0, after_s=10.0)
    assert outcome is not None
    assert not outcome.done()
    played.recorder.lost("the camera ended the connection")
    clip = outcome.result(0)
    assert clip.reason == "It ends 1.0 s after the picture: the camera ended the connection."
    assert look_into(tmp_path / "clip.mp4").times[-1] == pytest.approx(clip.seconds, abs=0.05)
    again = played.play(path, until=10.0, why="the camera was away").cut(tmp_path / "again.mp4", 9.0, after_s=0.5)
    assert again.result(0).reason == "It begins 1.0 s before the picture: the camera was away."


def test_a_source_that_is_closed_makes_clips_of_what_there_is(tmp_path: Path) -> None:
    played = Played()
    opened = played.begin(draw_clip(tmp_path / "a.mp4", seconds=8.0))
    for t in played.steps(opened):
        if t > 6.0:
            break
    outcome = played.cut(tmp_path / "clip.mp4", 5.9)
    played.recorder.close()
    played.recorder.close()
    assert outcome.result(0).reason == "It ends 0.1 s after the picture: the session ended."
    assert played.cut(tmp_path / "late.mp4", 5.0).result(0).bytes > 0


def test_a_stream_that_stands_still_is_hurried(tmp_path: Path) -> None:
    played = Played().play(draw_clip(tmp_path / "a.mp4", seconds=8.0), until=6.0)
    outcome = played.cut(tmp_path / "clip.mp4", 5.5)
    played.recorder.hurry(outcome, "no picture came any more")
    assert outcome.result(0).reason == "It ends 0.5 s after the picture: no picture came any more."


def test_overlapping_clips_are_all_whole(tmp_path: Path) -> None:
    played = Played()
    opened = played.begin(draw_clip(tmp_path / "a.mp4", seconds=16.0, scene_cuts=False))
    outcomes = [
        (t, played.cut(tmp_path / f"{t:.0f}.mp4", t))
        for t in played.steps(opened)
        if 6.0 <= t < 11.0 and round(t * 25) % 25 == 0
    ]
    assert len(outcomes) == 5
    for t, outcome in outcomes:
        clip = outcome.result(0)
        assert clip.reason == ""
        assert t - clip.start >= 4.0
        assert clip.start + clip.seconds >= t + 1.9


def test_too_many_that_wait_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "WAITING", 2)
    played = Played().play(draw_clip(tmp_path / "a.mp4", seconds=8.0), until=6.0)
    outcomes = [played.cut(tmp_path / f"{n}.mp4", 6.0) for n in range(3)]
    with pytest.raises(SourceError) as caught:
        outcomes[2].result(0)
    assert caught.value.code == "busy"
    played.recorder.close()
    assert all(outcome.result(0).bytes for outcome in outcomes[:2])


def test_a_source_without_a_picture_says_so(tmp_path: Path) -> None:
    played = Played()
    with pytest.raises(SourceError, match="the source has shown nothing"):
        played.cut(tmp_path / "clip.mp4", 0.0).result(0)


def test_a_slow_disk_stops_no_picture_and_refuses_what_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()

    def slow(material: object, path: Path) -> CutClip:
        assert let_go.wait(PATIENCE_S)
        return CutClip(1, 0.0, 1.0, "h264")

    monkeypatch.setattr(writer, "write_clip", slow)
    monkeypatch.setattr(writer, "QUEUED", 3)
    clip_writer = ClipWriter()
    played = Played()
    played.recorder._writer = clip_writer
    opened = played.begin(draw_clip(tmp_path / "a.mp4", seconds=8.0))
    outcomes = [played.cut(tmp_path / "clip.mp4", t, after_s=0.0) for t in played.steps(opened) if 4.0 < t < 5.0]
    assert played.t > 7.9  # every picture was shown while nothing was written
    refused = [outcome for outcome in outcomes if outcome.done()]
    assert refused
    with pytest.raises(SourceError, match="the disk does not keep up"):
        refused[0].result(0)
    assert clip_writer.size > 0
    let_go.set()
    for outcome in outcomes:
        if outcome not in refused:
            assert outcome.result(PATIENCE_S).bytes == 1
    clip_writer.close(PATIENCE_S)
    assert clip_writer.size == 0


def test_a_fault_of_one_clip_is_not_that_of_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = writer.write_clip
    calls = []

    def breaks_once(material, path: Path) -> CutClip:
        calls.append(path)
        if len(calls) == 1:
            raise ZeroDivisionError
        return real(material, path)

    monkeypatch.setattr(writer, "write_clip", breaks_once)
    clip_writer = ClipWriter()
    played = Played()
    played.recorder._writer = clip_writer
    played.play(draw_clip(tmp_path / "a.mp4", seconds=6.0))
    first, second = (played.cut(tmp_path / f"{n}.mp4", 4.0) for n in range(2))
    with pytest.raises(SourceError) as caught:
        first.result(PATIENCE_S)
    assert caught.value.code == "internal"
    assert second.result(PATIENCE_S).bytes == (tmp_path / "1.mp4").stat().st_size
    clip_writer.close(PATIENCE_S)


def test_decoding_comes_before_showing_and_rises() -> None:
    shown_at = [0, 16, 8, 4, 12, 32, 24, 20, 28]
    order = decoding_order(shown_at)
    assert order == sorted(set(order))
    assert all(dts <= pts for dts, pts in zip(order, shown_at, strict=True))
    assert decoding_order([]) == []


def test_parameter_sets_of_keyframes() -> None:
    start = b"\0\0\0\1"
    sps, pps, idr = b"\x67abc", b"\x68d", b"\x65slice"
    data = start + b"\x09\xf0" + start + sps + b"\0\0\1" + pps + start + idr + start + b"\x67later"
    assert parameter_sets(data, "h264") == (start + sps + start + pps, sps)
    assert parameter_sets(b"\0\0\0\x05" + sps, "h264") == (b"", b"")
    assert parameter_sets(data, "mjpeg") == (b"", b"")
    vps, sps = b"\x40\x01v", b"\x42\x01s"
    assert parameter_sets(start + vps + start + sps + start + b"\x26\x01idr", "hevc") == (
        start + vps + start + sps,
        sps,
    )
    assert parameter_sets(start, "h264") == (b"", b"")


def test_an_order_is_plain_data(tmp_path: Path) -> None:
    assert ClipOrder(tmp_path, 1.0, 2.0, 3.0) == ClipOrder(tmp_path, 1.0, 2.0, 3.0)
