"""What pictures cost at an engine, learnt from how long its decisions took, and how many a prompt may have. Pure.

A decision takes `fixed + new × fresh + again × old` seconds. Fresh pictures are those that the server has not read in
this place before: the newest one, or all in a chunk that begins. Old ones stood in the request before, too. A server
that keeps what it has read pays nothing for them; one that reads every picture again pays for them as for fresh ones.

The two prices are medians over differences between readings, so that a slow request now and then changes nothing; the
fixed part is the median of the newest readings, so that a server that became slower or faster is noticed soon. Where
few pictures are sent, now and then one fewer is: without differences the prices would stay unknown.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, replace
from itertools import accumulate
from math import sqrt
from statistics import median

TARGET = 0.9
"""of the time between two ticks is what a decision may take"""
MORE = 1.25
"""Where one picture alone takes longer than that, a decision may take this many times as long as with one picture."""
LEAST_S = 0.008
"""a picture that costs less costs nothing"""
MANY = 64
"""pictures; the tokens of a context are the bound for more"""
LAGS = (1, 2, 3, 4)
"""readings so far apart are compared. Were it more, a server that has become slower for other reasons would look as if
the pictures were the cause"""
KEPT = 32
"""differences kept for each price"""
ENOUGH = 3
"""differences that make a price known"""
DOUBT = 3.0
"""spreads of the differences, over the root of their number, that a price may be wrong by: a chunk is first cut short
only where the price counts even so. A cache thrown away for nothing costs more than it saves"""
NEWEST = 5
"""readings that tell the fixed part"""
HOLDS = 3
"""readings that agree before there may be more pictures; fewer are taken at once"""
VARY_EVERY = 8
"""readings between two tries with one picture fewer"""
RETRY_AFTER, LONGEST_RETRY = 128, 1024
"""where one picture is all there is time for: readings between two tries with two"""


@dataclass(frozen=True, slots=True)
class PictureLimit:
    """Pictures of a prompt: at most `most`, and at most `fresh` in a chunk that begins. None: what the tokens allow."""

    most: int | None = None
    fresh: int | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    fresh: int
    old: int
    seconds: float


class PictureCosts:
    """`took` after every decision; `limit` is what follows. One for each session: `tick_s` is its tick in seconds."""

    def __init__(self, tick_s: float) -> None:
        self.limit = PictureLimit()
        self._tick_s = tick_s
        self._readings: deque[_Reading] = deque(maxlen=max(*LAGS, NEWEST))
        self._new: deque[tuple[float, int]] = deque(maxlen=KEPT)
        """(seconds a picture, pictures that they were seen on), between readings that differ in nothing else"""
        self._new_begun: deque[tuple[float, int]] = deque(maxlen=KEPT)
        """the same where a chunk began, so that the old ones differ too: only as good as their price is"""
        self._reread: deque[tuple[float, int]] = deque(maxlen=KEPT)
        self._wanted: deque[PictureLimit] = deque(maxlen=HOLDS)
        self._since = 0
        """readings since the number of pictures was varied on purpose"""
        self._retry = RETRY_AFTER

    @property
    def alone(self) -> float | None:
        """Seconds of a decision about one picture; None until something was read."""
        if not self._readings:
            return None
        new, _, fixed = self._prices()
        return fixed + new

    def took(self, fresh: int, old: int, seconds: float) -> None:
        """A decision took `seconds`; its prompt had `fresh` pictures (at least one), and `old` ones."""
        reading = _Reading(fresh, old, seconds)
        self._compare(reading)
        self._readings.append(reading)
        doubt = 0.0 if self.limit.most is not None else _doubt(self._reread)
        self._wanted.append(self._affordable(doubt))
        limit = PictureLimit(
            _least([wanted.most for wanted in self._wanted]), _least([wanted.fresh for wanted in self._wanted])
        )
        if limit.most is not None and self.limit.most is None and fresh + old <= limit.most:
            limit = replace(limit, most=None)  # the chunk is left to grow until that is too much
        self.limit = self._varied(limit)

    # ------------------------------------------------------------------------------------------------------- learning

    def _compare(self, reading: _Reading) -> None:
        """What the difference to earlier readings says about the two prices."""
        new, reread, _ = self._prices()
        for lag in LAGS:
            if lag > len(self._readings):
                return
            before = self._readings[-lag]
            fresh, old = reading.fresh - before.fresh, reading.old - before.old
            seconds = reading.seconds - before.seconds
            if old == 0 and fresh != 0:
                self._new.append((seconds / fresh, abs(fresh)))
            elif old != 0 and fresh > 0:
                self._new_begun.append(((seconds - reread * old) / fresh, fresh))
            elif old != 0:
                self._reread.append(((seconds - new * fresh) / old, abs(old)))

    def _prices(self, doubt: float = 0.0) -> tuple[float, float, float]:
        """Seconds of a fresh picture, of an old one (less the `doubt`), and of the rest of a decision; at least 0."""
        if not self._readings:
            return 0.0, 0.0, 0.0
        reread = max(0.0, _price(self._reread) - doubt)
        newest = list(self._readings)[-NEWEST:]
        seen = self._new if len(self._new) >= ENOUGH else self._new_begun
        if len(seen) >= ENOUGH:
            new = _price(seen)
        else:  # nobody knows what part of a decision the picture is
            alone = median((reading.seconds - reread * reading.old) / reading.fresh for reading in newest)
            new = max(reread, alone / 2)
        fixed = median(reading.seconds - new * reading.fresh - reread * reading.old for reading in newest)
        if fixed < 0:  # the prices are older than what is read now: the server has become faster
            whole = median(reading.seconds for reading in newest)
            factor = whole / (whole - fixed)
            return new * factor, reread * factor, 0.0
        return new, reread, fixed

    def _affordable(self, doubt: float) -> PictureLimit:
        new, reread, fixed = self._prices(doubt)
        seconds = max(TARGET * self._tick_s, MORE * (fixed + new))
        fresh = _number(seconds - fixed, new)
        if len(self._reread) < ENOUGH or (most := _number(seconds - fixed - new, reread)) is None or most >= MANY:
            return PictureLimit(None, fresh)
        most += 1
        return PictureLimit(most, most if fresh is None else min(most, fresh))

    def _varied(self, limit: PictureLimit) -> PictureLimit:
        """Now and then one picture fewer, so that the next two readings tell what pictures cost."""
        if limit.most is None or limit.fresh is None or limit.fresh < limit.most:
            self._since = 0  # the chunk grows, so the readings differ by themselves
            return limit
        self._since += 1
        if limit.most > 1 and self._since >= VARY_EVERY:
            self._since = 0
            return replace(limit, fresh=limit.most - 1)
        if limit.most == 1 and self._since >= self._retry:
            self._since, self._retry = 0, min(2 * self._retry, LONGEST_RETRY)
            return replace(limit, most=2)
        return limit


def _price(slopes: deque[tuple[float, int]]) -> float:
    """The weighted median; 0 where too little is known."""
    if len(slopes) < ENOUGH:
        return 0.0
    ordered = sorted(slopes)
    passed = list(accumulate(weight for _, weight in ordered))
    return max(0.0, ordered[bisect_left(passed, passed[-1] / 2)][0])


def _doubt(slopes: deque[tuple[float, int]]) -> float:
    """What the price may be too high by."""
    price = _price(slopes)
    spread = median(abs(slope - price) for slope, _ in slopes) if slopes else 0.0
    return DOUBT * spread / sqrt(max(1, len(slopes)))


def _number(seconds: float, price: float) -> int | None:
    """How many pictures `seconds` pay for; at least 0."""
    if price < LEAST_S or seconds >= MANY * price:
        return None
    return max(0, int(seconds / price + 1e-6))


def _least(numbers: list[int | None]) -> int | None:
    return min((number for number in numbers if number is not None), default=None)
