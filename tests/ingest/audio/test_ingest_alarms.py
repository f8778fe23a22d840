"""Alarms by their pattern, loud noises, long silence: in stream time, much faster than it passes."""

from __future__ import annotations

import numpy as np
import pytest

from fakes.media.audio import Heard
from fakes.media.speech import (
    RATE,
    SENTENCES,
    beeps,
    co_alarm,
    melody,
    need_speech,
    noise,
    smoke_alarm,
    spoken,
    to_samples,
    tone,
)
from joyvl_server.ingest.audio.base import ListenSpec, SoundDetected
from joyvl_server.ingest.audio.sounds import SoundDetector

ALARMS = {"smoke_alarm": smoke_alarm, "co_alarm": co_alarm}


def heard(wave: np.ndarray, spec: ListenSpec | None = None) -> list[tuple[float, SoundDetected]]:
    """(when it was told, what), fed in pieces that fit no block."""
    found: list[tuple[float, SoundDetected]] = []
    samples, at = to_samples(wave), 0
    detector = SoundDetector(spec or ListenSpec(sounds=True), lambda event: found.append((at / RATE, event)))
    for at in range(0, len(samples), 3000):
        detector.feed(samples[at : at + 3000], at / RATE)
    return found


def kinds(wave: np.ndarray) -> set[str]:
    return {event.kind for _, event in heard(wave)}


def echo(seconds: float) -> np.ndarray:
    """The impulse response of a bare place: as much echo as direct sound."""
    n = round(seconds * RATE)
    tail = np.random.default_rng(4).standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    tail /= np.sqrt((tail**2).sum())
    tail[0] += 1.0
    return tail


