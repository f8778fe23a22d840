"""Is there an echo? With an echo, without one, and with people who speak meanwhile. The sound is made here, by rule."""

from __future__ import annotations

import numpy as np
import pytest

from joyvl_server.ingest.audio.base import LISTEN_RATE
from joyvl_server.ingest.audio.echo.presence import (
    FOLLOWS_S,
    GONE_AFTER_S,
    LONGEST_DELAY_S,
    NONE_AFTER_S,
    PERSON_AFTER_S,
    EchoPresence,
)

STEP = LISTEN_RATE // 50


def voice(seconds: float, seed: int) -> np.ndarray:
    """Noise that swells and fades as syllables do."""
    chance = np.random.default_rng(seed)
    t = np.arange(round(seconds * LISTEN_RATE)) / LISTEN_RATE
    return 4000 * chance.normal(size=len(t)) * np.clip(np.sin(2 * np.pi * 2.3 * t + seed), 0.05, 1)


def echo(played: np.ndarray, delay_s: float = 0.1, gain: float = 0.1) -> np.ndarray:
    late = round(delay_s * LISTEN_RATE)
    return gain * np.concatenate([np.zeros(late), played[: len(played) - late]])


def quiet(seconds: float) -> np.ndarray:
    return np.random.default_rng(9).normal(size=round(seconds * LISTEN_RATE)) * 3


class Scene:
    def __init__(self) -> None:
        self.presence = EchoPresence()
        self._played = np.zeros(LISTEN_RATE, np.int16)

    def hears(self, near: np.ndarray, played: np.ndarray) -> list[tuple[bool | None, bool]]:
        """`found` and `person` after each 20 ms."""
        states = []
        for at in range(0, len(near) - STEP, STEP):
            self._played = np.concatenate([self._played, played[at : at + STEP].astype(np.int16)])[-LISTEN_RATE:]
            self.presence.feed(near[at : at + STEP].astype(np.int16), lambda count: self._played[-count:])
            states.append((self.presence.found, self.presence.person))
        return states


def after(states: list[tuple[bool | None, bool]], wanted: tuple[bool | None, bool]) -> float:
    """Seconds until it first was so."""
    return states.index(wanted) * 0.02


@pytest.mark.parametrize("delay", [0.03, 0.1, 0.5])
@pytest.mark.parametrize("gain", [0.02, 0.1, 1.0])
def test_an_echo_is_found_soon_and_is_never_taken_for_a_person(delay: float, gain: float) -> None:
    played = voice(6, 1)
    states = Scene().hears(echo(played, delay, gain) + quiet(6), played)
    assert after(states, (True, False)) < delay + 0.7
    assert not any(person for _, person in states)
    assert states[-1] == (True, False)


def test_where_the_microphone_stays_quiet_there_is_none() -> None:
    scene = Scene()
    states = scene.hears(quiet(3), voice(3, 1))
    assert after(states, (False, True)) < LONGEST_DELAY_S + 2 * NONE_AFTER_S
    assert scene.hears(voice(1, 5) + quiet(1), voice(1, 2))[-1] == (False, True)


def test_a_person_who_speaks_from_the_first_word_on_is_heard() -> None:
    states = Scene().hears(voice(1, 5) + quiet(1), voice(1, 1))
    assert after(states, (None, True)) <= PERSON_AFTER_S + 0.2
    assert all(found is None for found, _ in states)


def test_before_anything_was_played_nothing_is_known() -> None:
    states = Scene().hears(voice(2, 5), np.zeros(2 * LISTEN_RATE))
    assert set(states) == {(None, False)}


def test_an_echo_that_begins_later_is_found_and_one_that_ends_is_forgotten() -> None:
    scene, played = Scene(), voice(3, 1)
    assert scene.hears(quiet(3), played)[-1] == (False, True)
    states = scene.hears(echo(played) + quiet(3), played)
    assert after(states, (True, False)) < 0.8
    states = scene.hears(quiet(8), voice(8, 2))
    assert GONE_AFTER_S - 0.5 < after(states, (False, True)) < GONE_AFTER_S + 2


def test_an_echo_unlike_the_playout_is_found_because_it_always_comes_with_it() -> None:
    played = voice(9, 1)
    loudness = np.convolve(np.abs(played), np.ones(800) / 800, "same")
    states = Scene().hears(0.2 * loudness * np.random.default_rng(3).normal(size=len(played)) + quiet(9), played)
    assert FOLLOWS_S - 0.2 < after(states, (True, False)) < 8


def test_who_interrupts_now_and_then_is_no_echo() -> None:
    scene = Scene()
    scene.hears(quiet(3), voice(3, 1))
    for seed in range(2, 8):
        states = scene.hears(voice(0.5, 20 + seed) + quiet(0.5), voice(0.5, seed))
        states += scene.hears(quiet(3), np.concatenate([np.zeros(LISTEN_RATE), voice(2, seed)]))
        assert set(states) == {(False, True)}


def test_noise_that_is_always_there_is_no_sound() -> None:
    scene = Scene()
    hiss = np.random.default_rng(4).normal(size=8 * LISTEN_RATE) * 200
    scene.hears(hiss, voice(8, 1))
    assert not scene.presence.audible(hiss[:STEP].astype(np.int16))
    assert scene.presence.audible((20 * hiss[:STEP]).astype(np.int16))
