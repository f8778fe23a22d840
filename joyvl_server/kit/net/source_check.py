"""May a source be reached? Asks the net policy, which resolves names and reads the disk, without blocking the loop."""

from __future__ import annotations

from joyvl_server.core.errors import SourceError
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.kit.threads import BoundedThreads

THREADS = 16
TIMEOUT_S = 2.0


class SourceCheck:
    """It resolves names in its own threads, so that slow name servers delay neither one another nor the rest."""

    def __init__(self, policy: NetPolicy, *, timeout_s: float = TIMEOUT_S) -> None:
        self._policy = policy
        self._threads = BoundedThreads("check of a source", limit=THREADS, timeout_s=timeout_s)

    async def check(self, url: str) -> None:
        """Raises `NotAllowed`, or `SourceError` for a file that cannot be read.

        A name that has no address (yet), or whose name server takes too long, passes: the media worker asks the policy
        at each connect. Cancelled, it leaves a thread to the name server it waits for.
        """
        try:
            if not url.lower().startswith("file:"):
                self._policy.check(url, resolve=_no_names)
                return
        except _NameNeeded:
            pass
        try:
            await self._threads.run(lambda: self._policy.check(url))
        except TimeoutError:
            return
        except SourceError as error:
            if error.code != "unreachable":
                raise


class _NameNeeded(Exception):
    """The URL holds a name, not an address."""


def _no_names(host: str) -> list[str]:
    raise _NameNeeded
