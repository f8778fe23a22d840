"""What the simulated model answers: silence mostly, a reply when it was asked or when its time has come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import cycle, islice

from bench.simulation.prompt import Message, tokens_of
from bench.simulation.sources import moment_of

WORDS = tuple(
    """
    a man in a blue coat stands by the table and looks at the door then he takes the cup and walks slowly to the left
    while the light from the window falls on the floor and a box stays near the wall
    """.split()  # noqa: SIM905
)
QUESTION = re.compile(r"Question (\d+):")


def words(count: int, opening: str = "") -> str:
    """Text of exactly `count` tokens as `prompt.tokens_of` counts them (at least those of `opening`)."""
    room = count - len(tokens_of(opening))
    return opening + "".join(f" {word}" for word in islice(cycle(WORDS), max(0, room)))


def question(number: int) -> str:
    """A question as people ask it, with a number by which the model knows it again."""
    return f"Question {number}: what is the person at the table doing now?"


class ScriptedModel:
    """Speaks in the turn that holds a question, and every `every_s` seconds of each session's stream by itself.

    Replies have `reply_tokens`, summaries `summary_tokens`. The first of the options is chosen, but where the options
    are watches and queries, the newest query.
    """

    def __init__(self, *, reply_tokens: int = 25, every_s: float | None = None, summary_tokens: int = 200) -> None:
        self.reply_tokens = reply_tokens
        self.summary = words(summary_tokens, "Someone came in.")
        self._every_s = every_s
        self._answered: set[tuple[int, str]] = set()
        self._spoken: dict[int, int] = {}
        self.replies = 0

    def score(self, turn: Message) -> float:
        return 0.96 if self._asked(turn) or self._due(turn) is not None else 0.02

    def reply(self, turn: Message) -> str:
        """The words that follow `</response>`; from now on this turn's reason to speak is settled."""
        self.replies += 1
        session, _ = moment_of(turn.images[-1])
        due = self._due(turn)
        if due is not None:
            self._spoken[session] = due
        if asked := self._asked(turn):
            self._answered.add((session, asked))
        # Its number keeps it from being taken for a repetition.
        return words(self.reply_tokens, f" {WORDS[self.replies % len(WORDS)]} {self.replies}")

    def choose(self, question: str, options: int) -> Sequence[float]:
        best = options - 1 if "about" in question.lower() and options > 3 else 0
        return [0.9 if number == best else 0.1 / max(1, options - 1) for number in range(options)]

    def write(self, so_far: str, tokens: int) -> tuple[str, bool]:
        """The next `tokens` tokens of a summary that begins with `so_far`, and whether it is whole."""
        rest = tokens_of(self.summary[len(so_far) :])
        return "".join(rest[:tokens]), len(rest) <= tokens

    def _asked(self, turn: Message) -> str | None:
        found = QUESTION.findall(turn.text)
        if not found or not turn.images:
            return None
        session, _ = moment_of(turn.images[-1])
        return None if (session, found[-1]) in self._answered else str(found[-1])

    def _due(self, turn: Message) -> int | None:
        if self._every_s is None or not turn.images:
            return None
        session, t = moment_of(turn.images[-1])
        number = int(t / self._every_s)
        return number if number > self._spoken.get(session, 0) else None