def convolved(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """As `np.convolve`, by way of the spectrum: a second of echo has 16,000 values."""
    n = len(wave) + len(response) - 1
    return np.fft.irfft(np.fft.rfft(wave, n) * np.fft.rfft(response, n), n)


@pytest.mark.parametrize("kind", ALARMS)
@pytest.mark.parametrize("hz", [520.0, 2900.0, 3100.0, 3400.0])
@pytest.mark.parametrize("tempo", [0.8, 1.0, 1.2])
def test_an_alarm_is_known_within_ten_seconds(kind: str, hz: float, tempo: float) -> None:
    found = heard(ALARMS[kind](17.0, hz=hz, tempo=tempo, begins=5.3) + noise(17.0, 30))
    found = [(told, event) for told, event in found if event.kind != "loud"]
    assert [event.kind for _, event in found] == [kind]
    ((told, event),) = found
    assert event.t == pytest.approx(5.3, abs=0.1)
    assert told - 5.3 < 10.0
    assert -30 < event.level_db < -15


@pytest.mark.parametrize("kind", ALARMS)
@pytest.mark.parametrize("snr_db", [20, 10, 3])
def test_in_noise_as_loud_as_almost_the_alarm(kind: str, snr_db: float) -> None:
    found = heard(
        ALARMS[kind](15.0, begins=4.0) + noise(15.0, 2100 / 10 ** (snr_db / 20), slope=0.5 if snr_db > 5 else 0)
    )
    assert [event.kind for told, event in found if event.kind in ALARMS and told - 4.0 < 10.0] == [kind]


@pytest.mark.parametrize("kind", ALARMS)
@pytest.mark.parametrize("echo_s", [0.3, 0.6, 1.0])
def test_where_it_echoes(kind: str, echo_s: float) -> None:
    wave = convolved(ALARMS[kind](15.0, begins=4.0), echo(echo_s))[: 15 * RATE]
    assert kind in kinds(wave + noise(15.0, 20))


def test_it_is_told_once_and_again_only_after_it_had_stopped() -> None:
    one, pause = smoke_alarm(20.0), noise(25.0, 20)
    found = [event for _, event in heard(np.concatenate([pause, one, pause, one])) if event.kind == "smoke_alarm"]
    assert [round(event.t) for event in found] == [25, 70]


def cadence(hz: float, cycle_s: float, on_s: float, period_s: float, within_s: float) -> np.ndarray:
    """A minute of beeps for `within_s` of each cycle."""
    t = np.arange(60 * RATE) / RATE % cycle_s
    return tone(60, hz) * (t < within_s) * (t % period_s < on_s)


MICROWAVE = np.concatenate([smoke_alarm(3.9), np.zeros(20 * RATE), smoke_alarm(3.9)])
NOTES = sum(np.roll(beeps(60, hz, 0.5, 4.0), n * RATE) for n, hz in enumerate((2700, 3000, 3400)))


@pytest.mark.parametrize(
    ("what", "wave"),
    [
        ("a metronome", beeps(60, 3100, 0.03, 0.5)),
        ("a lorry that reverses", beeps(60, 3000, 0.5, 1.0)),
        ("a timer", beeps(60, 3000, 0.1, 0.2)),
        ("a phone, European", beeps(60, 3100, 1.0, 5.0)),
        ("a phone, British", cadence(3100, 3.0, 0.4, 0.6, 1.0)),
        ("an oven that is ready", MICROWAVE),
        ("four slow beeps and a pause", cadence(3100, 5.0, 0.5, 1.0, 3.5)),
        ("three quick beeps and a pause", cadence(3100, 5.5, 0.1, 0.2, 0.5)),
        ("a steady tone", tone(60, 3100)),
        ("three notes that differ", NOTES),
        ("white noise", noise(60, 3000)),
    ],
)
def test_other_beeps_are_no_alarms(what: str, wave: np.ndarray) -> None:
    assert not kinds(wave) & set(ALARMS), what


@pytest.mark.processes
def test_ten_minutes_of_speech_and_music_are_no_alarm() -> None:
    need_speech()
    speech = np.concatenate([spoken(text) for text in SENTENCES])
    speech = np.resize(speech, 300 * RATE).astype(float)
    music = sum(melody(300, seed, base_hz=hz) for seed, hz in enumerate((131.0, 262.0, 523.0, 1397.0, 2637.0)))
    drums = noise(300, 1500) * (np.arange(300 * RATE) / RATE % 0.5 < 0.05)
    assert not kinds(np.concatenate([speech, music + drums, speech[: 60 * RATE] + music[: 60 * RATE] / 3])) & set(
        ALARMS
    )


def test_a_bang_is_loud_and_told_once() -> None:
    wave = noise(60, 60)
    wave[30 * RATE : 30 * RATE + RATE // 2] = noise(0.5, 9000)
    wave[31 * RATE : 31 * RATE + RATE // 2] = noise(0.5, 9000)
    found = heard(wave)
    assert [event.kind for _, event in found] == ["loud"]
    assert found[0][1].t == pytest.approx(30.0, abs=0.2)
    assert found[0][1].level_db == pytest.approx(-11, abs=3)


def test_where_it_is_always_loud_nothing_is() -> None:
    assert heard(noise(60, 6000) * (1 + 0.5 * np.sin(np.arange(60 * RATE) / RATE))) == []


def test_a_whisper_in_a_silent_place_is_not_loud() -> None:
    wave = noise(60, 3)
    wave[30 * RATE : 33 * RATE] = noise(3, 300)
    assert heard(wave) == []


def test_silence_where_there_is_usually_sound() -> None:
    spec = ListenSpec(sounds=True, silence_s=60.0)
    busy = noise(400, 20) + noise(400, 600) * (np.arange(400 * RATE) / RATE % 20 < 4)
    found = [event for _, event in heard(np.concatenate([busy, noise(200, 20), busy, noise(100, 20)]), spec)]
    assert [event.kind for event in found] == ["quiet", "quiet"]
    assert found[0].t == pytest.approx(400, abs=25)
    assert found[1].t == pytest.approx(1000, abs=25)


def test_where_it_is_usually_silent_silence_is_nothing() -> None:
    wave = noise(900, 20)
    wave[100 * RATE : 103 * RATE] = noise(3, 600)
    assert heard(wave, ListenSpec(sounds=True, silence_s=60.0)) == []


def test_what_was_not_heard_was_not_silent() -> None:
    told = Heard()
    detector = SoundDetector(ListenSpec(sounds=True, silence_s=60.0), told)
    busy = to_samples(noise(300, 20) + noise(300, 600) * (np.arange(300 * RATE) / RATE % 20 < 4))
    detector.feed(busy, 0.0)
    detector.break_off()
    detector.feed(busy, 1000.0)
    assert told == []
