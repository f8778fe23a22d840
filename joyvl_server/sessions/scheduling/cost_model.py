"""What an engine's work costs, and how loaded it is. Pure; times are given.

`CostModel` learns from what the engine did: seconds a look costs, how well requests go side by side, how much fits a
slice. `LoadMeter` counts the requests in flight, feeds the model, and says when sessions must step back.

One look alone takes `alone(full)` seconds. With n in flight each takes (1 + s·(n − 1)) times as long: s is 0 where
the engine does them side by side and 1 where one waits for the other. What it can do at most follows from the two.
"""

from __future__ import annotations

from collections import deque

from joyvl_server.core.decisions import Pressure
from joyvl_server.sessions.scheduling.degradation import DegradationPolicy, LoadReading
from joyvl_server.sessions.scheduling.leases import Lease

WINDOW_S = 8.0
"""of the readings of load and lateness"""
KEPT = 4096
ALPHA = 0.15
LASTING_S = 20.0
"""over which the price of a look is averaged for those who want to come: they stay"""
SLICE_OVERHEAD_S = 0.05
"""of a request, whatever is in it"""
FIRST_WARM_RATE, FIRST_WRITE_RATE = 1200.0, 40.0
"""tokens a second taken for true before the first slice"""
REQUEST_TOKENS, GLANCE_TOKENS, FULL_TOKENS = 200, 66, 254
"""What a look costs without its picture; a glance's picture; a full look's, until one was seen. They say what a glance
may cost before one was measured."""
ASSESS_S = 0.5
"""between two looks at the load"""
STALLED_S = 1.0
"""without any answer: the engine stands still, which says nothing about its speed"""
RECOVERY_S = 1.5
OUTLIER = 4.0
"""times the usual: a look that took longer says that the engine stood still, not what a look costs"""


class CostModel:
    def __init__(self, parallel: int) -> None:
        self.parallel = max(1, parallel)
        self._alone: dict[bool, float] = {}
        self.usual = 0.0
        """engine seconds of recent looks, full or not"""
        self._sharing = 1.0
        self._full_tokens = FULL_TOKENS
        self._price = self._priced_at = 0.0
        self._first_at: float | None = None
        """when the first look was through"""
        self._measured_alone = 0
        self._done: deque[tuple[float, float]] = deque(maxlen=KEPT)
        """(time, engine seconds) of the steps in the window, the lost ones too"""
        self._waits: deque[tuple[float, bool]] = deque(maxlen=KEPT)
        """(time, too late) of the steps in the window"""
        self._began: float | None = None
        self._rates = {"warm": FIRST_WARM_RATE, "write": FIRST_WRITE_RATE}

    # --------------------------------------------------------------------------------------------------------- looks

    def alone(self, full: bool) -> float | None:
        """Seconds that a look takes when nothing else is in flight; None until one was measured."""
        if full or False in self._alone:
            return self._alone.get(full)
        whole = self._alone.get(True)
        if whole is None:
            return None
        return whole * min(1.0, (REQUEST_TOKENS + GLANCE_TOKENS) / (REQUEST_TOKENS + self._full_tokens))

    def work(self, full: bool) -> float:
        """Engine seconds that a look takes from everybody; 0 while nothing is known."""
        return (self.alone(full) or self.alone(not full) or 0.0) * self._share

    @property
    def price(self) -> float:
        """Engine seconds that the smallest look takes from everybody, averaged; 0 while nothing is known."""
        known_s = 0.0 if self._first_at is None else self._priced_at - self._first_at
        return self._price if known_s >= LASTING_S else self.work(False)

    def _average(self, now: float) -> None:
        work = self.work(False)
        if self._first_at is None:
            self._first_at, self._price = now, work
        elif now > self._first_at:
            share = (now - self._priced_at) / min(now - self._first_at, LASTING_S)
            self._price += min(1.0, share) * (work - self._price)
        self._priced_at = now

    def takes(self, beside: int) -> float:
        """Seconds a recent look takes with this many others in flight; 0 while nothing is known."""
        return self.usual / self._share * (1 + self._sharing * beside)

    @property
    def _share(self) -> float:
        """Of the time a look takes alone, what is left of it for each when as many go at once as may."""
        return (1 + self._sharing * (self.parallel - 1)) / self.parallel

    def looked(self, now: float, full: bool, seconds: float, beside: float, image_tokens: int = 0) -> None:
        """A look took `seconds`, with `beside` requests in flight on average, itself included.

        The full picture has this many `image_tokens`; 0 where that is not known.
        """
        self._full_tokens = image_tokens or self._full_tokens
        known = self._alone.get(full)
        beside = max(1.0, beside)
        if known is not None:
            seconds = min(seconds, OUTLIER * known * (1 + self._sharing * (beside - 1)))
            if beside > 1.3 and self._measured_alone >= 3:
                found = min(1.0, max(0.0, (seconds / known - 1) / (beside - 1)))
                self._sharing += ALPHA * (found - self._sharing)
        if beside < 1.05:
            self._measured_alone += 1
        cost = seconds / (1 + self._sharing * (beside - 1))
        # Beside others it is not known apart what the look costs and what they do: trusted less.
        trust = ALPHA if beside < 1.3 else ALPHA / 10
        self._alone[full] = cost if known is None else known + trust * (cost - known)
        self.usual += ALPHA * (cost * self._share - self.usual) if self.usual else cost * self._share
        self._done.append((now, cost * self._share))
        self._average(now)

    def waited(self, now: float, *, late: bool) -> None:
        """A step began, `late` when it had to wait for half its second."""
        self._began = now if self._began is None else self._began
        self._waits.append((now, late))

    def lost(self, now: float) -> None:
        """A step whose second was over before it began: its work is wanted too."""
        self._done.append((now, self.work(True)))
        self.waited(now, late=True)

    def load(self, now: float) -> float:
        """Engine seconds wanted for every second; above 1 it cannot keep up."""
        _forget(self._done, now)
        if self._began is None:
            return 0.0
        return sum(work for _, work in self._done) / min(WINDOW_S, max(2.0, now - self._began))

    def late(self, now: float) -> float:
        """Share of the latest steps that waited for half their second, or lost it; 0 while there are hardly any."""
        _forget(self._waits, now)
        return sum(late for _, late in self._waits) / max(4, len(self._waits))

    # -------------------------------------------------------------------------------------------------------- slices

    def tokens(self, kind: str, seconds: float) -> int:
        """How many tokens fit a slice of this many seconds; `kind` is warm or write."""
        return max(0, int((seconds - SLICE_OVERHEAD_S) * self._rates[kind]))

    def sliced(self, kind: str, offered: int, tokens: int, planned: float, seconds: float) -> None:
        """A slice planned for `planned` seconds took `seconds` for `tokens` of the `offered` ones.

        One that was not filled says little: most of its time is the price of a request. The next one grows or shrinks
        towards what was planned, by a bounded step, since what else went on has its part in the time.
        """
        if 2 * tokens >= offered:
            ratio = (planned - SLICE_OVERHEAD_S) / max(0.01, seconds - SLICE_OVERHEAD_S)
            self._rates[kind] *= min(1.2, max(0.85, ratio))

    def slice_too_long(self, kind: str) -> None:
        """A slice had to be cut off: the next one is smaller."""
        self._rates[kind] = max(1.0, self._rates[kind] * 0.7)


