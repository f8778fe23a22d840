"""Random but possible logs of an observer: what shells and engines may do in any order, late outcomes included."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from fakes.media.frames import EPOCH, make_frame
from joyvl_server.core.config import EngineFacts
from joyvl_server.core.decisions import Pressure, Score, Skip
from joyvl_server.core.effects import AskChoice, AskScore, Decided, Effect, Play, PrepareChunk, Say, Write
from joyvl_server.core.inputs import (
    CapabilitiesChanged,
    Chosen,
    ChunkWarmed,
    ConfigChanged,
    ContextLimitChanged,
    EngineFailed,
    EngineRestarted,
    Input,
    Passed,
    PlaybackAcked,
    PlaybackEnded,
    PressureChanged,
    QueryAsked,
    QueryWithdrawn,
    SaidDone,
    Scored,
    SoundHeard,
    SpeechContinued,
    SpeechLasted,
    SpeechPaused,
    SpeechStarted,
    SpeechStopped,
    TaskChanged,
    TextDelta,
    Tick,
    TickSkipped,
    Transcript,
    TranscriptFailed,
    WatchesChanged,
    WriteFailed,
    Written,
)
from joyvl_server.core.observer import Observer, ObserverConfig
from joyvl_server.core.watches.kinds import SOUNDS, WatchKind
from joyvl_server.core.watches.watches import Watch, WatchSet
from joyvl_server.core.watches.zones import Box, Zone

EXAMPLES = int(os.environ.get("JOYVL_TEST_EXAMPLES", "25"))
"""random logs a test; with more the tests find more and take longer"""
many = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))
WORDS = [
    "Hi. ",
    "A man came in through the door. ",
    " ",
    "</dele",
    "gation> ",
    "Who? ",
    "</silence>",
    "\n",
    "<",
    "word " * 30,
]
SPOKEN = ["Who is that?", "mhm", "好的", "Stop!", "", "What"]
UNIT = st.floats(0, 1)
MOSTLY = st.sampled_from([True, True, True, False])
BOXES = st.builds(Box, UNIT, UNIT, UNIT, UNIT)
SCORES = st.builds(
    Score,
    value=UNIT | st.sampled_from([0.4, 0.5, 0.55, 0.7, 1.0]),
    kind=st.sampled_from([None, None, None, None, "enter", "dark"]),
    box=st.none() | BOXES,
    key=st.sampled_from([None, "1", "2"]),
    garbage=st.sampled_from([*[None] * 7, "Hello"]),
)
WATCHES = st.builds(
    Watch,
    id=st.sampled_from(["a", "b", "c"]),
    name=st.just("watch"),
    text=st.sampled_from(["Tell me when someone falls", "Tell me when someone comes", "x" * 900]),
    zones=st.sampled_from([(), ("door",), ("gone",)]),
    threshold=st.none() | UNIT,
    paused=MOSTLY.map(lambda usual: not usual),
    kinds=st.sampled_from([(), (), (WatchKind.SMOKE_ALARM,), (WatchKind.ENTER, WatchKind.LOUD)]),
)
BOOKS = st.builds(
    WatchSet,
    watches=st.lists(WATCHES, max_size=3, unique_by=lambda watch: watch.id).map(tuple),
    zones=st.sampled_from([(), (DOOR,)]),
)
FACTS = st.builds(
    EngineFacts,
    follows_instructions=MOSTLY,
    needs_every_frame=MOSTLY.map(lambda usual: not usual),
    chooses=MOSTLY,
    prepares=MOSTLY,
    writes=MOSTLY,
)
CONFIGS = st.builds(
    ObserverConfig,
    threshold=UNIT | st.just(0.5),
    cooldown_s=st.floats(0, 5) | st.just(0.0),
    hysteresis=st.floats(0, 0.5),
    duplicate_window_s=st.floats(0, 60),
    query_ttl_s=st.floats(1, 100),
    fidelity=st.sampled_from(["faithful", "adaptive", "eco"]),
    max_blind_s=st.floats(0, 5),
    context_tokens=st.integers(2048, 6000),
    chunk_s=st.floats(10, 100),
    lead_turns=st.integers(0, 10),
    model_time_s=st.floats(10, 300),
    delegation=st.booleans(),
    engine=FACTS,
    max_answer_chars=st.integers(1, 400),
    voice=MOSTLY,
    stale_s=st.floats(0, 20),
    half_duplex=MOSTLY.map(lambda usual: not usual),
    addressed_only=MOSTLY.map(lambda usual: not usual),
)


@dataclass
class Log:
    """What went in and what came out, in order."""

    config: ObserverConfig
    steps: list[tuple[Input, list[Effect]]] = field(default_factory=list)
    observer: Observer | None = None
    """as the last input has left it"""


@dataclass
class Shell:
    """Keeps what a shell knows: the step that waits for an outcome, and for which one."""

    observer: Observer
    t: float = 0.0
    step: int = 0
    scoring: int | None = None
    choosing: AskChoice | None = None
    saying: int | None = None
    epochs: int = 0
    newest: float = 0.0
    """stream time of the frame made last"""
    prepared: PrepareChunk | None = None
    drafts: list[str] = field(default_factory=list)
    playing: int | None = None
    """the epoch played last"""
    speeches: int = 0

    @property
    def flying(self) -> int | None:
        """The step that waits for an outcome."""
        return self.scoring or self.saying or (self.choosing.step if self.choosing else None)

    def choices(self) -> list[str]:
        now = ["scored"] * 6 if self.scoring else ["text"] * 6 + ["done"] * 2 if self.saying else ["tick"] * 8
        now = ["chosen"] * 8 if self.choosing else now
        now += ["failed"] if self.flying else []
        now += ["late"] if self.step else []
        now += ["passed"] * 3 if self.saying else []
        now += ["warmed"] * 2 if self.prepared else []
        now += ["written"] * 2 + ["unwritten"] if self.drafts else []
        seldom = ["passed", "pressure", "room", "restarted", "able", "reconfigured"]
        often = ["ask", "ask", "watch", "watch", "sound"]
        now += ["acked", "acked", "ended", "speech", "speech"] if self.playing else ["speech"]
        now += ["lasted", "paused", "continued", "stopped", "transcript", "transcript", "deaf"] if self.speeches else []
        return [*now, *often, *seldom, "tick", "skipped", "withdraw", "sense", "heard", "task"]

    def make(self, choice: str, draw: st.DrawFn) -> Input:
        t = self.t
        match choice:
            case "tick" | "passed":
                grey = np.full(
                    draw(st.sampled_from([(27, 48), (27, 48), (20, 20)])), draw(st.integers(0, 255)), np.uint8
                )
                frame_t = draw(st.sampled_from([t, t, t, t, 0.0]))
                frame = make_frame(frame_t, grey, glance=draw(st.booleans()))
                earlier = (make_frame(frame_t - 0.05, grey),) if frame_t - 0.05 > self.newest else ()
                burst = draw(st.sampled_from([(), earlier]))
                self.newest = frame_t
                return Tick(t, frame, burst) if choice == "tick" else Passed(t, frame, burst)
            case "chosen":
                count = len(self.choosing.options)
                taken = draw(st.integers(0, count))  # of none: the engine could not say
                shares = tuple(float(number == taken) for number in range(count)) if taken < count else ()
                return Chosen(t, self.choosing.step, shares)
            case "warmed":
                number = self.prepared.chunk.number + draw(st.sampled_from([0, 0, 0, -1]))
                return ChunkWarmed(t, number, len(self.prepared.chunk.lead) + draw(st.integers(0, 9)))
            case "written":
                text = draw(st.sampled_from(["A man sat in a room. At <3.0 seconds> he left.", "", "x" * 4000]))
                return Written(t, self.drafts.pop(0), text)
            case "unwritten":
                return WriteFailed(t, self.drafts.pop(0), "engine", "It failed.")
            case "pressure":
                if draw(st.booleans()):
                    fidelity = draw(st.sampled_from(["faithful", "adaptive", "eco"]))
                    return ConfigChanged(t, replace(self.observer.config, fidelity=fidelity))
                return PressureChanged(t, draw(st.sampled_from(Pressure)))
            case "room":
                return ContextLimitChanged(t, draw(st.integers(2048, 8000)))
            case "reconfigured":
                return ConfigChanged(t, draw(CONFIGS))
            case "able":
                return CapabilitiesChanged(t, draw(FACTS))
            case "restarted":
                return EngineRestarted(t)
            case "skipped":
                return TickSkipped(t, EPOCH + t, draw(st.sampled_from([Skip.LATE, Skip.NO_FRAME, Skip.OFFLINE])))
            case "scored":
                return Scored(t, self.scoring, draw(SCORES))
            case "text":
                return TextDelta(t, self.saying, draw(st.sampled_from(WORDS)))
            case "done":
                return SaidDone(t, self.saying)
            case "failed":
                return EngineFailed(t, self.flying, "engine", "It failed.")
            case "late":
                over = 0 if self.flying else self.step
                outcomes = [
                    Scored(t, over, Score(1.0)),
                    Chosen(t, over, ()),
                    TextDelta(t, over, "x"),
                    SaidDone(t, over),
                ]
                return draw(st.sampled_from([*outcomes, EngineFailed(t, over, "engine", "It failed.")]))
            case "ask":
                text = draw(st.sampled_from(["Who is it?", "有人吗", "", "</silence>", "x" * 2000]))
                return QueryAsked(t, draw(st.sampled_from("abcdef")), text, EPOCH + t)
            case "withdraw":
                return QueryWithdrawn(t, draw(st.sampled_from("abcdef")))
            case "watch":
                return WatchesChanged(t, draw(BOOKS))
            case "sense":
                return ConfigChanged(t, replace(self.observer.config, threshold=draw(UNIT)))
            case "acked":
                return PlaybackAcked(t, self.playing, draw(st.integers(0, 60)))
            case "ended":
                return PlaybackEnded(t, self.playing, draw(st.none() | st.integers(0, 100)))
            case "sound":
                return SoundHeard(t, EPOCH + t, draw(st.sampled_from([*SOUNDS, WatchKind.ENTER])), t)
            case "speech" | "lasted" | "paused" | "continued" | "stopped" | "transcript" | "deaf":
                return self._speech(choice, draw)
            case "heard":
                return PlaybackAcked(t, draw(st.integers(0, self.epochs + 1)), draw(st.integers(0, 300)))
            case _:
                status = draw(st.sampled_from(["queued", "completed", "failed", "cancelled"]))
                return TaskChanged(
                    t, f"task_{draw(st.integers(1, 3))}", status, draw(st.sampled_from(["", "A fox", "x" * 3000]))
                )

    def _speech(self, choice: str, draw: st.DrawFn) -> Input:
        t = self.t
        if choice == "speech":
            self.speeches += draw(MOSTLY)
            return SpeechStarted(t, f"s{self.speeches}", t - 0.1)
        id = f"s{self.speeches - draw(st.sampled_from([0, 0, 0, 1]))}"
        match choice:
            case "lasted":
                return SpeechLasted(t, id)
            case "paused":
                return SpeechPaused(t, id)
            case "continued":
                return SpeechContinued(t, id, t - 0.1)
            case "stopped":
                return SpeechStopped(t, id, t - 0.3, draw(st.floats(0.05, 3)))
            case "transcript":
                return Transcript(t, id, draw(st.sampled_from(SPOKEN)), draw(st.booleans()), draw(MOSTLY))
            case _:
                return TranscriptFailed(t, id, "It failed.")

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case AskScore(step):
                    self.scoring, self.choosing = step, None
                case AskChoice():
                    self.scoring, self.choosing = None, effect
                case Say(step):
                    self.scoring, self.choosing, self.saying = None, None, step
                case Decided(step=step):
                    if step == self.flying:
                        self.scoring = self.saying = self.choosing = None
                case PrepareChunk():
                    self.prepared = effect
                case Play(epoch):
                    self.playing = epoch
                case Write(draft):
                    self.drafts.append(draft.id)
                case _:
                    self.epochs = max(self.epochs, getattr(effect, "epoch", None) or 0)


def decides(input: Input, effects: list[Effect], last: int) -> bool:
    """Is it a step of its own, after the step `last`? A sound is one where it concerns a watch; it may also end the
    step in flight."""
    own = any(isinstance(effect, Decided) and effect.step > last for effect in effects)
    heard = isinstance(input, SoundHeard) and own
    return heard or isinstance(input, Tick | Passed | TickSkipped)


@st.composite
def logs(draw: st.DrawFn, max_size: int = 60) -> Log:
    log = Log(draw(CONFIGS))
    shell = Shell(Observer(log.config))
    for _ in range(draw(st.integers(1, max_size))):
        shell.t += draw(st.sampled_from([0.0, 0.1, 1.0, 1.0, 7.0]))
        input = shell.make(draw(st.sampled_from(shell.choices())), draw)
        effects = shell.observer.handle(input)
        shell.step += decides(input, effects, shell.step)
        shell.take(effects)
        log.steps.append((input, effects))
    log.observer = shell.observer
    return log
