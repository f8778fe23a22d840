"""A pulled source in a worker: one thread that connects, drains at full rate, and never gives up."""

from __future__ import annotations

import logging
import threading
from random import Random

from joyvl_server.core.errors import NotAllowed, SourceError
from joyvl_server.ingest import source_errors
from joyvl_server.ingest.backoff import SourceBackoff
from joyvl_server.ingest.base import PullSpec, SourceStatus
from joyvl_server.ingest.worker.deadlines import NEVER, hold
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.newest import DecodedFrame, SourceReport, Tell
from joyvl_server.ingest.worker.players import CameraReader, FileReader, FrameReader
from joyvl_server.ingest.worker.stage import FramePublisher, Timeouts
from joyvl_server.kit.net.policy import NetPolicy

log = logging.getLogger(__name__)

DEAF_KNOCKS = 6
"""Some server may not answer what a knock says: after so many in a row it is opened all the same."""


class PullSource:
    """`tell` hears every change of state, from the source's thread.

    `zero`: the moment a camera's stream time counts from. `start`: the stream time a file goes on from.
    """

    def __init__(
        self, spec: PullSpec, policy: NetPolicy, timeouts: Timeouts, tell: Tell, trail: GreyHistory,
        *, zero: float | None = None, start: float = 0.0,
    ) -> None:  # fmt: skip
        self._spec = spec
        self._policy = policy
        self._stage = FramePublisher(timeouts, tell, trail)
        self._backoff = SourceBackoff(Random())
        is_file = spec.url.lower().startswith("file:")
        self._player: FrameReader = FileReader(spec.speed, spec.loop, start) if is_file else CameraReader(zero)
        self._knocks = 0
        self._code: str | None = None
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)

    @property
    def newest(self) -> DecodedFrame | None:
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
                    self._backoff.worked()
                if stage.stopped:
                    return
                if error is None:
                    stage.tell(SourceReport(SourceStatus.ENDED, "ended", "The file has ended."))
                    return
                self._wait(error)

    def _try(self) -> SourceError | None:
        """One connection. Returns why it was lost; None when it is over for good."""
        try:
            self._stage.within(NEVER)
            target = self._policy.check(self._spec.url)  # again each time: a name may point elsewhere by now
            if self._backoff.attempts and target.path is None:
                self._knock(target.url)
            self._player.play(target, self._stage)
            return None
        except SourceError as error:
            return error
        except NotAllowed as error:
            return SourceError(str(error), code="not_allowed")
        except Exception:  # this source's supervisor: one bad source must neither stop itself nor others
            if self._code != "internal":  # it is tried again every few seconds, and may fail so for days
                log.exception("a source failed in an unknown way")
            return SourceError("The source failed inside the server. Its log says more.", code="internal")

    def _knock(self, url: str) -> None:
        """It was away: opening costs much more than finding that nobody is there yet. Raises `SourceError`."""
        absent = source_errors.knock(url)
        if absent is None or self._knocks == DEAF_KNOCKS:
            self._knocks = 0
            return
        self._knocks += 1
        raise absent

    def _wait(self, error: SourceError) -> None:
        self._code = error.code
        pause = self._backoff.failed(error.code)
        attempts = self._backoff.attempts
        self._stage.tell(
            SourceReport(SourceStatus.OFFLINE, error.code, str(error), retry_in_s=pause, attempts=attempts)
        )
        self._stage.pause(pause)
