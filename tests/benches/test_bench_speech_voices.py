"""`joyvl bench speech`: how soon voices are heard, and whether they stay small, in short."""

from __future__ import annotations

import numpy as np
import pytest
from bench.speech import long, voices
from bench.speech.playback.spoken import MadePiece, concealed_ms, loud_s, starved_s

from joyvl_server.kit.audio.pcm import Pcm


def piece(came: float, seconds: float, level: int = 1000) -> MadePiece:
    return MadePiece(came, 1, Pcm(np.full(round(seconds * 16_000), level, np.int16), 16_000))


def test_a_voice_that_is_late_leaves_the_playout_without_sound():
    assert starved_s([piece(10.0, 1.0), piece(10.5, 1.0), piece(11.9, 1.0)]) == 0.0
    # The first plays until 11.0; what comes at 11.3 plays until 12.3.
    assert starved_s([piece(10.0, 1.0), piece(11.3, 1.0), piece(12.4, 1.0)]) == pytest.approx(0.3)


def test_what_the_browser_made_up_is_counted_over_two_looks():
    looks = [(0.0, 480.0), (0.1, 480.0), (0.2, 1920.0), (0.3, 2880.0), (0.4, 2880.0)]
    assert concealed_ms(looks) == pytest.approx(50.0)
    assert concealed_ms(looks[:2]) == 0.0


def test_silence_at_both_ends_does_not_count_as_spoken():
    assert loud_s([piece(0.0, 0.5, 0), piece(0.0, 1.0), piece(0.0, 0.5, 0)]) == pytest.approx(1.0, abs=0.02)


@pytest.mark.browser
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_each_voice_is_heard_in_the_browser(speech_env, monkeypatch):
    python, _ = speech_env
    monkeypatch.setattr(voices, "QUICK", 2)
    monkeypatch.setattr(voices, "QUICK_CASES", voices.CASES[:2])
    found = voices.bench_voices(python.parents[1], quick=True)
    assert [(row["voice"], row["load"]) for row in found["rows"]] == [
        ("espeak en", 0.0), ("piper en", 0.0), ("piper en", voices.LOAD),
    ]  # fmt: skip
    assert {name for name, _ in voices.COLUMNS} <= set(found["rows"][0])
    for row in found["rows"]:
        assert row["utterances"] == 2
        assert row["unheard"] == 0
        assert 10 < row["first_p50_ms"] < 60_000
    # What Chromium received are these words; on a machine that is busy some of them break off.
    assert sorted(row["mistakes"] for row in found["rows"])[1] < 0.4, found["rows"]


@pytest.mark.slow
@pytest.mark.parametrize(("voice", "way", "count"), [("espeak", "engines", 24), ("espeak", "session", 16)])
def test_speaking_on_holds_nothing_more(speech_env, voice, way, count):
    python, _ = speech_env
    row = long._row(python.parents[1], voice, way, count)
    assert len(row["main_mb"]) == long.PARTS
    assert max(row["threads"][4:]) <= max(row["threads"][:4]) + 2
    assert max(row["descriptors"][4:]) <= max(row["descriptors"][:4]) + 4
    assert row["growth_kb"] < 4000
