"""What the model gets to see of each second: the gaze's looks, and the seconds that passed during a reply."""

from __future__ import annotations

from dataclasses import replace

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.pending_step import PendingStep
from joyvl_server.core.decisions import Pressure, Skip
from joyvl_server.core.gaze.backlog import Backlog
from joyvl_server.core.gaze.gaze import Gaze, Glimpse
from joyvl_server.core.inputs import Passed, Tick
from joyvl_server.core.prompt.turns import Look, Second
from joyvl_server.core.watches.time_conditions import time_conditioned
from joyvl_server.core.watches.watches import WatchBook


class Looking:
    """`at` each second the session looks at; its turn is `seen` by the model, then `settled` or `lost`. `miss` those
    that pass during the reply."""

    def __init__(self, config: ObserverConfig) -> None:
        self._keeps = not config.engine.needs_every_frame
        self._gaze = Gaze(config)
        self._backlog = Backlog()
        self._again = False

    def press(self, pressure: Pressure) -> None:
        """How short of time the engine is."""
        self._gaze.pressure = pressure

    def configure(self, config: ObserverConfig) -> None:
        """`config` counts from now on. An engine that needs every frame follows them itself: nothing waits for it."""
        self._keeps = not config.engine.needs_every_frame
        self._gaze.configure(config)
        if not self._keeps:
            self._backlog.drop()

    def watch(self, book: WatchBook) -> None:
        """A watch that depends on time needs every second."""
        self._gaze.timed = any(time_conditioned(watch.text) for watch in book.active)

    def at(self, tick: Tick, *, wanted: bool) -> tuple[Glimpse, tuple[Second, ...]]:
        """What the newest picture may cost, and the seconds that go with it; nothing goes with a frame to skip.

        A still picture is looked at all the same where seconds of the reply before wait for a turn to go with.
        """
        missed = self._backlog.offer((*tick.burst, tick.frame)[0].t)
        glimpse = self._gaze.judge(tick.frame, wanted=wanted or self._again)
        if glimpse.look is not Look.SKIP:
            return glimpse, missed
        if missed:
            return replace(glimpse, look=Look.GLANCE), missed
        self._backlog.failed()
        return glimpse, ()

    def miss(self, second: Tick | Passed, flight: PendingStep) -> Skip:
        """A second passes during the reply of `flight`: it is kept for the next turn, if there is anything to see.

        Returns why it has no turn of its own.
        """
        frame = second.frame
        if not self._keeps or frame.t <= flight.frame.t:
            return Skip.BUSY
        glimpse = self._gaze.judge(frame, wanted=False)
        if glimpse.look is Look.SKIP:
            return Skip.STILL
        self._gaze.saw(frame, glimpse)
        self._backlog.keep(Second((*second.burst, frame), glimpse.look))
        return Skip.BUSY

    def seen(self, flight: PendingStep) -> None:
        """The model has weighed the turn."""
        if not flight.seen:
            flight.seen = True
            self._gaze.saw(flight.frame, flight.glimpse)

    def settled(self, flight: PendingStep) -> None:
        self.seen(flight)
        self._backlog.settled()
        self._again = False

    def lost(self, flight: PendingStep) -> None:
        """The turn failed: what it carried of the reply before waits again, and what was seen is looked at anew."""
        self._backlog.failed()
        self._again = self._again or flight.seen
