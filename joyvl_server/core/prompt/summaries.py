"""Texts that the model writes in the background: summaries of what leaves the context, and long-term accounts of them.

No tick waits for one. A text that failed, or was empty, refused or garbage, is asked for once more after some turns, at
most twice. A stretch without a summary is told by what was said in it; a summary that comes late takes that place from
the next chunk on. Where summaries take too many tokens, the oldest become one account; where that fails they are cut.
At most one summary and one account are under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.effects import Effect, StopWriting, SummaryKept, Write
from joyvl_server.core.inputs import WriteFailed, Written
from joyvl_server.core.prompt.history import retagged
from joyvl_server.core.prompt.instructions import (
    condense_instruction,
    condense_system,
    summary_instruction,
    usable,
)
from joyvl_server.core.prompt.prefix import newest
from joyvl_server.core.prompt.summary_log import Summary, SummaryLog
from joyvl_server.core.prompt.turns import Chunk, Draft, SettledTurn
from joyvl_server.core.prompt.wire_format import MESSAGE, text_tokens

MAX_ATTEMPTS = 3
LEAST_SUMMARY, TOKENS_A_SECOND = 48, 1.5
"""tokens of a summary: this many for a second of what it covers. A text costs as long as all of it is written"""
RETRY_TURNS = 4
"""turns between a failure and the next attempt"""
MAX_TURNS = 60
"""turns after which a draft is given up"""
GIVE_UP_AFTER, TRY_AGAIN = 2, 6
"""chunks in a row whose summary came too late, after which the next ones are prepared without waiting for theirs"""
MAX_LATE = 4
"""drafts given up whose text is taken all the same, should it come"""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A text wanted for these summaries. `since` and `again` are counts of settled turns; `again` is set while it waits
    for another attempt. `prompt` is what the model reads for it, in tokens."""

    draft: Draft
    summaries: tuple[int, ...]
    origin: float
    prompt: int
    since: int
    attempts: int = 1
    retry_at: int | None = None


