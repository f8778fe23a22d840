"""Signed-in browsers: a cookie each, valid for hours, longer while it is used. Only digests of cookies are kept."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import replace

from joyvl_server.api.access.caller import Caller
from joyvl_server.core.errors import NotFound, StoreError
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
        self._used: dict[str, float] = {}
        self._changing = asyncio.Lock()
        """so that one who signs in while the disk is read is not taken for one that was ended"""

    async def load(self, owner: OwnerOf) -> None:
        """Take up those of an earlier run whose key is still there. Raises `StoreError`. Cancelled, some are known."""
        for login in await self._logins.list(self._clock.wall()):
            caller = owner(login.key)
            if caller is None:
                await self._logins.remove(login.digest)
            else:
                self._known[login.digest] = (login, _caller(login, caller))

    async def look(self) -> None:
        """Sign out those that another process has ended (`joyvl keys logins --end`). Where the disk fails, all stay.
        Cancelling it changes nothing."""
        async with self._changing:
            try:
                there = {login.digest for login in await self._logins.list(0.0)}
            except StoreError:
                return  # the keys are read from the same disk, and told of
            for digest in self._known.keys() - there:
                self._drop(digest)

    def all(self) -> list[tuple[LoginRecord, Caller]]:
        """The browsers that are signed in, oldest first."""
        now = self._clock.wall()
        found = [
            (replace(one, used_wall=self._used.get(one.digest, one.used_wall)), who)
            for one, who in self._known.values()
        ]
        return sorted((one for one in found if one[0].until_wall > now), key=lambda one: one[0].created_wall)

    async def sign_in(self, owner: Caller, key: str | None, address: str) -> str:
        """A new cookie's value, for a browser at this address. Raises `StoreError`. Cancelled, the browser may be
        signed in without knowing it."""
        token, now = new_secret(), self._clock.wall()
        login = LoginRecord(digest_of(token), key, now, _until(now, now, owner), address, now)
        async with self._changing:
            await self._logins.add(login)
            self._known[login.digest] = (login, _caller(login, owner))
        await self._make_way(key)
        return token

    async def end(self, login_id: str) -> LoginRecord:
        """Sign this one out; streams that it opened end. Raises `NotFound`, `StoreError`. Cancelled, it is out all the
        same."""
        found = next((login for login, _ in self._known.values() if login.id == login_id), None)
        if found is None:
            raise NotFound(f"There is no signed-in browser {login_id[:100]}.")
        await self._end(found.digest)
        return found

    async def sign_out(self, token: str) -> None:
        """Has no effect on a cookie that is not known. Raises `StoreError`. Cancelled, it is out all the same."""
        await self._end(digest_of(token))

    async def _make_way(self, key: str | None) -> None:
        logins = [login for login, _ in self._known.values()]
        for several, most in (([one for one in logins if one.key == key], MOST_OF_KEY), (logins, MOST)):
            for login in sorted(several, key=lambda one: one.until_wall)[: max(0, len(several) - most)]:
                await self._end(login.digest)

    async def _end(self, digest: str) -> None:
        """The record first: were it left, a restart would let the browser in again."""
        if digest in self._known:
            await asyncio.shield(self._ended(digest))

    async def _ended(self, digest: str) -> None:
        async with self._changing:
            await self._logins.remove(digest)
            self._drop(digest)

    def _drop(self, digest: str) -> None:
        found = self._known.pop(digest, None)
        if found is not None:
            self._used.pop(digest, None)
            found[1].ended.set()

    def find(self, token: str) -> tuple[Caller, float | None] | None:
        """(who it is, seconds for which the browser shall keep the cookie where it is renewed) of a cookie."""
        digest = digest_of(token)
        found = self._known.get(digest)
        now = self._clock.wall()
        if found is None or not hmac.compare_digest(found[0].digest, digest) or found[0].until_wall <= now:
            return None
        login, caller = found
        self._used[digest] = now
        until = _until(login.created_wall, now, caller)
        renewed = until - login.until_wall >= RENEWED_S
        if renewed or now - (login.used_wall or 0.0) >= RENEWED_S:
            login = replace(login, until_wall=until, used_wall=now)
            self._known[digest] = (login, caller)
            self._logins.used(login)
        return caller, until - now if renewed else None

    def tidy(self, owner: OwnerOf) -> None:
        """Sign out those whose time or whose key is over."""
        now = self._clock.wall()
        for digest, (login, _) in list(self._known.items()):
            if login.until_wall <= now or owner(login.key) is None:
                self._drop(digest)


def _caller(login: LoginRecord, owner: Caller) -> Caller:
    counted_as = login.id if login.key is None else owner.name
    return Caller(login.id, owner.shown, owner.role, owner.cameras, owner.until_wall, counted_as)


def _until(created: float, now: float, owner: Caller) -> float:
    most = created + LONGEST_S
    return min(now + IDLE_S, most, most if owner.until_wall is None else owner.until_wall)
