"""The engine protocol: `open(spec)` → `begin(chunk)`, then every second `append(turn)`, `score()`, perhaps `choose()`
and `say()`, and `settle(answer)` or `rollback()`. Between ticks, in slices: `prepare(chunk)` and `warm()` for the chunk
that comes next, `write()` for texts that nobody waits for.

Engines with state (motion, transformers) keep it; message servers keep the messages they were given. Engines are
found in the entry-point group `joyvl.engines`: the entry is a callable `(settings: Mapping[str, object]) -> Engine`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError
from joyvl_server.core.prompt.turns import Chunk, Draft, UserTurn

Mode = Literal["structure", "scored", "markers", "instruct"]
"""How it decides. structure: it sees structure, no words. scored: the probability of the model's own markers. markers:
the model writes its markers as text. instruct: any vision model, told in plain words, answering in JSON."""


@dataclass(frozen=True, slots=True)
class Warmth:
    """What a slice of warming brought: `turns` of the prepared chunk's lead are warm, all before them too.

    `fresh` tokens were sent for it (estimated where the server does not tell); `done` when nothing is left to warm.
    """

    turns: int
    fresh: int
    done: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text being written; `done` when the text is whole with it."""

    text: str
    done: bool


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do; sessions adapt, the page shows it. Stated by the engine, probed where it can be."""

    follows_instructions: bool = True
    """reads watches and queries as words"""
    scores: bool = False
    """`Score.value` is a probability, not just 0 or 1"""
    reports_kinds: bool = False
    """`Score.kind` and `Score.box` are set"""
    needs_every_frame: bool = False
    """keeps a model of the scene: the gaze must not skip or shrink frames"""
    takes_back: bool = True
    """`rollback` leaves no trace of a turn that was scored; else whoever decides may remember it"""
    chooses: bool = False
    """`choose` answers questions at the tail"""
    prepares: bool = False
    """keeps a prefix cache that `prepare` and `warm` fill for the next chunk"""
    writes: bool = False
    """`write` gives free text: summaries"""
    prefills: bool = False
    """continues an answer that was begun for it"""
    uuids: bool = False
    """pictures are sent once and then named"""
    priority: bool = False
    """orders its waiting requests by priority"""
    mode: Mode = "structure"
    context_tokens: int | None = None
    """the longest prompt with its answer; None where it is not known"""
    cache_tokens: int | None = None
    """tokens its cache holds over all sessions; None where it is not known"""
    parallel: int = 64
    """requests it takes well at once"""
    note: str = ""
    """what people should know about it, as a sentence; empty where all is well"""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What an engine session is opened with. `tick_s` is the usual time between two turns in seconds."""

    session_id: str
    tick_s: float = 1.0
    separator: str = "\n"


@runtime_checkable
class EngineSession(Protocol):
    """One session's conversation with an engine. Calls never overlap, but `aclose` may come at any time.

    All raise `EngineError` (or `EngineTimeout`, `EngineUnavailable`) and nothing else. Cancelled, `score`, `choose`,
    `warm` and `write` abort their request and leave the session as it was. After any other call that was cancelled,
    only `aclose` follows.
    """

    async def begin(self, chunk: Chunk) -> None:
        """Start a chunk: forget the messages before it. Engines whose state is not text keep that state."""

    async def append(self, turn: UserTurn) -> None:
        """Add the next user turn. Costs no request by itself."""

    async def score(self) -> Score:
        """Silent or speak, for the turn appended last."""

    def say(self) -> AsyncIterator[str]:
        """Deltas of the answer after `</response>`. Closing the iterator aborts the request."""

    async def choose(self, question: str, options: Sequence[str]) -> tuple[float, ...]:
        """A question at the tail of the turn appended last; the share of each option (a letter), summing to 1.

        Neither question nor answer stays in the context. Empty where no share could be found.
        """

    async def prepare(self, chunk: Chunk) -> None:
        """The next chunk, in addition to the present one; it replaces one prepared before. Costs no request.

        Every turn settled from now on joins both; `begin` with its number goes over to it.
        """

    async def warm(self, tokens: int) -> Warmth:
        """One slice: about `tokens` more of the prepared chunk's prompt go through the engine's cache."""

    async def write(self, draft: Draft, so_far: str, tokens: int) -> Piece:
        """One slice: at most `tokens` tokens of the draft's text that follow `so_far`."""

    async def settle(self, answer: str) -> None:
        """The last turn was answered with `answer` (wire format); it stays."""

    async def rollback(self) -> None:
        """Forget the last turn, which failed or was not settled. See `Capabilities.takes_back`."""

    async def aclose(self) -> None:
        """Give everything back. Idempotent."""


class WithoutSlices:
    """See `EngineSession`. What sessions inherit whose engine neither chooses nor prepares nor writes."""

    async def choose(self, question: str, options: Sequence[str]) -> tuple[float, ...]:
        return ()

    async def prepare(self, chunk: Chunk) -> None:
        pass

    async def warm(self, tokens: int) -> Warmth:
        return Warmth(turns=0, fresh=0, done=True)

    async def write(self, draft: Draft, so_far: str, tokens: int) -> Piece:
        raise EngineError("This engine writes no texts.", code="engine_cannot")


@runtime_checkable
class Engine(Protocol):
    """One engine, shared by its sessions.

    Cancelled, `open` leaves no session behind, `probe` what was known before, and `check` all as it was; `aclose` may
    leave some of it open.
    """

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """What is known now; `probe` may find out more, and a server may come back as another one."""

    async def open(self, spec: EngineSpec) -> EngineSession: ...

    async def probe(self) -> Capabilities:
        """Find out what it can do and make it warm. May take a minute; `open` and `score` work without it too."""

    async def check(self) -> str:
        """Ready? Returns one line for `/readyz`; raises `EngineError` with a sentence where it is not."""

    async def aclose(self) -> None: ...


class EngineEvents(Protocol):
    """Who an engine tells what it notices between probes. Called on the event loop; never blocks, raises nothing."""

    def capabilities_changed(self) -> None:
        """`capabilities` are others than before, without a probe."""

    def doubted(self) -> None:
        """What answers may be another server or model than the one that was probed: a probe is worth its price."""


@runtime_checkable
class ReportsEvents(Protocol):
    """An engine that notices such things."""

    def report_to(self, events: EngineEvents) -> None:
        """From now on; called once, before any session is opened."""


@runtime_checkable
class Restartable(Protocol):
    """An engine that runs a server of its own."""

    @property
    def restarts(self) -> int:
        """How often a ready server was replaced by a new one: each time all it had cached was lost."""


@runtime_checkable
class SlowToLoad(Protocol):
    """An engine that knows how long it may take to load its model."""

    @property
    def loading_s(self) -> float:
        """The longest start, in seconds."""


EngineSettings = Mapping[str, object]
