"""Plays the shell and the engine for one observer, a second at a time."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from fakes.media.frames import make_frame
from fakes.server.configs import make_config
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Pressure, Score
from joyvl_server.core.effects import AskChoice, Decided, Effect
from joyvl_server.core.frame import Frame, Grey
from joyvl_server.core.gaze.gaze import LookDecision
from joyvl_server.core.inputs import (
    CapabilitiesChanged,
    Chosen,
    ConfigChanged,
    EngineFailed,
    Passed,
    QueryAsked,
    SaidDone,
    Scored,
    TextDelta,
    Tick,
    WatchesChanged,
)
from joyvl_server.core.observer import Observer, StepState
from joyvl_server.core.prompt.turns import Look
from joyvl_server.core.watches.watches import Watch, WatchSet, watch_set
from joyvl_server.core.watches.zones import Box, Zone

DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))
GUEST = Watch("guest", "guest", "Tell me when someone comes", zones=("door",))
FALLS = Watch("falls", "falls", "Tell me when someone falls")
POST = Watch("post", "post", "Tell me when the postman comes")
AT_DOOR, ELSEWHERE = Box(0.1, 0.4, 0.2, 0.6), Box(0.8, 0.4, 0.9, 0.6)
CAME = "A man came in through the door."

E = TypeVar("E")


def only(effects: Iterable[Effect], kind: type[E]) -> E:
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def grey(look: Look) -> Grey:
    """A picture that `ScriptedGaze` looks at so."""
    return np.full((27, 48), list(Look).index(look), np.uint8)


class ScriptedGaze:
    """Looks at a picture as its grey level says, and remembers what it was told."""

    def __init__(self) -> None:
        self.wanted: list[bool] = []
        self.looked: list[float] = []

    def judge(self, frame: Frame, *, wanted: bool) -> LookDecision:
        self.wanted.append(wanted)
        return LookDecision(list(Look)[int(frame.grey[0, 0])], 0.25, frame.grey.astype(np.float32))

    def press(self, pressure: Pressure) -> None:
        """It makes no difference."""

    def watch(self, watch_set: WatchSet) -> None:
        """It makes no difference."""

    def configure(self, config: ObserverConfig) -> None:
        """It makes no difference."""

    def saw(self, frame: Frame, looked: LookDecision) -> None:
        self.looked.append(frame.t)


class Shell:
    """Plays the shell and the engine: one second at a time."""

    def __init__(self, **config: Any) -> None:
        self.observer = Observer(make_config(**config))
        self.step = 0
        self._flying = 0

    def gaze(self) -> ScriptedGaze:
        """From now on pictures are looked at as their grey level says."""
        gaze = ScriptedGaze()
        self.observer._sampler.gaze = gaze
        return gaze

    def tick(self, t: float, burst: tuple[Frame, ...] = (), **frame: Any) -> list[Effect]:
        self.step += 1
        effects = self.observer.handle(Tick(t, make_frame(t, **frame), burst))
        self._flying = self.step
        return effects

    def passes(self, t: float, burst: tuple[Frame, ...] = (), *, frame_t: float | None = None, **frame: Any) -> Effect:
        """A second passes during the step in flight; what was decided about it."""
        self.step += 1
        return only(
            self.observer.handle(Passed(t, make_frame(t if frame_t is None else frame_t, **frame), burst)), Decided
        )

    def choose(self, t: float, *shares: float) -> list[Effect]:
        return self.observer.handle(Chosen(t, self._flying, shares))

    def choose_text(self, t: float, asked: Iterable[Effect], text: str) -> list[Effect]:
        """The engine takes the option that has these words."""
        choice = only(asked, AskChoice)
        lines = [line for line in choice.question.splitlines() if line[:2] in {f"{o}:" for o in choice.options}]
        (number,) = [number for number, line in enumerate(lines) if text in line]
        return self.choose(t, *(0.9 if n == number else 0.01 for n in range(len(lines))))

    def score(self, t: float, value: float = 1.0, **about: Any) -> list[Effect]:
        return self.observer.handle(Scored(t, self._flying, Score(value, **about)))

    def text(self, t: float, text: str) -> list[Effect]:
        return self.observer.handle(TextDelta(t, self._flying, text))

    def done(self, t: float) -> list[Effect]:
        return self.observer.handle(SaidDone(t, self._flying))

    def fail(self, t: float) -> list[Effect]:
        return self.observer.handle(EngineFailed(t, self._flying, "engine_timeout", "It took too long."))

    def silent(self, t: float) -> list[Effect]:
        return self.tick(t) + self.score(t, 0.0)

    def says(self, t: float, text: str, value: float = 1.0, **about: Any) -> list[Effect]:
        """A second in which the engine wants to say something, in one delta."""
        effects = self.tick(t) + self.score(t, value, **about)
        if self.observer.state is StepState.HOLDING:
            effects += self.text(t, text)
        return effects + self.done(t)

    def ask(self, t: float, query_id: str = "q", text: str = "What colour is the car?") -> list[Effect]:
        return self.observer.handle(QueryAsked(t, query_id, text))

    def configure(self, t: float, **settings: Any) -> list[Effect]:
        """Settings that are others from now on."""
        return self.observer.handle(ConfigChanged(t, replace(self.observer.config, **settings)))

    def able(self, t: float, **facts: bool) -> list[Effect]:
        """What the engine can do from now on, beside what it could before."""
        return self.observer.handle(CapabilitiesChanged(t, replace(self.observer.config.engine, **facts)))

    def watch(self, t: float, *watches: Watch) -> list[Effect]:
        return self.observer.handle(WatchesChanged(t, watch_set(watches, [DOOR])))