class Summaries:
    """`cut` → `settled` after every turn → `left` when the chunk is left; `written` in between."""

    def __init__(self, config: ObserverConfig) -> None:
        self._config = config
        self._log = SummaryLog()
        self._summary: _Wanted | None = None
        self._account: _Wanted | None = None
        self._late: dict[str, _Wanted] = {}
        self._turns = 0
        self._drafts = 0
        self._unfinished = 0
        self.kept: list[Effect] = []
        """summaries that were kept since somebody took this away"""

    def configure(self, config: ObserverConfig) -> list[Effect]:
        """`config` counts from now on. An engine that no longer writes owes no draft."""
        self._config = config
        if self.enabled:
            return []
        effects = self._drop_summary()
        if (wanted := self._account) is not None:
            effects += self._stop(wanted)
            self._shorten(wanted)
        return effects

    @property
    def enabled(self) -> bool:
        return self._config.engine.writes and self._config.memory_tokens > 0

    @property
    def unread(self) -> bool:
        """Did something come that may have to be made shorter?"""
        return self._log.changed

    @property
    def hopeful(self) -> bool:
        """Is a summary worth waiting for? Not where the last ones came too late, but for one in `TRY_AGAIN`."""
        return self.enabled and (self._unfinished < GIVE_UP_AFTER or self._unfinished % TRY_AGAIN == 0)

    @property
    def awaited(self) -> bool:
        """May the summary of the last cut still come in time? Not where it has failed once: the next chunk has to be
        warm when this one is full, and what is written at another try joins the chunk after that one."""
        summary = self._summary
        return summary is not None and self.hopeful and summary.attempts == 1 and summary.retry_at is None

    def event(self, t: float, text: str) -> None:
        """Something was said at stream time `t`."""
        self._log.event(t, text)

    def forget(self, since: float, until: float) -> None:
        """What lies, even in part, between these stream times; a text of it that comes later is not taken, and an
        account of it is not asked for again."""
        self._log.forget(since, until)
        if (wanted := self._account) is not None and not self._log.has(wanted.summaries):
            self._account = None if wanted.retry_at is not None else replace(wanted, attempts=MAX_ATTEMPTS)

    def shift(self, seconds: float) -> None:
        """Stream time jumped: what was stays as long ago as it is."""
        self._log.shift(seconds)
        self._late = {key: replace(late, origin=late.origin + seconds) for key, late in self._late.items()}
        if self._account is not None:
            self._account = replace(self._account, origin=self._account.origin + seconds)

    def told(self) -> list[Summary]:
        """What is remembered, oldest first, with stream times."""
        return self._log.told(self._config.summary_tokens)

    def lines(self, origin: float, available: int) -> list[str]:
        """`[Video History]` for a chunk with this origin: the newest lines that fit `available` tokens."""
        return newest(self._log.lines(origin, self._longest(available)), available)

    def cover(self, start: float, end: float) -> int | None:
        """What lies between leaves the context (stream seconds); it is told by what was said. None: nothing is new."""
        start = self._new_from(start)
        return self._log.add(start, end) if self.enabled and end > start else None

    def tell(self, start: float, end: float, *, changed: bool) -> None:
        """What lies between leaves the context (stream seconds); it is told by what was said, and when it `changed`."""
        if self._config.memory_tokens > 0 and (self._log.end is None or end > self._log.end):
            self._log.tell(self._new_from(start), end, changed=changed)

    def cut(
        self, chunk: Chunk, turns: Sequence[SettledTurn], tokens: int, watches: Sequence[str], budget: int, memory: int
    ) -> list[Effect]:
        """The turns of the chunk so far, lead included, are to be summed up. `tokens` is what they all cost."""
        effects = self._drop_summary()
        start, end = self._new_from(turns[0].user.frame.t), turns[-1].user.frame.t
        number = self.cover(start, end)
        if number is None:
            return effects
        longest = min(self._longest(memory), max(LEAST_SUMMARY, round(TOKENS_A_SECOND * (end - start))))
        instruction = summary_instruction(self._config.language, watches, longest)
        draft = Draft(self._id(), instruction, longest, chunk, tuple(turns[len(chunk.lead) :]))
        wanted = self._want(draft, (number,), chunk.origin, tokens)
        if wanted.prompt + longest > budget:
            return effects
        self._summary = wanted
        return [*effects, Write(draft)]

    def settled(self, watches: Sequence[str], budget: int, memory: int) -> list[Effect]:
        """A turn has settled: give up what took too long, ask again for what failed, see to the long-term accounts."""
        self._turns += 1
        effects: list[Effect] = []
        if (wanted := self._summary) is not None:
            if self._over(wanted, budget):
                effects += self._drop_summary()
            elif wanted.retry_at is not None and wanted.retry_at <= self._turns:
                self._summary = self._retried(wanted)
                effects.append(Write(self._summary.draft))
        if (wanted := self._account) is not None:
            if self._over(wanted, budget):
                effects += self._stop(wanted)
                self._shorten(wanted)
            elif wanted.retry_at is not None and wanted.retry_at <= self._turns:
                self._account = self._retried(wanted)
                effects.append(Write(self._account.draft))
        elif self._summary is None and self._log.changed:
            effects += self._condense(watches, budget, memory)
        return effects

    def left(self) -> list[Effect]:
        """The chunk is left: its turns go out of the engine's cache, and reading them again costs too much."""
        return self._drop_summary()

    def written(self, outcome: Written | WriteFailed) -> None:
        """A draft is whole, or will never be. Unknown ids are ignored."""
        late = self._late.pop(outcome.id, None)
        summary, account = self._summary, self._account
        if late is not None:
            self._take(late, outcome)
        elif summary is not None and summary.draft.id == outcome.id and summary.retry_at is None:
            taken = self._take(summary, outcome)
            if taken:
                self._unfinished = 0
            self._summary = None if taken else self._failed(summary)
        elif account is not None and account.draft.id == outcome.id and account.retry_at is None:
            taken = self._take(account, outcome)
            self._account = None if taken else self._failed(account)
            if not taken and self._account is None:
                self._shorten(account)

    # --------------------------------------------------------------------------------------------------------- helpers

    def _new_from(self, start: float) -> float:
        """From when on nothing is known yet of a stretch that begins at `start`."""
        return start if self._log.end is None else max(start, self._log.end)

    def _condense(self, watches: Sequence[str], budget: int, memory: int) -> list[Effect]:
        self._log.changed = False
        longest = self._longest(memory)
        chosen: list[Summary] = self._log.oldest(memory, longest)
        if not chosen:
            return []
        origin = chosen[0].origin
        notes = self._log.lines(origin, longest, chosen)
        instruction = condense_instruction(notes, self._config.language, watches, longest)
        draft = Draft(self._id(), instruction, longest, system=condense_system())
        numbers = tuple(summary.number for summary in chosen)
        wanted = self._want(draft, numbers, origin, MESSAGE + text_tokens(draft.system))
        if not self.enabled or wanted.prompt + longest > budget:
            self._log.shorten(numbers, longest)
            return []
        self._account = wanted
        return [Write(draft)]

    def _longest(self, memory: int) -> int:
        return max(16, min(self._config.summary_tokens, memory // 3))

    def _id(self) -> str:
        self._drafts += 1
        return f"draft_{self._drafts}"

    def _want(self, draft: Draft, summaries: tuple[int, ...], origin: float, tokens: int) -> _Wanted:
        """`tokens` of what comes before the instruction and the answer's beginning."""
        prompt = tokens + text_tokens(draft.instruction) + 2 * MESSAGE
        return _Wanted(draft, summaries, origin, prompt, self._turns)

    def _over(self, wanted: _Wanted, budget: int) -> bool:
        too_large = wanted.prompt + wanted.draft.max_tokens > budget
        return too_large or self._turns - wanted.since >= MAX_TURNS

    def _retried(self, wanted: _Wanted) -> _Wanted:
        return replace(wanted, draft=replace(wanted.draft, id=self._id()), attempts=wanted.attempts + 1, retry_at=None)

    def _failed(self, wanted: _Wanted) -> _Wanted | None:
        return replace(wanted, retry_at=self._turns + RETRY_TURNS) if wanted.attempts < MAX_ATTEMPTS else None

    def _take(self, wanted: _Wanted, outcome: Written | WriteFailed) -> bool:
        text = usable(outcome.text, wanted.draft.max_tokens * 3 // 2) if isinstance(outcome, Written) else None
        if text is None:
            return False
        kept = self._log.write(wanted.summaries, text, wanted.origin)
        if kept is not None:
            told = retagged(text, kept.origin)
            self.kept.append(SummaryKept(kept.number, kept.start, kept.end, told, kept.block))
        return True

    def _drop_summary(self) -> list[Effect]:
        wanted, self._summary = self._summary, None
        if wanted is None:
            return []
        self._unfinished += 1
        return self._stop(wanted)

    def _stop(self, wanted: _Wanted) -> list[Effect]:
        """Should its text come all the same, it is taken; its turns are let go."""
        if wanted.retry_at is not None:
            return []
        draft = replace(wanted.draft, chunk=None, turns=())
        self._late[draft.id] = replace(wanted, draft=draft)
        if len(self._late) > MAX_LATE:
            del self._late[next(iter(self._late))]
        return [StopWriting(draft.id)]

    def _shorten(self, wanted: _Wanted) -> None:
        """Without an engine: after this nothing of it is wanted any more."""
        self._account = None
        self._log.shorten(wanted.summaries, wanted.draft.max_tokens)
