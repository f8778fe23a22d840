"""How long to wait before the next try to reach a source."""

from __future__ import annotations

from random import Random

from joyvl_server.kit.backoff import Backoff

STEPS = ((1.0, 5), (2.0, 5))
"""(seconds, how often), then `LAST_S`: a camera that restarts is back at once, one that is away is not hammered."""
LAST_S = 3.0
"""A try takes a second where nothing answers: together with it, and with the jitter, tries are under 5 s apart."""
REFUSED_STEPS = ((30.0, 2), (60.0, 2))
REFUSED_LAST_S = 300.0
"""Many cameras lock an account, or us, for half an hour after some five wrong passwords within minutes."""
JITTER = 0.2
"""Twenty cameras behind one switch that comes back must not all be tried in the same moment."""


class SourceBackoff:
    """`attempts` counts the failed tries since the last success. A refused password has pauses of its own."""

    def __init__(self, random: Random) -> None:
        self._usual = Backoff(LAST_S, LAST_S, steps=STEPS, jitter=JITTER, random=random)
        self._refused = Backoff(REFUSED_LAST_S, REFUSED_LAST_S, steps=REFUSED_STEPS, jitter=JITTER, random=random)

    @property
    def attempts(self) -> int:
        return self._usual.failures + self._refused.failures

    def failed(self, code: str | None = None) -> float:
        """Another try has failed, with this error's code: the pause before the next one, in seconds."""
        if code == "unauthorized":
            return self._refused.failed()
        return self._usual.failed()

    def worked(self) -> None:
        self._usual.worked()
        self._refused.worked()
