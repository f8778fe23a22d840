"""Taking the playout out of the microphone. The sound is made here, by rule."""

from __future__ import annotations

import numpy as np
import pytest

from joyvl_server.ingest.audio.base import LISTEN_RATE
from joyvl_server.ingest.audio.echo import canceller as echo_module
from joyvl_server.ingest.audio.echo.canceller import (
    LEARN_S,
    STEP,
    TAIL_S,
    HalfDuplex,
    ReferenceCanceller,
    echo_canceller,
)
from joyvl_server.ingest.audio.playout import FRAME, PLAYOUT_RATE
from joyvl_server.kit.audio.pcm import Pcm, Samples
from joyvl_server.kit.audio.resampler import resample

BEGIN = 5000.0
DELAY = 0.1
MIC_FRAME = LISTEN_RATE // 50


def voice(seconds: float, seed: int) -> Samples:
    """Noise that swells and fades as syllables do, at `PLAYOUT_RATE`."""
    random = np.random.default_rng(seed)
    noise = np.convolve(random.normal(size=round(seconds * PLAYOUT_RATE)), np.ones(12) / 12, "same")
    t = np.arange(len(noise)) / PLAYOUT_RATE
    return (9000 * noise * np.clip(np.sin(2 * np.pi * 2.3 * t + seed), 0, 1)).astype(np.int16)


def level(samples: Samples) -> float:
    """dB, of full scale"""
    return 20 * float(np.log10(np.sqrt(np.mean(samples.astype(float) ** 2)) / 32768 + 1e-9))


def at(samples: Samples, begin: float, end: float) -> Samples:
    return samples[round(begin * LISTEN_RATE) : round(end * LISTEN_RATE)]


