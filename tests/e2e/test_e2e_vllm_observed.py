"""The real observer, its chunks and summaries, on the real vLLM: the prompt only grows, a switch costs nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from vllm_server import BLOCK, VllmServer
from vllm_sessions import TICKS, footage, probed

from fakes.media.sniffing import Sent, Sniffer
from joyvl_server.core.config import EngineFacts
from joyvl_server.core.decisions import Decision
from joyvl_server.core.effects import (
    Append,
    AskChoice,
    AskScore,
    BeginChunk,
    Decided,
    Effect,
    PrepareChunk,
    Rollback,
    Say,
    Settle,
    Write,
)
from joyvl_server.core.inputs import (
    Chosen,
    ChunkWarmed,
    ConfigChanged,
    Input,
    QueryAsked,
    SaidDone,
    Scored,
    TextDelta,
    Tick,
    WatchesChanged,
    Written,
)
from joyvl_server.core.observer import Observer, ObserverConfig
from joyvl_server.core.prompt.turns import Draft
from joyvl_server.core.watches.watches import Watch, watch_set
from joyvl_server.engines.base import EngineSession, EngineSpec

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.clips]

SLICE = 400
NEVER, ALWAYS = 1.0, 0.0


@dataclass
class Shell:
    """Carries the effects out, one after the other, and slices after each tick: the simplest shell there is."""

    observer: Observer
    session: EngineSession
    sniffer: Sniffer
    ticks: list[Sent] = field(default_factory=list)
    says: list[Sent] = field(default_factory=list)
    switches: list[int] = field(default_factory=list)
    """ticks before which a prepared chunk was gone over to"""
    decided: list[Decided] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)
    _prepared: int | None = None
    _draft: Draft | None = None
    _now: float = 0.0

    async def tick(self, frame: Any) -> None:
        self._now = frame.t
        await self._do(Tick(frame.t, frame))
        if self._draft is not None:
            await self._write(self._draft)
        while self._prepared is not None:
            warmth = await self.session.warm(SLICE)
            await self._do(ChunkWarmed(self._now, self._prepared, warmth.turns))
            if warmth.done:
                break

    async def _write(self, draft: Draft) -> None:
        self._draft, text, done = None, "", False
        while not done:
            piece = await self.session.write(draft, text, 32)
            text, done = text + piece.text, piece.done
        self.texts.append(text)
        await self._do(Written(self._now, draft.id, text.strip() or "somebody walked about"))

    async def _do(self, *inputs: Input) -> None:
        for input in inputs:
            for effect in self.observer.handle(input):
                self.seen[type(effect).__name__] += 1
                await self._carry_out(effect)

    async def _carry_out(self, effect: Effect) -> None:
        session, at, sent = self.session, self._now, len(self.sniffer.sent)
        match effect:
            case BeginChunk(chunk):
                if chunk.number == self._prepared:
                    self.switches.append(len(self.ticks))
                self._prepared = None
                await session.begin(chunk)
            case PrepareChunk(chunk):
                self._prepared = chunk.number
                await session.prepare(chunk)
            case Append(_, turn):
                await session.append(turn)
            case AskScore(step):
                score = await session.score()
                self.ticks += self.sniffer.sent[sent:]
                await self._do(Scored(at, step, score))
            case AskChoice(step, question, options):
                await self._do(Chosen(at, step, await session.choose(question, options)))
            case Say(step):
                deltas = [delta async for delta in session.say()]
                self.says += self.sniffer.sent[sent:]
                await self._do(*(TextDelta(at, step, delta) for delta in deltas), SaidDone(at, step))
            case Settle(_, answer):
                await session.settle(answer)
            case Rollback():
                await session.rollback()
            case Write(draft):
                self._draft = draft
            case Decided():
                self.decided.append(effect)


async def test_two_minutes_of_a_real_observer(vllm: VllmServer, clips: Path) -> None:
    frames = footage(clips)
    said = {"structured_outputs": {"regex": " [a-z]{3,20}"}}
    async with probed(vllm, extra_body=said, max_tokens=16) as (engine, sniffer):
        can = engine.capabilities
        config = ObserverConfig(
            threshold=NEVER,
            hysteresis=0.0,
            cooldown_s=0.0,
            duplicate_window_s=1.0,
            context_tokens=6000,
            memory_tokens=800,
            summary_tokens=48,
            lead_turns=6,
            engine=EngineFacts(chooses=can.chooses, prepares=can.prepares, writes=can.writes),
        )
        shell = Shell(Observer(config), await engine.open(EngineSpec("s1")), sniffer)
        watches = [Watch(name, name, f"Tell me when {name} comes") for name in ("a man", "the post")]
        await shell._do(WatchesChanged(0.0, watch_set(watches, [])))
        for step, frame in enumerate(frames):
            # A random model's score means nothing: the sensitivity says when it speaks.
            config = replace(config, threshold=ALWAYS if step % 15 == 7 else NEVER)
            await shell._do(ConfigChanged(frame.t, config))
            if step == 30:
                await shell._do(QueryAsked(frame.t, "q1", "what is on the table?"))
            await shell.tick(frame)

        assert len(shell.ticks) == len(shell.decided) == TICKS
        spoken = [decided for decided in shell.decided if decided.decision is not Decision.SILENT]
        assert len(spoken) >= TICKS // 15 - 2
        assert shell.seen["BeginChunk"] == 1 + len(shell.switches)
        assert len(shell.switches) >= 2
        assert shell.seen["AskChoice"] >= 1
        assert shell.seen["Write"] >= 1

        prompts = [sent.tokens[0] for sent in shell.ticks]
        news = {step: prompts[step] - prompts[step - 1] for step in range(1, TICKS)}
        usual = max(sorted(news[step] for step in news if step not in shell.switches)[: TICKS // 2])
        late = {
            step: (shell.ticks[step].fresh, new)
            for step, new in news.items()
            if shell.ticks[step].fresh > (usual if step in shell.switches else new) + BLOCK
        }
        assert late == {}
        assert max(say.fresh for say in shell.says) <= BLOCK + 1
        prompt, cached = (sum(sent.tokens[n] for sent in [*shell.ticks, *shell.says]) for n in (0, 1))
        assert cached >= 0.95 * prompt
        crossed = [name for sent in sniffer.sent for name in sent.images]
        assert len(crossed) == len(set(crossed))
        assert {frame.image.name for frame in frames} <= set(crossed)  # those of leads cross as glances too
        print(f"cached {cached / prompt:.4f}, switches {shell.switches}, longest prompt {max(prompts)}, {shell.seen}")
