"""A pulled source in a worker: one thread that connects, drains at full rate, and never gives up."""

from __future__ import annotations

import logging
import threading
import time
from random import Random

from joyvl_server.core.errors import NotAllowed, SourceError
from joyvl_server.ingest import faults
from joyvl_server.ingest.base import PullSpec, SourceStatus
from joyvl_server.ingest.deadlines import NEVER, hold
from joyvl_server.ingest.ladder import Ladder
from joyvl_server.ingest.newest import Newest, Report, Tell
from joyvl_server.ingest.players import CameraPlayer, FilePlayer, Player
from joyvl_server.ingest.stage import Stage, Timeouts
from joyvl_server.ingest.trail import Trail
from joyvl_server.kit.netpolicy import NetPolicy

log = logging.getLogger(__name__)

KNOCK_ABOVE_S = 6.0
KNOCK_EVERY_S = 3.0


class Pull:
    """`tell` hears every change of state, from the source's thread.

    `zero`: the moment a camera's stream time counts from. `start`: the stream time a file goes on from.
    """

    def __init__(
        self, spec: PullSpec, policy: NetPolicy, timeouts: Timeouts, tell: Tell, trail: Trail,
        *, zero: float | None = None, start: float = 0.0,
    ) -> None:  # fmt: skip
        self._spec = spec
        self._policy = policy
        self._stage = Stage(timeouts, tell, trail)
        self._ladder = Ladder(Random())
        is_file = spec.url.lower().startswith("file:")
        self._player: Player = FilePlayer(spec.speed, spec.loop, start) if is_file else CameraPlayer(zero)
        self._knock_at: str | None = None
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)

    @property
    def newest(self) -> Newest | None:
        """None while there is nothing to look at."""
        return self._stage.newest

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """End the thread; blocks until it did. False: it still waits for a name server, and ends after that."""
        self._stage.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        stage = self._stage
        with hold(stage.deadline):
            while not stage.stopped:
                error = self._try()
                if stage.clear():
                    self._ladder.reset()
                if stage.stopped:
                    return
                if error is None:
                    stage.tell(Report(SourceStatus.ENDED, "ended", "The file has ended."))
                    return
                self._wait(error)

    def _try(self) -> SourceError | None:
        """One connection. Returns why it was lost; None when it is over for good."""
        self._knock_at = None
        try:
            self._stage.within(NEVER)
            target = self._policy.check(self._spec.url)  # again each time: a name may point elsewhere by now
            self._knock_at = None if target.path else target.url
            self._player.play(target, self._stage)
            return None
        except SourceError as error:
            return error
        except NotAllowed as error:
            return SourceError(str(error), code="not_allowed")
        except Exception:  # this source's supervisor: one bad source must neither stop itself nor others
            log.exception("a source failed in an unknown way")
            return SourceError("The source failed inside the server. Its log says more.", code="internal")

    def _wait(self, error: SourceError) -> None:
        pause = self._ladder.next_s()
        self._stage.tell(
            Report(SourceStatus.OFFLINE, error.code, str(error), retry_in_s=pause, attempts=self._ladder.attempts)
        )
        end = time.monotonic() + pause
        # Far up the ladder a camera that is back would wait half a minute. So knock, if it does not answer now.
        if pause > KNOCK_ABOVE_S and self._knock_at is not None and not faults.answers(self._knock_at):
            while not self._stage.pause(min(KNOCK_EVERY_S, end - time.monotonic())):
                if time.monotonic() >= end or faults.answers(self._knock_at):
                    return
        self._stage.pause(end - time.monotonic())