class LoadMeter:
    """`running` are the leases that hold a place. `capacity`: how many requests the engine takes well at once."""

    def __init__(self, capacity: int, now: float) -> None:
        self.cost = CostModel(capacity)
        self.running: set[Lease] = set()
        self.assessed_at = float("-inf")
        self._policy = DegradationPolicy()
        self._slicing = False
        self._area, self._counted_at = 0.0, now
        self._answered_at = now
        self._stalled_at = float("-inf")

    @property
    def pressure(self) -> Pressure:
        return self._policy.step

    def adapt(self, capacity: int) -> None:
        self.cost.parallel = max(1, capacity)

    def granted(self, now: float, lease: Lease, waited: float, of: float) -> None:
        """A lease has its place, after `waited` seconds of the `of` seconds it had."""
        if not self.stalled(now):
            self.cost.waited(now, late=waited > of / 2)
        self._count(now)
        self.running.add(lease)

    def began(self, now: float, lease: Lease) -> None:
        """Its request goes out."""
        lease.began_at = now
        lease.area = self._count(now)

    def ended(self, now: float, lease: Lease, *, answered: bool) -> None:
        """Its place is free; `answered`: its requests went through. Nothing where it holds none."""
        if lease not in self.running:
            return
        area = self._count(now)
        if answered and lease.began_at is not None:
            self._answered_at = now
            seconds = now - lease.began_at
            beside = (area - lease.area) / seconds if seconds > 0 else 1.0
            self.cost.looked(now, lease.full, seconds, beside, lease.image_tokens)
        self.running.discard(lease)

    def lost(self, now: float) -> None:
        """A step's second was over before it had a place."""
        if not self.stalled(now):
            self.cost.lost(now)

    def slice_began(self, now: float) -> None:
        """One that holds the engine up."""
        self._count(now)
        self._slicing = True

    def slice_ended(self, now: float) -> None:
        self._count(now)
        self._slicing = False

    def sliced(self, now: float, kind: str, offered: int, tokens: int, planned: float, seconds: float) -> None:
        """A slice went through; see `CostModel.sliced`."""
        self._answered_at = now
        self.cost.sliced(kind, offered, tokens, planned, seconds)

    def is_back(self, now: float) -> None:
        """It was away until now."""
        self._stalled_at = now

    def stalled(self, now: float) -> bool:
        """No answer for long, or just now again: what waits then says nothing about the load."""
        begun = [lease.began_at for lease in self.running if lease.began_at is not None]
        usual = self.cost.alone(True) or 0.0
        if begun and now - max(self._answered_at, min(begun)) > max(STALLED_S, 4 * usual):
            self._stalled_at = now
        return now - self._stalled_at < RECOVERY_S

    def assess(self, now: float, sessions: int) -> bool:
        """Read the load, at most twice a second; True when the pressure changed."""
        if now - self.assessed_at < ASSESS_S or self.stalled(now):
            return False
        self.assessed_at = now
        return self._policy.read(now, LoadReading(self.cost.load(now), self.cost.late(now), sessions))

    def _count(self, now: float) -> float:
        """Requests × seconds so far; to be called just before their number changes."""
        self._area += (len(self.running) + self._slicing) * (now - self._counted_at)
        self._counted_at = now
        return self._area


def _forget(seen: deque[tuple[float, float]] | deque[tuple[float, bool]], now: float) -> None:
    while seen and seen[0][0] < now - WINDOW_S:
        seen.popleft()
