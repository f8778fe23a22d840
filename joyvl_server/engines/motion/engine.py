"""The built-in engine `motion`: classical vision over small grey pictures, without a model and without a GPU."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from weakref import WeakSet

from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import ConfigError, EngineError
from joyvl_server.core.prompt.turns import Chunk, UserTurn
from joyvl_server.engines.base import Capabilities, EngineSettings, EngineSpec, WithoutSlices
from joyvl_server.engines.motion.queue import SightingQueue
from joyvl_server.engines.motion.scene import Scene
from joyvl_server.engines.motion.sighting import Sighting
from joyvl_server.engines.motion.words import sentence

SILENT = Score(0.0)
OFFERED = 0.5
"""An offer above this that the session does not take goes behind the others."""


@dataclass(frozen=True, slots=True)
class SceneMemory:
    """All that one session knows. A turn works on a copy, so that a turn that is rolled back leaves no trace."""

    scene: Scene
    queue: SightingQueue

    def after(self, turn: UserTurn) -> tuple[SceneMemory, Sighting | None]:
        """What is known after a turn, and what may be said of it. Takes some milliseconds."""
        known = copy.deepcopy(self)
        frame = turn.frame
        known.queue.add(known.scene.follow((*frame.trail, (frame.t, frame.grey))), frame.t)
        return known, known.queue.best(turn.kinds)


class MotionEngine:
    """See `Engine`. Takes no options; `settings` must be empty."""

    name = "motion"
    capabilities = Capabilities(follows_instructions=False, scores=True, reports_kinds=True, needs_every_frame=True)

    def __init__(self, settings: EngineSettings) -> None:
        if settings:
            raise ConfigError(f"The engine motion has no option {', '.join(sorted(settings))}; it takes none.")
        self._sessions: WeakSet[MotionSession] = WeakSet()

    async def open(self, spec: EngineSpec) -> MotionSession:
        session = MotionSession()
        self._sessions.add(session)
        return session

    async def probe(self) -> Capabilities:
        return self.capabilities

    async def check(self) -> str:
        return "built in"

    async def aclose(self) -> None:
        for session in list(self._sessions):
            await session.aclose()


class MotionSession(WithoutSlices):
    """See `EngineSession`. One camera's scene. A new chunk of context changes nothing: the scene is not text."""

    def __init__(self) -> None:
        self._memory: SceneMemory | None = SceneMemory(Scene(), SightingQueue())
        self._turn: UserTurn | None = None
        self._next: tuple[SceneMemory, Sighting | None] | None = None
        self._saying: str | None = None
        self._said = False

    async def begin(self, chunk: Chunk) -> None:
        self._known()
        self._forget_turn()

    async def append(self, turn: UserTurn) -> None:
        self._known()
        self._forget_turn()
        self._turn = turn

    async def score(self) -> Score:
        memory = self._known()
        if self._turn is None:
            raise EngineError("There is no picture to score: append a turn first.")
        if self._next is None:
            self._next = await asyncio.to_thread(memory.after, self._turn)
        self._known()
        sighting = self._next[1]
        if sighting is None:
            return SILENT
        self._saying = sentence(sighting.kind, sighting.box, self._turn.zones)
        return Score(sighting.value, sighting.kind, sighting.box, sighting.key)

    async def say(self) -> AsyncIterator[str]:
        self._known()
        if self._saying is not None:
            self._said = True
            yield f" {self._saying}"

    async def settle(self, answer: str) -> None:
        self._known()
        if self._next is not None:
            self._memory, sighting = self._next
            if sighting is not None and self._said:
                self._memory.queue.done(sighting.key)
            elif sighting is not None and sighting.value >= OFFERED:
                self._memory.queue.declined(sighting.key)
        self._forget_turn()

    async def rollback(self) -> None:
        self._known()
        self._forget_turn()

    async def aclose(self) -> None:
        self._memory = None
        self._forget_turn()

    def _known(self) -> SceneMemory:
        if self._memory is None:
            raise EngineError("The session of the engine motion is closed.")
        return self._memory

    def _forget_turn(self) -> None:
        self._turn = self._next = self._saying = None
        self._said = False
