"""A question that every working engine answers: what is in the demo clip?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from itertools import islice

import cv2
import numpy as np

from joyvl_server.cli.doctor.report import CheckListener, Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.server import RunningServer
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.cli.engine import open_engine, probe
from joyvl_server.core.errors import EngineUnavailable, JoyvlError
from joyvl_server.core.frame import Frame
from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.turns import Chunk, UserTurn
from joyvl_server.engines.base import Engine, EngineSession, EngineSpec
from joyvl_server.engines.openai.probe import NO_MARKERS
from joyvl_server.engines.vllm.engine import VllmEngine
from joyvl_server.ingest.demo import ARRIVALS, FPS, frames
from joyvl_server.kit.jpeg import Pixels, encode
from joyvl_server.settings import Settings

QUESTION = "What do you see? Answer in one short sentence."
EXPECTED = (
    "person", "people", "man", "woman", "someone", "somebody", "figure", "character", "human", "boy", "girl", "room",
    "standing", "walking", "window", "plant", "table", "人", "房间", "窗", "站",
)  # fmt: skip
"""Words of which a right answer has one; which one does not matter."""
ANSWER_S, START_S, CLOSE_S = 90.0, 3700.0, 10.0
STANDS_S = 8.0
"""a second in which a figure stands in the room"""
WATCHED_S = 12
TRAIL_STEP = 3
LONGEST = 160


class GoldenQuestionCheck:
    """See `Check`. Opens the engine of the settings, and closes it."""

    name = "engine"

    def __init__(
        self,
        settings: Settings,
        running: RunningServer,
        *,
        start: bool = False,
        listener: CheckListener | None = None,
    ) -> None:
        """`start`: also start an engine that we run ourselves, which may fetch weights and take minutes. `listener`
        hears how far that is."""
        self._settings = settings
        self._running = running
        self._start = start and settings.engine.name == VllmEngine.name
        self._listener = listener

    @property
    def limit_s(self) -> float:
        return (START_S if self._start else ANSWER_S) + CLOSE_S

    async def run(self) -> Iterable[Finding]:
        engine = await off_loop(open_engine, self._settings.engine.name, self._settings)
        try:
            # A second one beside that of the running server would find no room on the card.
            if isinstance(engine, VllmEngine) and (self._running.pid is not None or not self._start):
                return [await self._not_started(engine)]
            return [await self._ask(engine)]
        finally:
            await engine.aclose()

    async def _not_started(self, engine: VllmEngine) -> Finding:
        if self._running.pid is not None:
            stop = " To try its start, stop the server first." if self._start else ""
            return skipped(
                "Engine vllm was not asked: the running server has it.",
                f"Its state: /readyz, or “Engine” in a session on the page.{stop}",
            )
        try:
            await engine.process.look()
        except EngineUnavailable as error:
            return problem(str(error), "Then try it: joyvl doctor --start")
        return skipped(
            "Engine vllm is installed; it was not asked, because its start takes minutes.", "joyvl doctor --start does."
        )

    async def _ask(self, engine: Engine) -> Finding:
        try:
            async with asyncio.timeout(self.limit_s - CLOSE_S):
                can = await probe(engine, self._progress)
                session = await engine.open(EngineSpec(session_id="doctor"))
                try:
                    await session.begin(Chunk(1, wire_format.system_prompt()))
                    if can.follows_instructions:
                        return await self._question(engine, session, can.note)
                    return await self._watching(engine, session)
                finally:
                    await session.aclose()
        except TimeoutError:
            return problem(
                f"The engine {engine.name} did not answer within {self.limit_s - CLOSE_S:g} s.",
                "Look at its server, or use a smaller model (docs/engines.md).",
            )
        except JoyvlError as error:
            retry = "again: joyvl doctor --start" if self._start else f"it: joyvl engine check {engine.name} --start"
            return problem(str(error), f"Then try {retry}")

    def _progress(self, words: str) -> None:
        if self._start and self._listener is not None:
            self._listener.tell(words)

    async def _question(self, engine: Engine, session: EngineSession, note: str) -> Finding:
        picture = await off_loop(lambda: demo_frames(range(int(STANDS_S) - 1, int(STANDS_S)))[0])
        began = time.monotonic()
        await session.append(UserTurn(1, 0.0, picture, query=QUESTION))
        score = await session.score()
        scored_s = time.monotonic() - began
        if score.garbage is not None:
            said = " ".join(score.garbage.split())[:80]
            return problem(
                f"The engine {engine.name} answers, but with no decision: “{said}”.",
                "Use a vision model that follows instructions (docs/engines.md).",
            )
        answer = " ".join("".join([delta async for delta in session.say()]).split())
        took = f"decided after {scored_s:.2f} s, with the answer after {time.monotonic() - began:.2f} s"
        shown = f"“{answer[:LONGEST]}{'…' if len(answer) > LONGEST else ''}”"
        if not answer:
            return warning(
                f"The engine {engine.name} decided (score {score.value:.2f}), but gave no answer to “{QUESTION}”.",
                "Ask it on the page. If it stays silent there too, use another model (docs/engines.md).",
            )
        if not any(word in answer.lower() for word in EXPECTED):
            return warning(
                f"The engine {engine.name} was shown a drawn room with a figure and answered {shown}.",
                "Does it see pictures? See docs/engines.md for models that do.",
            )
        slow = self._settings.sessions.tick_s
        if scored_s > slow:
            return warning(
                f"The engine {engine.name} sees the demo clip: {shown}, but {took}: slower than one each {slow:g} s.",
                "Set sessions.tick_s higher, lower media.max_pixels, or use a smaller model (docs/engines.md).",
            )
        message = f"The engine {engine.name} sees the demo clip: {shown}, {took}. {note}".strip()
        if note and note != NO_MARKERS:
            return warning(message, "docs/engines.md says what each server can do, and which flags vLLM needs.")
        return ok(message)

    async def _watching(self, engine: Engine, session: EngineSession) -> Finding:
        """An engine that reads no words is shown the first seconds: somebody enters."""
        seen = None
        for number, picture in enumerate(await off_loop(lambda: demo_frames(range(WATCHED_S))), 1):
            await session.append(UserTurn(number, picture.t, picture))
            score = await session.score()
            if score.value >= self._settings.sessions.threshold and seen is None:
                seen = picture.t
                said = "".join([delta async for delta in session.say()]).strip()
            await session.settle("</silence>")
        if seen is None:
            return problem(
                f"The engine {engine.name} noticed nothing in the demo clip, where somebody enters after "
                f"{ARRIVALS[0]:g} s.",
                "Lower sessions.threshold (0.5 is the default), or check the engine's options.",
            )
        return ok(f"The engine {engine.name} sees the demo clip: “{said}” at {seen:g} s. It reads no words.")


def demo_frames(seconds: range) -> list[Frame]:
    """The clip's pictures at the end of these seconds, each with the small grey ones of the second before. Blocks."""
    found: list[Frame] = []
    trail: list[tuple[float, Pixels]] = []
    for index, picture in enumerate(islice(frames(), seconds.stop * FPS + 1)):
        t = index / FPS
        if t < seconds.start or index % TRAIL_STEP:
            continue
        grey = _grey(picture)
        if index % FPS == 0 and t > seconds.start:
            found.append(Frame(t, time.time(), encode(picture), grey, trail=tuple(trail)))
            trail = []
        else:
            trail.append((t, grey))
    return found


def _grey(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (192, 192 * height // width), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
