from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.fidelity import (
    COLUMNS,
    Viewer,
    bench_fidelity,
    every_second,
    labelled,
    painted,
)
from bench.still_scene import CameraNoise, still_room

from fakes.media.video import draw_clip
from fakes.patience import LONG_FORM
from joyvl_server.core.errors import SourceError
from joyvl_server.core.prompt.turns import Look

VIDEOS = ("people-one-by-one.mp4", "bottles.mp4")
STILL_S = 600 if LONG_FORM else 200
NOISE_S = 300 if LONG_FORM else 75


def test_a_short_still_room_and_no_clips():
    result = bench_fidelity(still_s=40)
    assert result["image_token_ratio_clips"] is None
    adaptive, eco = result["rows"]
    assert [row["fidelity"] for row in result["rows"]] == ["adaptive", "eco"]
    assert adaptive["ticks"] == eco["ticks"] == 40
    assert adaptive["full"] + adaptive["glances"] + adaptive["skipped"] == 40
    assert result["image_token_ratio_still_eco"] < result["image_token_ratio_still"] < 0.4
    assert all(key in adaptive for key, _ in COLUMNS)


@pytest.mark.slow
@pytest.mark.aside
def test_ten_minutes_of_a_still_room_cost_a_fifth():
    """Ten with JOYVL_LONG=1, else the first few of them."""
    result = bench_fidelity(still_s=STILL_S)
    assert result["rows"][0]["ticks"] == STILL_S
    assert result["image_token_ratio_still"] <= 0.20
    assert result["image_token_ratio_still_eco"] <= 0.10


@pytest.mark.slow
@pytest.mark.aside
@pytest.mark.parametrize(
    "noise",
    [CameraNoise(grain=10), CameraNoise(crf=38), CameraNoise(drift=0.3), CameraNoise(grain=1, crf=20)],
    ids=str,
)
def test_other_noise_light_and_compression_do_too(noise: CameraNoise):
    viewer = Viewer("adaptive")
    for frame in painted(enumerate(still_room(NOISE_S, 11, noise))):
        viewer.look(frame)
    assert viewer.ratio <= 0.20


@pytest.mark.slow
@pytest.mark.aside
@pytest.mark.clips
@pytest.mark.parametrize("phase", [0.0, 0.25, 0.4, 0.75])
@pytest.mark.parametrize("video", VIDEOS)
def test_every_event_of_the_clips_is_in_a_full_look(clips: Path, video: str, phase: float):
    ((path, events),) = [item for item in labelled(clips) if item[0].name == video]
    viewer = Viewer("adaptive", skips=False)
    for frame in painted(every_second(path, phase)):
        viewer.look(frame)
    assert viewer.looks[Look.SKIP] == []
    assert len(viewer.looks[Look.FULL]) + len(viewer.looks[Look.GLANCE]) >= 39
    missed = [e for e in events if not any(abs(t - e) <= 1.0 for t in viewer.looks[Look.FULL])]
    assert missed == []
    assert viewer.ratio <= 0.70


def test_a_clip_is_looked_at_once_a_second(tmp_path: Path):
    clip = draw_clip(tmp_path / "a.mp4", fps=10, seconds=4.0)
    times = [t for t, _ in every_second(clip)]
    assert times == pytest.approx([0, 1, 2, 3])
    assert [t for t, _ in every_second(clip, 0.55)] == pytest.approx([0.5, 1.5, 2.5, 3.5])


def test_a_folder_with_labels_is_measured(tmp_path: Path):
    draw_clip(tmp_path / "a.mp4", fps=10, seconds=4.0)
    item = {"video_name": "a.mp4", "response": [{"content": "It begins.", "time": "0.5"}], "departures": [900.0]}
    (tmp_path / "labels.json").write_text(json.dumps([item]))
    result = bench_fidelity(tmp_path, still_s=12)
    row = result["rows"][0]
    assert (row["footage"], row["ticks"], row["skipped"]) == ("a.mp4", 4, 0)
    assert (row["events"], row["events_in_full_look"]) == (2, 1)
    assert result["image_token_ratio_clips"] == row["ratio"] > 0


@pytest.mark.parametrize("labels", [None, "no json", "[{}]", '[{"video_name": "a", "response": [{"time": "soon"}]}]'])
def test_labels_that_cannot_be_read_are_told(tmp_path: Path, labels: str | None):
    if labels is not None:
        (tmp_path / "labels.json").write_text(labels)
    with pytest.raises(SourceError, match=r"labels\.json") as error:
        bench_fidelity(tmp_path, still_s=2)
    assert error.value.code == "not_found"


def test_a_clip_that_is_not_there_is_told(tmp_path: Path):
    (tmp_path / "labels.json").write_text('[{"video_name": "gone.mp4", "response": []}]')
    with pytest.raises(SourceError, match=r"gone\.mp4"):
        bench_fidelity(tmp_path, still_s=2)
