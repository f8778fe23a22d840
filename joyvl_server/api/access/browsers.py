"""Signed-in browsers: a cookie each, valid for hours, longer while it is used. Only digests of cookies are kept."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace

from joyvl_server.api.access.caller import Caller
from joyvl_server.kit.clock import Clock
from joyvl_server.store.access.logins import MOST, Logins
from joyvl_server.store.access.records import LoginRecord, digest_of, new_secret

IDLE_S = 12 * 3600.0
"""Seconds after its last use at which a browser is signed out."""
LONGEST_S = 30 * 86_400.0
"""Seconds after it signed in at which it has to do so again."""
MOST_OF_KEY = 200
"""Browsers of one key, or of all links. Beyond it, and beyond all that are kept, who was quiet longest is signed out:
nobody fills the memory, and nobody can sign out the browsers of others."""
RENEWED_S = 600.0
"""Seconds between two renewals."""

OwnerOf = Callable[[str | None], Caller | None]
"""The caller of the key that a browser signed in with (None: a one-time link); None where that is no more."""


class Browsers:
    def __init__(self, logins: Logins, clock: Clock) -> None:
        self._logins = logins
        self._clock = clock
        self._known: dict[str, tuple[LoginRecord, Caller]] = {}

    async def load(self, owner: OwnerOf) -> None:
        """Take up those of an earlier run. Raises `StoreError`. Cancelling it changes nothing."""
        for login in await self._logins.list(self._clock.wall()):
            caller = owner(login.key)
            if caller is not None:
                self._known[login.digest] = (login, _caller(login, caller))

    async def sign_in(self, owner: Caller, key: str | None) -> str:
        """A new cookie's value. Raises `StoreError`. Cancelled, the browser may be signed in without knowing it."""
        token, now = new_secret(), self._clock.wall()
        login = LoginRecord(digest_of(token), key, now, _until(now, now, owner))
        await self._logins.add(login)
        self._known[login.digest] = (login, _caller(login, owner))
        await self._make_way(key)
        return token

    async def sign_out(self, token: str) -> None:
        """Has no effect on a cookie that is not known. Raises `StoreError`. Cancelled, it is out all the same."""
        await self._end(digest_of(token))

    async def _make_way(self, key: str | None) -> None:
        logins = [login for login, _ in self._known.values()]
        for several, most in (([one for one in logins if one.key == key], MOST_OF_KEY), (logins, MOST)):
            for login in sorted(several, key=lambda one: one.until_wall)[: max(0, len(several) - most)]:
                await self._end(login.digest)

    async def _end(self, digest: str) -> None:
        found = self._known.pop(digest, None)
        if found is not None:
            found[1].ended.set()
            await self._logins.remove(found[0].digest)

    def find(self, token: str) -> tuple[Caller, float | None] | None:
        """(who it is, seconds for which the browser shall keep the cookie where it is renewed) of a cookie."""
        digest = digest_of(token)
        found = self._known.get(digest)
        now = self._clock.wall()
        if found is None or not hmac.compare_digest(found[0].digest, digest) or found[0].until_wall <= now:
            return None
        login, caller = found
        until = _until(login.created_wall, now, caller)
        if until - login.until_wall < RENEWED_S:
            return caller, None
        self._known[digest] = (replace(login, until_wall=until), caller)
        self._logins.renew(digest, until)
        return caller, until - now

    def tidy(self, owner: OwnerOf) -> None:
        """Sign out those whose time or whose key is over."""
        now = self._clock.wall()
        for digest, (login, caller) in list(self._known.items()):
            if login.until_wall <= now or owner(login.key) is None:
                caller.ended.set()
                del self._known[digest]


def _caller(login: LoginRecord, owner: Caller) -> Caller:
    return Caller(f"login_{login.digest[:12]}", owner.shown, owner.role, owner.cameras, owner.until_wall)


def _until(created: float, now: float, owner: Caller) -> float:
    most = created + LONGEST_S
    return min(now + IDLE_S, most, most if owner.until_wall is None else owner.until_wall)
