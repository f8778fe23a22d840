"""Whatever happens in whatever order: a prompt only grows, keeps to its budget, and always tells the watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from fakes.media.frames import make_frame
from fakes.prompts import Mirror
from fakes.server.configs import make_config
from joyvl_server.core.effects import Effect
from joyvl_server.core.frame import Frame
from joyvl_server.core.inputs import TaskChanged, WriteFailed, Written
from joyvl_server.core.prompt.composer import PromptComposer
from joyvl_server.core.prompt.context import ANSWER_RESERVE, Context
from joyvl_server.core.prompt.notices import STANDING
from joyvl_server.core.prompt.turns import SILENCE, Look, Second
from joyvl_server.core.prompt.wire_format import answer
from joyvl_server.core.watches.watches import Watch, watch_set

SEEDS = range(60)
INPUTS = 240
"""of one seed; 14,400 in all"""
LEAST = 1700
"""the smallest budget that the built-in system prompt, a frame and a few words need"""

TEXTS = (
    "A quiet hall with two doors. At <12.0 seconds> a man in a red coat came in and sat down.",
    "",
    "I can't help with that.",
    "</silence>",
    "the the the the " * 20,
    "!?!?!? 000000",
    "Nothing moved. " * 60,
)


class World:
    """One session's composer and context, an engine that mirrors them, and what is true at every step."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.config = make_config(
            context_tokens=random.choice([LEAST, 2500, 4000, 4000, 8000, 24_000]),
            chunk_s=random.choice([20.0, 60.0, 600.0, 1e9]),
            memory_tokens=random.choice([0, 200, 1000, 4000]),
            summary_tokens=random.choice([40, 240]),
            lead_turns=random.choice([0, 2, 8, 30]),
            model_time_s=random.choice([30.0, 7200.0]),
            separator=random.choice(["", "\n"]),
            prepares=random.random() < 0.8,
            writes=random.random() < 0.8,
            chooses=True,
        )
        self.small = random.random() < 0.5  # glances mostly
        self.rough = random.choice([0.1, 1.0])
        self.context = Context(self.config)
        self.composer = PromptComposer(self.config, self.context)
        self.mirror = Mirror(self.config.separator, self.config.context_tokens)
        self.room = self.config.context_tokens
        self.t = 0.0
        self.step = 0
        self.watches: dict[str, Watch] = {}
        self.named = 0
        self.asked: list[str] = []
        self.sentence: tuple[str, str] | None = None
        self.later: list[str] = []
        self.over: list[str] = []
        self.settled: list[float] = []

    # ---------------------------------------------------------------------------------------------------------- inputs

    def one(self) -> None:
        """One random input."""
        kinds = [self.second, self.warm, self.write, self.watch, self.ask, self.room_changed, self.restart, self.jump]
        kinds += [self.task, self.withdraw]
        rough = 0.7 * self.rough
        weights = [70, 12, 9, 4 * self.rough, 3, rough, rough, rough, 1, 1]
        self.random.choices(kinds, weights)[0]()
        self.check_held()

    def obey(self, effects: list[Effect]) -> None:
        self.mirror.obey(effects)
        for draft in self.mirror.drafts.values():
            assert draft.max_tokens <= max(16, self.config.summary_tokens)

    def frame(self, t: float) -> Frame:
        return make_frame(t, width=672, height=384, glance=True)

    def second(self) -> None:
        random, composer, mirror = self.random, self.composer, self.mirror
        self.step += 1
        if self.later and random.random() < 0.5:
            self.become(self.later.pop())  # the shell took its time
        before = self.t
        self.t += random.choice([1.0, 1.0, 1.0, 0.5, 3.7, 12.0])
        backlog: tuple[Second, ...] = ()
        if random.random() < 0.1:
            times = [before + (self.t - before) * (n + 1) / 9 for n in range(random.randint(1, 8))]
            backlog = tuple(Second((self.frame(t - 0.001), self.frame(t)), Look.FULL) for t in times[:-1])
        burst = (self.frame(self.t - 0.02), self.frame(self.t - 0.01)) if random.random() < 0.05 else ()
        look = Look.GLANCE if random.random() < (0.9 if self.small else 0.1) else Look.FULL
        effects, message = composer.compose(self.step, self.frame(self.t), look, burst=burst, backlog=backlog)
        self.obey(effects)
        self.context.append(message.turn)
        mirror.append(message.turn)
        self.check_sent()
        roll = random.random()
        if roll < 0.06:
            self.context.rollback()
            mirror.rollback()
            return
        said = SILENCE
        if roll < 0.2:
            note = random.choice(["A man came in.", "word " * 200])
            said = answer(note)
            composer.said(self.t, note, tuple(self.watches) if roll < 0.13 else ())
        sentence = self.sentence
        early = sentence is not None and random.random() < 0.5
        if sentence is not None and message.query == sentence[0] and early:
            self.become(sentence[1])  # the shell was faster
        self.context.settle(said)
        mirror.settle(said)
        self.settled.append(self.t)
        self.obey(composer.settled(message))
        if sentence is not None and message.query == sentence[0]:
            self.sentence = None
            assert [closed.reason for closed in composer.close(sentence[0], STANDING)] == [STANDING]
            if not early:
                self.later.append(sentence[1])
        elif said != SILENCE and message.query in self.asked:
            composer.answered(message.query, self.step, "The postman.")
            self.asked.remove(message.query)

    def warm(self) -> None:
        prepared = self.mirror.prepared
        if prepared is None:
            self.context.warmed(self.random.randint(0, 3), 5)
            return
        turns = len(prepared.turns) if self.random.random() < 0.7 else self.random.randint(0, len(prepared.turns))
        self.context.warmed(prepared.chunk.number, turns)

    def write(self) -> None:
        drafts = self.mirror.drafts
        outcome: Written | WriteFailed
        if drafts and self.random.random() < 0.9:
            draft_id = self.random.choice(list(drafts))
            del drafts[draft_id]
            self.over.append(draft_id)
        else:
            draft_id = self.random.choice([*self.over, "draft_1", "draft_9", "unknown"])
            if draft_id in drafts:
                return
        if self.random.random() < 0.3:
            outcome = WriteFailed(self.t, draft_id, "engine_timeout", "It took too long.")
        else:
            outcome = Written(self.t, draft_id, self.random.choice(TEXTS))
        self.obey(self.composer.written(outcome))

    def watch(self) -> None:
        if self.watches and self.random.random() < 0.5:
            name = self.random.choice(list(self.watches))
            old = self.watches.pop(name)
            if self.random.random() < 0.5:
                self.watches[name] = Watch(name, name, self.text(), paused=not old.paused)
        elif len(self.watches) < 6:
            self.become(self.text())
        self.composer.watches_changed(watch_set(self.watches.values()))

    def become(self, text: str) -> None:
        self.named += 1
        self.watches[f"id{self.named}"] = Watch(f"id{self.named}", "w", text)
        self.composer.watches_changed(watch_set(self.watches.values()))

    def text(self) -> str:
        self.named += 1
        return f"k{self.named}z " + "tell me when it comes " * self.random.choice([1, 1, 4, 20])

    def ask(self) -> None:
        self.step += 1
        if self.sentence is None and len(self.watches) + len(self.later) < 6 and self.random.random() < 0.4:
            self.sentence = (f"s{self.step}", self.text().strip()[:90].strip())
            self.composer.ask(*self.sentence, self.t)
            return
        self.asked.append(f"q{self.step}")
        self.composer.ask(f"q{self.step}", "What colour is it? " * self.random.choice([1, 30]), self.t)

    def withdraw(self) -> None:
        if self.asked:
            self.composer.withdraw(self.asked.pop(self.random.randrange(len(self.asked))))

    def task(self) -> None:
        self.composer.task_changed(TaskChanged(self.t, "x", "completed", "It is a fox. " * self.random.choice([1, 90])))

    def room_changed(self) -> None:
        self.room = self.random.choice([LEAST, 2000, 3000, 6000, 30_000])
        self.context.set_limit(self.room)
        self.mirror.limit = self.limit

    def restart(self) -> None:
        self.context.restart()

    def jump(self) -> None:
        self.t = max(0.0, self.t - self.random.choice([5.0, 500.0]))

    # ---------------------------------------------------------------------------------------------------------- truths

    @property
    def limit(self) -> int:
        return min(self.config.context_tokens, self.room)

    def check_sent(self) -> None:
        """The prompt as it goes out."""
        held, pending = self.mirror.present, self.mirror.pending
        assert held is not None
        assert pending is not None
        message, cost = held.render(pending)
        assert self.context.tokens >= held.costs[-1] + cost
        assert self.context.tokens + ANSWER_RESERVE <= self.limit
        words = held.words + "\n".join(message)
        for watch in self.watches.values():
            key = watch.text.split(" ")[0]
            ended = words.rfind(f"[Instruction ended] {key}")
            seen = words.rfind(key)
            if watch.paused:
                assert seen < 0 or seen == ended + len("[Instruction ended] ")
            else:
                assert seen > ended + len("[Instruction ended] ") if ended >= 0 else seen >= 0
        tags = [settled.user.t for settled in held.turns] + [pending.t]
        assert tags == sorted(tags)
        assert tags[0] >= 0.0

    def check_held(self) -> None:
        """The engine, obeying, holds what the context believes; nothing of a failed turn."""
        mirror, context = self.mirror, self.context
        if mirror.present is None:
            return
        assert context.turns == tuple(mirror.present.turns)
        times = [settled.user.frame.t for settled in context.turns]
        assert times == self.settled[len(self.settled) - len(times) :]
        if context.prepared is not None:
            assert mirror.prepared is not None
            assert context.prepared.turns == mirror.prepared.turns
            assert context.prepared.tokens + ANSWER_RESERVE <= self.limit


