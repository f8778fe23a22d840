"""One interruption in a recording of a call: when it fell silent, where in the text that was, when it went on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.speech.interrupting.talk import REFERENCE_RATE, Spoken, Talk
from bench.speech.recording import RATE, Recording
from joyvl_server.kit.audio.pcm import Pcm, Samples
from joyvl_server.kit.audio.resampler import resample

SILENT_S = 0.7
"""pauses within what is said are shorter"""
HELD_S = 0.15
"""silence by which one sees that it was held; between words it is shorter"""
SPOKE_S = 0.2
"""so shortly before the trial there must have been sound"""
LATEST_S = 2.5
PAUSE_S = 0.1
QUIET_SHARE = 0.2
"""sound in a stretch that is a pause: the edges of the words beside it"""
MATCH_S = 0.8
SURE = 0.5
"""correlation from which the place in the text is certain; a wrong one has 0.1 to 0.3"""

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Loud = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Interruption:
    """`silent_ms`: from the first sample of speech sent until silence was received. Words: how many were received,
    stand in the history, and in the next prompt; None where that could not be found out. `last`: the last received."""

    silent_ms: float
    played_words: int | None
    history_words: int | None
    prompt_words: int | None
    last: str


@dataclass(frozen=True, slots=True)
class Resumption:
    """`resumed_ms`: from the end of the click until it was heard again. `lost_ms`: of its speech, between.
    `in_pause`: it was held where it says nothing anyway, so how soon it went on cannot be heard."""

    resumed_ms: float
    lost_ms: float | None
    in_pause: bool


def measure_words(recording: Recording, talk: Talk, begin: float, end: float) -> Interruption | None:
    """None where nothing was being said, or it did not fall silent."""
    spoken = talk.at(recording.wall(begin))
    loud = loudness(recording)
    first = int(begin)
    if spoken is None or not loud[first - round(SPOKE_S * RATE) : first].any():
        return None
    last = _last_before_silence(loud, first, SILENT_S)
    if last is None:
        return None
    position = _position(recording, spoken, last, before=True)
    history, prompt = talk.heard(spoken.epoch), talk.told_heard(spoken.epoch)
    said = [word for word in spoken.words if position is not None and (word.begin + word.end) / 2 <= position]
    return Interruption(
        1000 * (last - begin) / RATE,
        None if position is None else sum(len(word.text.split()) for word in said),
        None if history is None else len(history.split()),
        None if prompt is None else len(prompt.split()),
        said[-1].text if said else "",
    )


def measure_click(recording: Recording, talk: Talk, begin: float, end: float) -> Resumption | None:
    """None where it was not held, or did not go on."""
    spoken = talk.at(recording.wall(begin))
    loud = loudness(recording)
    held = talk.noticed("held", recording.wall(begin), recording.wall(end) + LATEST_S)
    last = _last_before_silence(loud, int(begin), HELD_S) if held else None
    if spoken is None or last is None:
        return None
    after = np.flatnonzero(loud[last + 1 : last + round(LATEST_S * RATE)])
    if not len(after):
        return None
    again = last + 1 + int(after[0])
    before, behind = (_position(recording, spoken, at, before=at == last) for at in (last, again))
    resumed = 1000 * (again - end) / RATE
    if before is None or behind is None:
        return Resumption(resumed, None, in_pause=False)
    pause = behind - before > PAUSE_S and _is_quiet(spoken, before, behind)
    return Resumption(resumed, 0.0 if pause else 1000 * (behind - before), pause)


def _is_quiet(spoken: Spoken, begin: float, end: float) -> bool:
    between = spoken.sound[round(begin * REFERENCE_RATE) : round(end * REFERENCE_RATE)]
    return bool(loud_samples(between, spoken.sound).mean() < QUIET_SHARE)


def loudness(recording: Recording) -> Loud:
    """Per sample received: is there sound?"""
    return loud_samples(recording.received, recording.received, RATE)


def loud_samples(samples: Samples, whole: Samples, rate: int = REFERENCE_RATE) -> Loud:
    """Per sample: is there sound, beside the loudest of the `whole` that it is a part of?"""
    width = rate // 200
    level = np.convolve(np.abs(samples.astype(np.float32)), np.ones(width, np.float32) / width, "same")
    loudest = float(np.abs(whole.astype(np.float32)).max(initial=0.0))
    return np.asarray(level > max(20.0, 0.01 * loudest))


def _last_before_silence(loud: Loud, first: int, seconds: float) -> int | None:
    """The last sample with sound, from shortly before `first` on, after which it is silent for so long."""
    begin = first - round(SPOKE_S * RATE)
    sounds = np.flatnonzero(loud[begin : first + round((LATEST_S + seconds) * RATE)])
    if not len(sounds):
        return None
    ends = sounds[:-1][(np.diff(sounds) > seconds * RATE) & (sounds[:-1] >= first - begin)]
    last = begin + int(ends[0] if len(ends) else sounds[-1])
    return last if last <= first + LATEST_S * RATE else None


def _position(recording: Recording, spoken: Spoken, at: int, *, before: bool) -> float | None:
    """The place in the utterance, in seconds, of the received sample `at`, by what came just before it or after."""
    size = round(MATCH_S * RATE)
    piece = recording.received[at - size : at] if before else recording.received[at : at + size]
    near = resample(Pcm(piece, RATE), REFERENCE_RATE).samples.astype(np.float32)
    matched, place = match(near, spoken.sound.astype(np.float32))
    if matched < SURE:
        return None
    return (place + (len(near) if before else 0)) / REFERENCE_RATE


def match(piece: Floats, whole: Floats) -> tuple[float, int]:
    """Where in `whole` the piece is: normalised correlation, and the place of its first sample."""
    size = 1 << (len(whole) + len(piece)).bit_length()
    products = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(piece, size)), size)[: len(whole)]
    energies = np.concatenate(([0.0], np.cumsum(np.concatenate((whole, np.zeros(len(piece)))).astype(np.float64) ** 2)))
    there = energies[len(piece) : len(piece) + len(whole)] - energies[: len(whole)]
    scores = products / np.sqrt(np.maximum(there, 0.01 * float(there.max())) * float(np.sum(piece**2)) + 1e-9)
    place = int(np.argmax(scores))
    return float(scores[place]), place
