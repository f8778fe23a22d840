"""Where speech begins and ends, by the real VAD, in stream time."""

from __future__ import annotations

import numpy as np
import pytest

from fakes.media.audio import Heard
from fakes.media.speech import (
    RATE,
    beeps,
    co_alarm,
    conversation,
    melody,
    need_speech,
    noise,
    smoke_alarm,
    spoken,
    to_samples,
    tone,
)
from joyvl_server.ingest.audio.analyser import SoundAnalyser
from joyvl_server.ingest.audio.base import (
    ListenSpec,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.ingest.audio.segments import LONGEST_S, PRE_ROLL_S
from joyvl_server.ingest.audio.vad import Vad
from joyvl_server.speech.vad import SileroVad

pytestmark = pytest.mark.processes
"""espeak-ng is one"""


@pytest.fixture(scope="module")
def vad() -> Vad:
    need_speech()
    return SileroVad()


def listen(vad: Vad, wave: np.ndarray, *, starts: float = 0.0, **fields: float) -> Heard:
    """All that is told of it, in pieces of 20 ms, and then its end."""
    heard, samples = Heard(), to_samples(wave)
    vad.reset()
    analyser = SoundAnalyser(ListenSpec(speech=True, **fields), vad, "1.", heard)
    for at in range(0, len(samples), 320):
        analyser.feed(samples[at : at + 320], starts + at / RATE)
    analyser.break_off(lost=False)
    return heard


@pytest.mark.parametrize(("level", "gain"), [(0, 1.0), (30, 1.0), (60, 0.2)])
def test_twenty_sentences_none_missed_and_each_within_150_ms(vad: Vad, level: float, gain: float) -> None:
    words, truth = conversation()
    heard = listen(vad, words * gain + noise(len(words) / RATE, max(level, 1e-9)), starts=100.0)
    began, ended = heard.of(SpeechBegan), heard.of(SpeechEnded)
    assert len(began) == len(ended) == len(heard.of(SpeechLasts)) == len(truth)
    for (onset, end), start, stop in zip(truth, began, ended, strict=True):
        assert start.t - 100.0 == pytest.approx(onset, abs=0.15)
        assert stop.t - 100.0 == pytest.approx(end, abs=0.15)
        assert stop.seconds == pytest.approx(stop.t - start.t)
        assert not stop.lost


def test_its_sound_is_whole_and_begins_before_the_onset(vad: Vad) -> None:
    words, _ = conversation(3)
    samples = to_samples(words + noise(len(words) / RATE, 5))
    heard = listen(vad, samples)
    for began, ended in zip(heard.of(SpeechBegan), heard.of(SpeechEnded), strict=True):
        pieces = [event.audio for event in heard.of(SpeechAudio) if event.id == began.id]
        sound = np.concatenate([piece.samples for piece in pieces])
        starts = [at for at in range(0, len(samples), 512) if np.array_equal(samples[at : at + 512], sound[:512])]
        assert len(starts) == 1
        assert np.array_equal(samples[starts[0] : starts[0] + len(sound)], sound)
        assert 0.3 <= began.t - starts[0] / RATE <= PRE_ROLL_S + 0.1
        assert (starts[0] + len(sound)) / RATE >= ended.t
        assert max(piece.seconds for piece in pieces[1:]) < 0.2


def test_ids_are_never_the_same_and_order_is_kept(vad: Vad) -> None:
    heard = listen(vad, conversation(4)[0])
    assert [event.id for event in heard.of(SpeechBegan)] == ["1.1", "1.2", "1.3", "1.4"]
    for number in range(1, 5):
        kinds = [type(event) for event in heard if event.id == f"1.{number}"]
        assert kinds[:2] == [SpeechBegan, SpeechAudio]
        assert kinds[-1] is SpeechEnded
        assert kinds.count(SpeechLasts) == 1


def test_it_is_told_soon(vad: Vad) -> None:
    """A person who interrupts waits for this."""
    heard, samples = Heard(), np.concatenate([np.zeros(RATE, np.int16), spoken("Stop watching the garden camera now.")])
    vad.reset()
    analyser = SoundAnalyser(ListenSpec(speech=True), vad, "1.", heard)
    at = 0
    while not heard:
        analyser.feed(samples[at : at + 320], at / RATE)
        at += 320
    assert at / RATE - heard[0].t < 0.2


@pytest.mark.parametrize(
    ("what", "wave"),
    [
        ("white noise", lambda: noise(60, 1000)),
        ("soft noise", lambda: noise(60, 20)),
        ("pink noise", lambda: noise(60, 2000, slope=0.5)),
        ("traffic", lambda: noise(60, 3000, slope=1.0)),
        ("a tone", lambda: tone(60, 440)),
        ("hum", lambda: tone(60, 50, 2000) + tone(60, 100, 1500)),
        ("a smoke alarm", lambda: smoke_alarm(60)),
        ("a low one", lambda: smoke_alarm(60, hz=520)),
        ("a CO alarm", lambda: co_alarm(60)),
        ("a lorry", lambda: beeps(60, 1100, 0.5, 1.0)),
        ("clicks", lambda: noise(60, 8000) * (np.arange(60 * RATE) % RATE < 320)),
        ("clipped noise", lambda: noise(60, 200_000)),
        ("silence", lambda: np.zeros(60 * RATE)),
    ],
)
def test_no_speech_is_invented(vad: Vad, what: str, wave) -> None:
    assert listen(vad, wave()) == [], what


def test_of_music_at_most_a_moment(vad: Vad) -> None:
    """It may sound like a voice for a moment: that is no longer than a cough."""
    assert all(event.seconds < 1.0 for seed in range(3) for event in listen(vad, melody(20, seed)).of(SpeechEnded))


def test_speech_in_noise_and_clipped(vad: Vad) -> None:
    words, truth = conversation(5)
    for wave in (words * 30.0, words * 0.5 + noise(len(words) / RATE, 250)):
        assert len(listen(vad, wave).of(SpeechBegan)) == len(truth)


def test_endless_speech_is_cut_without_a_gap_or_an_overlap(vad: Vad) -> None:
    words, _ = conversation(20, gap_s=0.02)
    samples = np.concatenate([words, words])
    heard = listen(vad, samples)
    ids = [event.id for event in heard.of(SpeechBegan)]
    assert len(ids) >= 3
    lengths, joined = [], []
    for speech in ids:
        sound = [event.audio.samples for event in heard.of(SpeechAudio) if event.id == speech]
        lengths.append(sum(map(len, sound)) / RATE)
        joined += sound
    assert max(lengths) <= LONGEST_S
    whole = np.concatenate(joined)
    start = next(at for at in range(0, len(samples), 512) if np.array_equal(samples[at : at + 512], whole[:512]))
    assert np.array_equal(samples[start : start + len(whole)], whole)


def test_a_short_loss_is_silence_and_a_long_one_ends_it(vad: Vad) -> None:
    words = spoken("Please remind me to take my medicine at eight o'clock.")
    half = len(words) // 2
    heard, analyser = Heard(), None
    for lost_s, lost in ((0.3, False), (10.0, True)):
        heard.clear()
        vad.reset()
        analyser = SoundAnalyser(ListenSpec(speech=True), vad, "1.", heard)
        analyser.feed(np.zeros(RATE, np.int16), 0.0)
        analyser.feed(words[:half], 1.0)
        analyser.feed(np.concatenate([words[half:], np.zeros(RATE, np.int16)]), 1.0 + half / RATE + lost_s)
        ended = heard.of(SpeechEnded)
        assert [event.lost for event in ended] == ([True, False] if lost else [False])
        assert ended[-1].t > half / RATE + lost_s


class Loudness:
    """A VAD: what is loud is speech."""

    frame = 800

    def probability(self, samples: np.ndarray) -> float:
        assert samples.shape == (800,)
        return float(np.abs(samples).max() > 1000)

    def reset(self) -> None: ...


def told(*parts: tuple[float, bool], **fields: float) -> list[tuple[type, float]]:
    """What is told of it but its sound. Parts: how long, and whether it is loud."""
    wave = np.concatenate([tone(seconds, 300) * loud for seconds, loud in parts])
    heard = listen(Loudness(), wave, **fields)
    assert {event.id for event in heard} <= {"1.1"}
    return [(type(event), event.t) for event in heard if not isinstance(event, SpeechAudio)]


def test_a_click_is_told_to_pause_before_its_end_is() -> None:
    found = told((1.0, False), (0.2, True), (1.0, False))
    assert [kind for kind, _ in found] == [SpeechBegan, SpeechPauses, SpeechEnded]
    assert [t for _, t in found] == pytest.approx([1.0, 1.2, 1.2], abs=0.06)


def test_each_of_several_clicks_is_judged_alone() -> None:
    kinds = [kind for kind, _ in told((1.0, False), *[(0.2, True), (0.35, False)] * 3, (1.0, False))]
    assert kinds == [SpeechBegan, *[SpeechPauses, SpeechContinues] * 2, SpeechPauses, SpeechEnded]


def test_after_a_pause_it_may_last_and_is_one_sentence() -> None:
    found = told((1.0, False), (0.2, True), (0.35, False), (0.8, True), (0.3, False), (0.8, True), (1.0, False))
    pause = [SpeechPauses, SpeechContinues]
    assert [kind for kind, _ in found] == [SpeechBegan, *pause, SpeechLasts, *pause, SpeechPauses, SpeechEnded]
    assert found[2][1] == pytest.approx(1.55, abs=0.06)


def test_a_vad_of_somebody_else_may_have_other_frames() -> None:
    heard = listen(Loudness(), np.concatenate([np.zeros(RATE), tone(1.0, 300), np.zeros(RATE)]))
    assert [type(event) for event in heard if not isinstance(event, SpeechAudio)] == [
        SpeechBegan, SpeechLasts, SpeechPauses, SpeechEnded
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "doubtful", "begins"), [
    (0.1, False, True), (0.1, True, False), (0.4, True, True),
])  # fmt: skip
def test_a_short_remainder_of_our_own_voice_is_no_speech(seconds: float, doubtful: bool, begins: bool) -> None:
    heard = Heard()
    analyser = SoundAnalyser(ListenSpec(speech=True), Loudness(), "1.", heard)
    analyser.doubtful = doubtful
    analyser.feed(to_samples(np.concatenate([np.zeros(RATE), tone(seconds, 300), np.zeros(RATE)])), 0.0)
    assert bool(heard) is begins
    if begins:
        assert heard[0] == SpeechBegan("1.1", pytest.approx(1.0, abs=0.06)), "its onset is none the later"