class Grown:
    """What the context holds of each chunk, present or prepared, only grows; frozen values render to the same bytes."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[object, ...]] = {}

    def look(self, context: Context) -> None:
        now = {}
        for state in (context.present, context.prepared):
            if state is not None:
                chunk = state.chunk
                now[chunk.number] = (chunk.system, chunk.prefix, chunk.origin, *state.turns)
        for number, held in now.items():
            before = self.held.get(number, ())
            assert held[: len(before)] == before
        self.held = now


@pytest.mark.parametrize("seeds", [SEEDS[:15], pytest.param(SEEDS[15:], marks=[pytest.mark.slow, pytest.mark.aside])])
def test_a_prompt_only_grows_under_its_budget_and_tells_every_watch(seeds: Sequence[int]) -> None:
    happened: Counter[str] = Counter()
    for seed in seeds:
        world, grown = World(seed), Grown()
        try:
            for _ in range(INPUTS):
                world.one()
                grown.look(world.context)
                happened["inputs"] += 1
        except AssertionError as error:
            error.add_note(f"seed {seed}, input {happened['inputs']}")
            raise
        happened += Counter(
            settled=len(world.settled),
            begun=len(world.mirror.began),
            switched=world.mirror.switched,
            drafts=world.mirror.wrote,
            histories=sum("[Video History]" in chunk.prefix for chunk in world.mirror.began),
            led=sum(bool(chunk.lead) for chunk in world.mirror.began),
        )
    assert happened["inputs"] == INPUTS * len(seeds)
    least = {"settled": 120, "begun": 20, "switched": 6, "drafts": 10, "histories": 6, "led": 12}  # of one seed
    assert all(happened[what] >= count * len(seeds) for what, count in least.items()), happened
