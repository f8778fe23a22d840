"""The sound of a source that a test plays by hand, and a listener's list of what it was told."""

from __future__ import annotations

from typing import Any

import numpy as np

from joyvl_server.ingest.audio.base import AudioEvent, AudioListener, ListenSpec, SoundPresence
from joyvl_server.kit.audio.pcm import Pcm


class FakeAudio:
    """`tells` hands an event to who listens. `played`: (epoch, audio, last); `orders`: (what, epoch) in order."""

    def __init__(self, *, hears: bool = True, plays: bool = True, free_s: float = 20.0) -> None:
        self.hears, self.plays, self.free_s = hears, plays, free_s
        self.spec: ListenSpec | None = None
        self.on_event: AudioListener | None = None
        self.played: list[tuple[int, Pcm, bool]] = []
        self.orders: list[tuple[str, int]] = []

    def listen(self, spec: ListenSpec | None, on_event: AudioListener | None) -> None:
        self.spec, self.on_event = spec, on_event

    def tells(self, event: AudioEvent) -> None:
        if isinstance(event, SoundPresence):
            self.hears, self.plays = event.hears, event.plays
        if self.on_event is not None:
            self.on_event(event)

    def play(self, epoch: int, audio: Pcm, *, last: bool = False) -> None:
        self.played.append((epoch, audio, last))
        self.orders.append(("play", epoch))

    def hold(self, epoch: int) -> None:
        self.orders.append(("hold", epoch))

    def resume(self, epoch: int) -> None:
        self.orders.append(("resume", epoch))

    def cut(self, epoch: int) -> None:
        self.orders.append(("cut", epoch))

    def seconds_of(self, epoch: int) -> float:
        return sum(audio.seconds for number, audio, _ in self.played if number == epoch)


class Heard(list[Any]):
    """A listener that keeps what it was told."""

    def __call__(self, event: AudioEvent) -> None:
        self.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


def silence(seconds: float, rate: int = 16_000) -> Pcm:
    return Pcm(np.zeros(round(seconds * rate), np.int16), rate)
