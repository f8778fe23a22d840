"""Clips cut out of material of our own: which packets, which times, what is said where something is missing."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from fakes.media.clips import Played, look_into, remux
from fakes.media.video import draw_clip, draw_talking, join
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.worker.clips import ring
from joyvl_server.ingest.worker.clips.limits import ClipLimits


@pytest.mark.parametrize("bframes", [0, 2])
def test_a_clip_begins_with_a_keyframe_and_keeps_every_picture(tmp_path: Path, bframes: int) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=12.0, gop=25, bframes=bframes, scene_cuts=False)
    played = Played()
    outcome = None
    for t in played.steps(played.begin(path)):
        if t >= 7.5 and outcome is None:
            outcome = played.cut(tmp_path / "out" / "clip.mp4", 7.5)
            assert not outcome.done()
    assert outcome is not None
    clip = outcome.result(0)
    assert (clip.codec, clip.reason) == ("h264", "")
    assert clip.start == pytest.approx(3.0, abs=0.05)  # the keyframe before 3.5
    seen = look_into(tmp_path / "out" / "clip.mp4")
    assert seen.first_is_key
    assert seen.times[0] == 0.0
    assert max(seen.steps) - min(seen.steps) < 0.002
    assert clip.seconds == pytest.approx(6.5, abs=0.13)
    assert len(seen.times) == pytest.approx(clip.seconds * 25 + 1, abs=0.1)
    assert clip.bytes == (tmp_path / "out" / "clip.mp4").stat().st_size
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["clip.mp4"]


def test_pictures_are_copied_not_encoded_again(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=6.0, bframes=2)
    Played().play(path).cut(tmp_path / "clip.mp4", 4.0, 3.0, 1.0).result(0)

    def packets(file: Path) -> list[bytes]:
        with av.open(str(file)) as container:
            return [bytes(packet) for packet in container.demux(video=0) if packet.size]

    ours, theirs = packets(tmp_path / "clip.mp4"), packets(path)
    assert ours == theirs[25 : 25 + len(ours)]
    assert len(ours) > 90


def test_h265_is_kept_and_the_clip_says_that_browsers_may_not_play_it(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", codec="libx265", seconds=6.0)
    clip = Played().play(path).cut(tmp_path / "clip.mp4", 4.0, 3.0, 1.0).result(0)
    assert (clip.codec, clip.reason) == ("hevc", "It is H.265, which many browsers do not play.")
    seen = look_into(tmp_path / "clip.mp4")
    assert (seen.codec, seen.tag) == ("hevc", "hvc1")
    assert max(seen.steps) < 0.042


SOUNDS = [
    ("aac", "a.mp4", "aac"),
    ("libopus", "a.mkv", "opus"),
    ("pcm_mulaw", "a.mov", "aac"),
    ("pcm_s16le", "a.mkv", "aac"),
]


@pytest.mark.parametrize(("codec", "name", "kept"), SOUNDS)
def test_sound_is_copied_where_browsers_play_it_else_it_becomes_aac(
    tmp_path: Path, codec: str, name: str, kept: str
) -> None:
    tone = (8000 * np.sin(np.arange(16_000 * 8) * 0.3)).astype(np.int16)
    rate = {"libopus": 48_000, "pcm_mulaw": 8_000}.get(codec, 16_000)
    path = draw_talking(tmp_path / name, tone, codec=codec, rate=rate, fps=10)
    played = Played()
    opened = played.begin(path)
    for t in played.steps(opened):
        if t > 6.6:
            break
    clip = played.cut(tmp_path / "clip.mp4", 5.0, 4.0, 1.0).result(0)
    assert clip.reason in ("", "It begins 5.0 s before the picture.")
    seen = look_into(tmp_path / "clip.mp4")
    assert seen.sound is not None
    assert seen.sound.startswith(kept)
    assert seen.sound_s == pytest.approx(clip.seconds, abs=0.4)
    assert abs(seen.sound_start) < 0.1


def test_a_keyframe_each_half_minute_is_where_the_clip_begins(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", fps=5, seconds=45.0, gop=150, scene_cuts=False)
    clip = Played().play(path).cut(tmp_path / "clip.mp4", 40.0).result(0)
    assert clip.start == pytest.approx(30.0, abs=0.3)
    assert clip.reason == ""
    late = Played().play(path, until=35.0).cut(tmp_path / "late.mp4", 31.0).result(0)
    assert late.start == pytest.approx(0.0, abs=0.3)


def test_a_camera_that_sends_no_keyframes_gets_a_sentence(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", fps=5, seconds=60.0, gop=10_000, scene_cuts=False)
    played = Played(ClipLimits(10.0, 30.0, 32 << 20)).play(path)
    with pytest.raises(SourceError) as caught:
        played.cut(tmp_path / "clip.mp4", 55.0).result(0)
    assert caught.value.code == "no_keyframe"
    assert str(caught.value) == "There is no clip: the camera sends keyframes too rarely for clips."
    assert played.recorder.size == 0
    assert not (tmp_path / "clip.mp4").exists()


def test_the_first_seconds_have_what_there_is(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=6.0)
    clip = Played().play(path).cut(tmp_path / "clip.mp4", 1.5).result(0)
    assert clip.reason == "It begins 1.5 s before the picture: there is no keyframe before."


def test_a_clock_that_jumps_ends_the_clip_there_and_the_next_one_begins_there(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.ts", seconds=8.0)
    jumped = join(tmp_path / "b.ts", [path, draw_clip(tmp_path / "c.ts", seconds=8.0)])
    played = Played()
    opened = played.begin(jumped)
    outcome, last = None, 0.0
    for number, frame in enumerate(opened_frames(played, opened)):
        last = number / 25
        played.recorder.placed(frame, last)
        if outcome is None and last > 7.5:
            outcome = played.cut(tmp_path / "before.mp4", 7.5)
    assert outcome is not None
    before = outcome.result(0)
    assert before.reason.endswith("after the picture: the camera's clock jumped.")
    after = played.cut(tmp_path / "after.mp4", 9.0).result(0)
    assert after.start == pytest.approx(8.0, abs=0.1)
    assert after.reason.startswith("It begins 1.")
    assert after.reason.endswith("before the picture: the camera's clock jumped.")
    for name in ("before", "after"):
        assert max(look_into(tmp_path / f"{name}.mp4").steps) < 0.05


def opened_frames(played: Played, opened):
    from joyvl_server.ingest.worker.opening import frames

    return frames(opened, kept=played.recorder)


def test_another_size_is_another_clip(tmp_path: Path) -> None:
    parts = [draw_clip(tmp_path / f"{w}.ts", size=(w, 96), seconds=6.0) for w in (128, 256)]
    played = Played()
    opened = played.begin(join(tmp_path / "both.ts", parts))
    for number, frame in enumerate(opened_frames(played, opened)):
        played.recorder.placed(frame, number / 25)
    small = played.cut(tmp_path / "small.mp4", 5.5).result(0)
    large = played.cut(tmp_path / "large.mp4", 7.0).result(0)
    assert "after the picture: " in small.reason
    assert "before the picture: " in large.reason
    assert look_into(tmp_path / "small.mp4").size == (128, 96)
    assert look_into(tmp_path / "large.mp4").size == (256, 96)


def test_packets_that_are_missing_cost_no_clip(tmp_path: Path) -> None:
    path = remux(draw_clip(tmp_path / "a.mp4", seconds=8.0), tmp_path / "b.mp4", drop=range(110, 117))
    clip = Played().play(path).cut(tmp_path / "clip.mp4", 6.0).result(0)
    assert clip.reason == ""
    seen = look_into(tmp_path / "clip.mp4")
    assert max(seen.steps) == pytest.approx(0.32, abs=0.05)  # a hole, at its own time
    assert seen.times[-1] == pytest.approx(clip.seconds, abs=0.05)


def test_packets_of_garbage_cost_no_clip(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.ts", seconds=8.0)
    data = bytearray(path.read_bytes())
    for at in range(188 * 60, len(data) - 188 * 60, 188 * 20):
        data[at + 60 : at + 120] = bytes((at * 7 + i) % 256 for i in range(60))
    (tmp_path / "b.ts").write_bytes(data)
    clip = Played().play(tmp_path / "b.ts").cut(tmp_path / "clip.mp4", 6.0).result(0)
    assert clip.bytes == (tmp_path / "clip.mp4").stat().st_size
    assert not list(tmp_path.glob("*.part"))


def test_what_mp4_cannot_hold_is_said(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.webm", codec="libvpx", seconds=4.0)
    with pytest.raises(SourceError, match="MP4 cannot hold vp8, which this source sends") as caught:
        Played().play(path).cut(tmp_path / "clip.mp4", 3.0).result(0)
    assert caught.value.code == "bad_clip"


def test_motion_jpeg_is_kept_with_a_word(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.avi", codec="mjpeg", seconds=5.0)
    clip = Played().play(path).cut(tmp_path / "clip.mp4", 4.0, 3.0, 0.5).result(0)
    assert clip.reason == "It is motion JPEG, which many browsers do not play."
    assert len(look_into(tmp_path / "clip.mp4").times) > 80


def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=4.0)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SourceError, match="There is no clip: it could not be written") as caught:
        Played().play(path).cut(tmp_path / "file" / "clip.mp4", 3.0).result(0)
    assert caught.value.code == "not_written"
    assert str(tmp_path) not in str(caught.value)


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=4.0)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip.mp4.part").symlink_to("/dev/full")
    with pytest.raises(SourceError, match="There is no clip: the disk is full") as caught:
        Played().play(path).cut(tmp_path / "out" / "clip.mp4", 3.0).result(0)
    assert caught.value.code == "no_room"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_camera_whose_clock_leaps_ahead_ends_the_clip_there(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mp4", seconds=10.0, scene_cuts=False)
    played = Played(live=True)
    opened = played.begin(remux(path, tmp_path / "b.mp4", shift=(175, 60.0)))
    outcome = None
    for number, frame in enumerate(opened_frames(played, opened)):
        played.recorder.placed(frame, number / 25)
        if number == 170:
            outcome = played.cut(tmp_path / "clip.mp4", number / 25)
    assert outcome is not None
    clip = outcome.result(0)
    assert clip.reason == "It ends 0.2 s after the picture: the camera's clock jumped."
    after = played.cut(tmp_path / "after.mp4", 8.0, 4.0, 0.5).result(0)
    assert after.start == pytest.approx(7.0, abs=0.05)
    assert after.reason == "It begins 1.0 s before the picture: the camera's clock jumped."


def test_a_stream_nobody_thought_of_costs_its_clips_not_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    path = draw_clip(tmp_path / "a.mp4", seconds=4.0)
    played = Played()
    monkeypatch.setattr(ring.PacketRing, "take_picture", breaks)
    assert len(list(played.steps(played.begin(path)))) == 100
    with pytest.raises(SourceError, match="There is no clip"):
        played.cut(tmp_path / "clip.mp4", 3.0).result(0)
    monkeypatch.undo()
    played.play(path)
    assert played.cut(tmp_path / "clip.mp4", 7.0).result(0).bytes > 0