def through(canceller, playout: Samples, mic: Samples) -> Samples:
    """A frame is played, and 40 ms later the microphone's 20 ms of that moment come."""
    out = []
    for number in range(len(mic) // MIC_FRAME + 2):
        frame = playout[number * FRAME : (number + 1) * FRAME]
        if len(frame) == FRAME and frame.any():
            canceller.played(frame, BEGIN + number * 0.02)
        if number >= 2:
            piece = mic[(number - 2) * MIC_FRAME : (number - 1) * MIC_FRAME]
            out.append(canceller.process(piece, BEGIN + (number - 2) * 0.02))
    return np.concatenate(out)


def microphone(playout: Samples, near: Samples | None = None) -> Samples:
    """The playout, -20 dB and `DELAY` late, and who speaks over it."""
    late = round(DELAY * PLAYOUT_RATE)
    heard = np.concatenate([np.zeros(late), playout[: len(playout) - late]]) * 0.1
    heard += np.random.default_rng(9).normal(size=len(heard)) * 3
    if near is not None:
        heard += near
    return resample(Pcm(heard.astype(np.int16), PLAYOUT_RATE), LISTEN_RATE).samples


@pytest.fixture
def canceller() -> ReferenceCanceller:
    pytest.importorskip("pywebrtc_audio", reason="the echo canceller is an optional package (extra speech)")
    return ReferenceCanceller()


def test_its_own_voice_is_taken_out(canceller):
    playout = voice(12, 1)
    mic = microphone(playout)
    out = through(canceller, playout, mic)
    assert len(out) == len(mic) // MIC_FRAME * MIC_FRAME
    assert level(at(out, 0, LEARN_S)) < -70, "it does not know the way of the echo yet"
    assert level(at(out, 6, 12)) < level(at(mic, 6, 12)) - 15


def test_a_person_who_speaks_over_it_stays(canceller):
    playout = voice(12, 1)
    near = np.zeros(len(playout))
    begin = 8 * PLAYOUT_RATE
    near[begin : begin + 2 * PLAYOUT_RATE] = voice(2, 5)
    out = through(canceller, playout, microphone(playout, near))
    alone = resample(Pcm(near.astype(np.int16), PLAYOUT_RATE), LISTEN_RATE).samples
    assert level(at(out, 8, 10)) > level(at(alone, 8, 10)) - 6
    assert level(at(out, 6, 7.9)) < level(at(out, 8, 10)) - 20


def test_where_there_is_no_echo_a_person_passes_as_they_are(canceller):
    """The canceller alone swallows the first second of what they say."""
    playout = voice(6, 1)
    near = np.zeros(len(playout))
    for begin in (2, 4):
        near[begin * PLAYOUT_RATE : (begin + 1) * PLAYOUT_RATE] = voice(1, 5)
    mic = resample(Pcm(near.astype(np.int16), PLAYOUT_RATE), LISTEN_RATE).samples
    out = through(canceller, playout, mic)
    assert (out[STEP:] == mic[: len(out) - STEP]).all()


def test_who_speaks_before_anything_is_known_of_the_echo_is_heard_soon(canceller):
    playout = voice(3, 1)
    near = voice(3, 5)
    mic = resample(Pcm(near, PLAYOUT_RATE), LISTEN_RATE).samples
    out = through(canceller, playout, mic)
    heard = np.flatnonzero(out)
    assert heard[0] / LISTEN_RATE < 0.5
    assert level(at(out, 0.5, 1.0)) > level(at(mic, 0.5, 1.0)) - 1


def test_where_nothing_was_played_sound_passes_unchanged_10_ms_later(canceller):
    mic = microphone(voice(3, 2))
    out = through(canceller, np.zeros(3 * PLAYOUT_RATE, np.int16), mic)
    assert (out[STEP:] == mic[: len(out) - STEP]).all()


def test_pieces_of_any_length_come_back_as_long(canceller):
    mic = microphone(voice(2, 2))
    random = np.random.default_rng(4)
    position, out = 0, []
    while position < len(mic):
        piece = mic[position : position + int(random.integers(0, 500))]
        out.append(canceller.process(piece, BEGIN + position / LISTEN_RATE))
        assert len(out[-1]) == len(piece)
        position += len(piece)
    assert (np.concatenate(out)[STEP:] == mic[:-STEP]).all()


def test_after_a_loss_of_sound_it_finds_the_place_again(canceller):
    playout = voice(20, 1)
    mic = microphone(playout)
    through_all = []
    for number in range(len(mic) // MIC_FRAME):
        canceller.played(playout[number * FRAME : (number + 1) * FRAME], BEGIN + number * 0.02)
        if number >= 2 and not 400 <= number < 450:  # a second of the microphone is lost
            piece = mic[(number - 2) * MIC_FRAME : (number - 1) * MIC_FRAME]
            through_all.append(canceller.process(piece, BEGIN + (number - 2) * 0.02))
    out = np.concatenate(through_all)
    assert level(at(out, 14, 18)) < level(at(mic, 15, 19)) - 15


def test_half_duplex_is_silent_while_it_plays_and_a_while_after():
    half = HalfDuplex()
    mic = np.full(MIC_FRAME, 500, np.int16)
    assert half.process(mic, BEGIN).all()
    half.played(np.ones(FRAME, np.int16), BEGIN)
    assert not half.process(mic, BEGIN + 0.5).any()
    assert half.process(mic, BEGIN + 0.02 + TAIL_S).all()
    assert "hears nobody" in half.flag


def test_without_the_package_it_is_half_duplex_and_says_so(monkeypatch):
    monkeypatch.setattr(echo_module, "find_spec", lambda name: None)
    assert echo_canceller().flag is not None


def test_what_was_played_stands_at_its_moment_also_after_a_frame_of_silence():
    reference = echo_module._Reference()
    position = round(BEGIN * LISTEN_RATE)
    frames = [np.full(FRAME, 1000 * number, np.int16) for number in range(1, 6)]
    for number in (0, 1, 3, 4):
        reference.write(Pcm(frames[number], PLAYOUT_RATE), position + number * MIC_FRAME)
    middles = [int(reference.read(position + number * MIC_FRAME + MIC_FRAME // 2, 1)[0]) for number in range(5)]
    assert middles == [1000, 2000, 0, 4000, 5000]
    assert not reference.read(position + 6 * MIC_FRAME, MIC_FRAME).any()
    assert not reference.read(position - 10 * MIC_FRAME, MIC_FRAME).any()
