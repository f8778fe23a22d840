"""The benches of speech in a real call, in short: the path works, and what they say is of what was said."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from bench.speech.answers import PARTS, bench_answers
from bench.speech.hearing import bench_hearing
from bench.speech.recording import RATE, Recording, spans

from fakes.media.speech import need_speech


def pieces(recording: Recording, *parts: tuple[int, float, np.ndarray]) -> Recording:
    """`parts`: frame, milliseconds of frame 0 as that piece tells, samples."""
    for frame, began, samples in parts:
        text = base64.b64encode(samples.astype(np.int16).tobytes()).decode()
        recording.add([[frame, began, text, text]])
    return recording


def test_the_quickest_piece_tells_the_time_and_what_is_missing_is_silence() -> None:
    loud, more = np.full(4800, 9000), np.full(2400, 9000)
    recording = pieces(Recording(), (960, 5020.0, loud), (7680, 5000.0, more))
    assert recording.lost_s == pytest.approx(1920 / RATE)
    assert len(recording.sent) == 4800 + 1920 + 2400
    assert recording.seconds == pytest.approx(9120 / RATE)
    assert recording.wall(0) == pytest.approx(5.0 + 960 / RATE)
    assert recording.index(recording.wall(5000)) == 5000
    edges = [edge for span in spans(recording.sent, gap_s=0.02) for edge in span]
    assert edges == pytest.approx([0, 4800, 6720, 9120], abs=130), "smoothed over 5 ms"
    assert [len(spans(recording.sent, gap_s=gap)) for gap in (0.02, 0.1)] == [2, 1]


@pytest.mark.browser
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_hearing(speech_env: tuple[Path, Path]) -> None:
    need_speech()
    result = bench_hearing(speech_env[1].parent, quick=True)
    rows = {(row["what"], row["rate"]): row for row in result["rows"]}
    for language, said in (("en", 3), ("zh", 2)):
        row = rows[f"{language}, all", None]
        assert (row["said"], row["invented"]) == (said, 0), result
        assert row["found"] >= said - 1, result
        assert row["start_p50_ms"] < 500, result
        assert row["mistaken"] < 50, result
    assert rows["10 s of noise and tones", 16_000]["invented"] == 0


@pytest.mark.browser
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_answers(speech_env: tuple[Path, Path]) -> None:
    need_speech()
    *parts, whole = bench_answers(speech_env[1].parent, quick=True)["rows"]
    assert [row["part"] for row in parts] == [name for _, name in PARTS]
    assert sum(row["share"] for row in parts) == pytest.approx(100, abs=1)
    assert 300 < whole["p50_ms"] < 30_000
    assert whole["n"] >= 1
