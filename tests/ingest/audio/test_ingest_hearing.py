"""The thread that listens to a source: what it is told, what it tells, what it does when parts fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from av.audio.frame import AudioFrame

from fakes.media.speech import RATE, noise, to_samples, tone
from fakes.media.told import Told
from fakes.patience import PATIENCE_S, wait_until
from joyvl_server.core.errors import ConfigError
from joyvl_server.ingest.audio import hearing as hearing_module
from joyvl_server.ingest.audio.base import ListenSpec
from joyvl_server.ingest.audio.hearing import MOST_WAITING, Hearing
from joyvl_server.ingest.audio.source_sound import SoundTeller

BOTH = ListenSpec(speech=True, sounds=True)


class LoudVad:
    """Whatever is loud is speech."""

    frame = 512

    def probability(self, samples: np.ndarray) -> float:
        return float(np.abs(samples).max() > 3000)

    def reset(self) -> None: ...


class BrokenVad(LoudVad):
    def probability(self, samples: np.ndarray) -> float:
        raise RuntimeError("a VAD of somebody else")


class Scene:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told = Told()
        self.monkeypatch = monkeypatch
        self.uses(LoudVad)
        self.hearing = Hearing(SoundTeller(self.told), live=True)
        self.t = 0.0

    def uses(self, make: Any) -> None:
        self.monkeypatch.setattr(hearing_module, "load_vad", lambda name: make())

    def hears(self, wave: np.ndarray) -> None:
        samples = to_samples(wave)
        for at in range(0, len(samples), 320):
            frame = AudioFrame.from_ndarray(samples[at : at + 320].reshape(1, -1), "s16", "mono")
            frame.sample_rate = RATE
            self.hearing.feed(frame, self.t, wait=True)
            self.t += frame.samples / RATE
        assert self.hearing.flush(PATIENCE_S)

    @property
    def kinds(self) -> list[str]:
        return [message["kind"] for message in self.told.sounds if message["kind"] != "sound"]

    @property
    def presence(self) -> tuple[bool, str | None]:
        last = [message for message in self.told.sounds if message["kind"] == "hears"][-1]
        return last["hears"], last["error"]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    scene = Scene(monkeypatch)
    yield scene
    scene.hearing.close()
    wait_until(lambda: scene.hearing._thread is None)


def test_nothing_is_analysed_until_somebody_listens(scene: Scene) -> None:
    assert not scene.hearing.wanted
    scene.hears(tone(1.0, 300))
    assert scene.hearing._thread is None
    scene.hearing.listen(ListenSpec(), 1)
    assert scene.hearing._thread is None
    assert scene.told.sounds == []


def test_speech_is_told_with_the_generation_that_was_asked_for(scene: Scene) -> None:
    scene.hearing.listen(BOTH, 7)
    scene.hears(np.concatenate([np.zeros(RATE), tone(1.0, 300), np.zeros(RATE)]))
    assert scene.kinds == ["began", "lasts", "pauses", "ended"]
    assert {message["generation"] for message in scene.told.sounds} == {7}
    assert scene.told.sounds[0]["fields"]["id"] == "7.1"


def test_a_live_source_that_falls_silent_in_mid_sentence_has_broken_off(scene: Scene) -> None:
    scene.hearing.listen(BOTH, 1)
    scene.hears(np.concatenate([np.zeros(RATE), tone(1.0, 300)]))
    wait_until(lambda: "ended" in scene.kinds)
    assert scene.told.sounds[-1]["fields"]["lost"]


def test_without_the_extra_it_says_so_and_sounds_go_on(scene: Scene) -> None:
    def missing() -> LoudVad:
        raise ConfigError("The package onnxruntime is missing. Install the extra `speech`.")

    scene.uses(missing)
    scene.hearing.present(True)
    scene.hearing.listen(BOTH, 1)
    wave = noise(20, 60)
    wave[15 * RATE : 16 * RATE] = noise(1, 9000)
    scene.hears(wave)
    assert scene.presence == (
        True,
        "Speech is not heard. The package onnxruntime is missing. Install the extra `speech`.",
    )
    assert scene.kinds[-1] == "detected"
    scene.hearing.listen(ListenSpec(sounds=True), 2)
    assert scene.presence == (True, None)


def test_a_vad_that_fails_is_given_up_and_sounds_go_on(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.uses(BrokenVad)
    scene.hearing.listen(BOTH, 1)
    wave = noise(20, 60)
    wave[15 * RATE : 16 * RATE] = noise(1, 9000)
    scene.hears(wave)
    assert "could not be analysed" in str(scene.presence[1])
    assert scene.kinds[-1] == "detected"
    assert len(caplog.records) == 1


def test_what_waits_is_bounded(scene: Scene) -> None:
    scene.hearing.listen(BOTH, 1)
    assert scene.hearing.flush(PATIENCE_S)
    frame = AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), "s16", "mono")
    frame.sample_rate = RATE
    with scene.hearing._changed:  # the thread cannot take any
        for number in range(MOST_WAITING + 20):
            scene.hearing.feed(frame, number * 0.02)
        assert len(scene.hearing._items) == MOST_WAITING
    assert scene.hearing.dropped == 20


def test_a_new_wish_replaces_the_old_one_and_nobody_ends_it(scene: Scene) -> None:
    scene.hearing.listen(BOTH, 1)
    scene.hears(np.zeros(RATE))
    thread = scene.hearing._thread
    scene.hearing.listen(ListenSpec(speech=True, wait_s=0.2), 2)
    scene.hears(np.concatenate([tone(0.5, 300), np.zeros(RATE // 2)]))
    assert scene.hearing._thread is thread
    assert {message["generation"] for message in scene.told.sounds} == {2}
    scene.hearing.listen(None, 3)
    wait_until(lambda: scene.hearing._thread is None)
