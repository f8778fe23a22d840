"""Plays the shell and the engine for one observer, a second at a time."""

from collections.abc import Iterable
from typing import Any, TypeVar

from fakes.frames import make_frame
from joyvl_server.core.events import (
    Effect,
    EngineFailed,
    QueryAsked,
    SaidDone,
    Score,
    Scored,
    TextDelta,
    Tick,
    WatchesChanged,
)
from joyvl_server.core.observer import Observer, ObserverConfig, State
from joyvl_server.core.watches import Watch, book
from joyvl_server.core.zones import Box, Zone

DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))
GUEST = Watch("guest", "guest", "Tell me when someone comes", zones=("door",))
AT_DOOR, ELSEWHERE = Box(0.1, 0.4, 0.2, 0.6), Box(0.8, 0.4, 0.9, 0.6)
CAME = "A man came in through the door."

E = TypeVar("E")


def only(effects: Iterable[Effect], kind: type[E]) -> E:
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


class Shell:
    """Plays the shell and the engine: one second at a time."""

    def __init__(self, **config: Any) -> None:
        self.observer = Observer(ObserverConfig(**config))
        self.step = 0

    def tick(self, t: float, **frame: Any) -> list[Effect]:
        self.step += 1
        return self.observer.handle(Tick(t, make_frame(t, **frame)))

    def score(self, t: float, value: float = 1.0, **about: Any) -> list[Effect]:
        return self.observer.handle(Scored(t, self.step, Score(value, **about)))

    def text(self, t: float, text: str) -> list[Effect]:
        return self.observer.handle(TextDelta(t, self.step, text))

    def done(self, t: float) -> list[Effect]:
        return self.observer.handle(SaidDone(t, self.step))

    def fail(self, t: float) -> list[Effect]:
        return self.observer.handle(EngineFailed(t, self.step, "engine_timeout", "It took too long."))

    def silent(self, t: float) -> list[Effect]:
        return self.tick(t) + self.score(t, 0.0)

    def says(self, t: float, text: str, value: float = 1.0, **about: Any) -> list[Effect]:
        """A second in which the engine wants to say something, in one delta."""
        effects = self.tick(t) + self.score(t, value, **about)
        if self.observer.state is State.HOLDING:
            effects += self.text(t, text)
        return effects + self.done(t)

    def ask(self, t: float, query_id: str = "q", text: str = "What colour is the car?") -> list[Effect]:
        return self.observer.handle(QueryAsked(t, query_id, text))

    def watch(self, t: float, *watches: Watch) -> list[Effect]:
        return self.observer.handle(WatchesChanged(t, book(watches, [DOOR])))
