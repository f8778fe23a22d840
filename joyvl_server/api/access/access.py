"""Who may call this server: keys of the settings, keys of the database, signed-in browsers, the first one-time link."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from joyvl_server.api.access.browsers import Browsers
from joyvl_server.api.access.caller import Caller
from joyvl_server.api.access.keyring import Keyring
from joyvl_server.api.access.senders import CallSenders
from joyvl_server.api.http.auth import ApiKeys, FailedKeyLimiter
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.clock import Clock
from joyvl_server.settings import ServerSettings, asks_for_keys
from joyvl_server.store.access.keys import StoredKeys
from joyvl_server.store.access.logins import Logins
from joyvl_server.store.access.records import KeyRecord, digest_of, new_secret

if TYPE_CHECKING:
    from joyvl_server.sessions.registry import Registry

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""Seconds between two looks at what `joyvl keys` changed."""
LINK_S = 3600.0
"""Seconds for which a one-time link opens."""
LOCAL = Caller("local", "this machine", "admin")
"""Who calls where no key is asked for."""
LINK = Caller("link", "one-time link", "admin")


class LoginRefused(JoyvlError):
    code = "login_refused"


class Access:
    """`start` once the registry has started, `aclose` before it closes. `on`: are keys asked for at all?"""

    def __init__(self, settings: ServerSettings, registry: Registry, clock: Clock) -> None:
        self.on = asks_for_keys(settings)
        self._setting_keys = ApiKeys(key.get_secret_value() for key in settings.api_keys)
        self._of_settings = {name: Caller(name, "a key of the settings", "admin") for name in self._setting_keys.names}
        self.failed = FailedKeyLimiter(clock)
        self.senders = CallSenders(registry)
        self._registry = registry
        self._clock = clock
        db = registry.store.main
        self._logins = Logins(db)
        self.browsers = Browsers(self._logins, clock)
        self.keyring = Keyring(StoredKeys(db), clock, self)
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the keys. Cancelled, it may be called again."""
        if self.on:
            await self.keyring.load()
            await self.browsers.load(self._owner)
            self._looking = asyncio.create_task(self._look(), name="keys are looked at")

    async def aclose(self) -> None:
        """Idempotent."""
        if self._looking is not None:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
            self._looking = None
            self.keyring.note_use()

    async def of_key(self, key: str) -> Caller | None:
        """Whose key this is, None where it is none of ours. Cancelling it changes nothing."""
        name = self._setting_keys.check(key)
        if name is not None:
            return self._of_settings[name]
        return await self.keyring.find(key)

    def why_not(self, key: str) -> str:
        """Why `of_key` finds nobody: a sentence for whoever sent the key."""
        over = self.keyring.over_since(key)
        if over is None:
            return "This API key is not known."
        ended = datetime.fromtimestamp(over, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return f"This API key is over since {ended}. Ask an admin for a new one."

    def of_cookie(self, token: str) -> tuple[Caller, float | None] | None:
        """See `Browsers.find`."""
        return self.browsers.find(token)

    async def remove_key(self, name: str) -> KeyRecord:
        """See `Keyring.remove`. Browsers that signed in with it are out."""
        removed = await self.keyring.remove(name)
        self.browsers.tidy(self._owner)
        return removed

    def key_added(self, key: KeyRecord) -> None:
        """See `KeyListener`. Sessions of the cameras that a key is bound to tell nothing of others any more."""
        if key.role != "ingest" and key.cameras:
            for session in self._registry.sessions():
                if session.camera_id in key.cameras:
                    session.set_apart()

    # ------------------------------------------------------------------------------------------------------- browsers

    async def sign_in(self, key: str | None, code: str | None, address: str) -> tuple[str, Caller] | None:
        """(the cookie's value, who it is) for a key or for the code of a one-time link; None where it opens nothing.
        `address`: the browser's.

        Raises `StoreError`. Cancelled, the code may be used up.
        """
        if key is not None:
            owner = await self.of_key(key)
            if owner is None:
                return None
            if owner.role == "ingest":
                raise LoginRefused("This key only sends media; a browser signs in with a key that may look.")
            return await self.browsers.sign_in(owner, owner.name, address), owner
        if code is None or not await self._logins.take_code(digest_of(code), self._clock.wall()):
            return None
        return await self.browsers.sign_in(LINK, None, address), LINK

    async def sign_out(self, token: str) -> None:
        """See `Browsers.sign_out`."""
        await self.browsers.sign_out(token)

    async def first_code(self) -> str | None:
        """The code of a one-time link where keys are asked for and no admin has one yet, else None.

        Raises `StoreError`. Cancelled, a code may be kept that nobody knows.
        """
        if not self.on or self._of_settings or self.keyring.has_admin():
            return None
        code, now = new_secret(), self._clock.wall()
        await self._logins.add_code(digest_of(code), now + LINK_S, now)
        return code

    # -------------------------------------------------------------------------------------------------------- inside

    def _owner(self, key: str | None) -> Caller | None:
        if key is None:
            return LINK
        return self._of_settings.get(key) or self.keyring.of_id(key)

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            try:
                await self.keyring.load()
                self.keyring.tidy()
                await self.browsers.look()
                self.browsers.tidy(self._owner)
                await self.senders.tidy()
            except Exception:  # without this, removed keys would open for ever after one fault
                log.exception("keys and browsers could not be looked at; the next look is in some seconds")
