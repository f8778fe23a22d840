"""What the guard asks about every request: whose is it, and may they?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import structlog
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from joyvl_server.api.access.access import LOCAL, Access
from joyvl_server.api.access.caller import Caller
from joyvl_server.api.access.rates import RequestRates
from joyvl_server.api.access.roles import OF_NO_CAMERA, OWN_ENTRIES, may, names_camera
from joyvl_server.api.access.routes_of import GuardedRoute, RouteTable
from joyvl_server.api.http import bodies
from joyvl_server.api.http.auth import FailedKeyLimiter, client_of, key_of
from joyvl_server.api.http.problems import problem
from joyvl_server.core.errors import NotFound
from joyvl_server.store.access.records import digest_of

if TYPE_CHECKING:
    from joyvl_server.api.context import ApiContext

log = structlog.get_logger(__name__)

COOKIE = "joyvl_session"
CHALLENGE = 'Bearer realm="joyvl"'
MANY_HEADERS = 8_192
"""characters of cookies that are looked at"""


class AccessCheck:
    """Routes behind it find `caller` (a name), `role`, `cameras` and `authorised` in `scope["state"]`.

    `authorised`: it has a key, or none is asked for.
    """

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._access: Access = api.access
        self._rates = RequestRates(api.settings.server.requests_per_s, api.clock)
        self._table: RouteTable | None = None

    async def refused(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to one that may not, None where it may. Cancelling it changes nothing."""
        if not self._access.on:
            note(scope, LOCAL)
            return None
        if self._table is None:
            self._table = RouteTable(scope["app"])
        found = self._table.find(scope)
        least = "any" if found is None else found[0].least
        if least == "none":
            note(scope, Caller("nobody", "nobody", "viewer"), authorised=False)
            return self._too_many(address_of(scope))
        caller = await self._caller(scope, headers)
        if isinstance(caller, Response):
            return self._too_many(address_of(scope)) or caller
        too_many = self._too_many(caller.counted)
        if too_many is not None:
            return too_many
        note(scope, caller)
        if found is None:
            return None  # the router says what is not there
        if not may(caller.role, least):
            asked = "operator (or ingest, which only sends media)" if least == "ingest" else least
            return problem(403, "role_too_low", f"This asks for the role {asked}; yours is {caller.role}.")
        if caller.cameras and not await self._is_theirs(caller, *found, scope):
            detail = "Your key is for certain cameras only; this is about others too."
            if not names_camera(found[0].name):
                detail = f"Keys for certain cameras may not ask for {found[0].name}, for their own cameras neither."
            return problem(403, "other_camera", detail)
        return None

    async def _caller(self, scope: Scope, headers: Headers) -> Caller | Response:
        key = key_of(HTTPConnection(scope))
        if key is not None:
            # Before the throttle: whoever shares an address with a guesser is not shut out.
            known = await self._access.of_key(key) or self._ephemeral(scope, key)
            return known or wrong_key(self._access.failed, scope, self._access.why_not(key))
        token = cookie_of(headers)
        if token is not None:
            found = self._access.of_cookie(token)
            if found is not None:
                caller, kept_s = found
                if kept_s is not None:
                    scope.setdefault("state", {})["set_cookie"] = cookie(token, kept_s, secure=is_secure(scope))
                return caller
        detail = "This server asks for an API key: send it as `Authorization: Bearer KEY`, or sign in on its page."
        return problem(401, "unauthorized", detail, headers={"WWW-Authenticate": CHALLENGE})

    def _ephemeral(self, scope: Scope, key: str) -> Caller | None:
        """A key for that is good for nothing else. What it opens ends with the key of who made it."""
        maker = self._api.secrets.maker_of(key) if _opens_realtime(scope) else None
        if maker is None:
            return None
        name = f"{maker.name}/{digest_of(key)[:12]}"  # of its own: the secrets of one maker are for different clients
        return replace(maker, name=name, shown="a client secret", role="operator", counted_as=maker.counted)

    def _too_many(self, client: str) -> Response | None:
        wait = self._rates.wait_s(client)
        if not wait:
            return None
        detail = "Too many requests; wait before the next one (setting server.requests_per_s)."
        return problem(429, "rate_limited", detail, headers={"Retry-After": str(int(wait) + 1)})

    async def _is_theirs(self, caller: Caller, route: GuardedRoute, path: Mapping[str, str], scope: Scope) -> bool:
        """Is it about cameras of the caller alone? What cannot be told is not."""
        if route.name in OF_NO_CAMERA:
            return True
        if caller.role == "ingest":  # its cameras are names under which it sends
            return route.least in ("any", "ingest")
        registry = self._api.registry
        if "camera_id" in path:
            return path["camera_id"] in caller.cameras
        try:
            if "session_id" in path:
                return registry.session(path["session_id"]).record.camera_id in caller.cameras
            if "event_id" in path:
                return (await registry.events.get(path["event_id"])).camera_id in caller.cameras
        except NotFound:
            return False
        if route.name not in OWN_ENTRIES:
            return False
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True).get("camera_id", [])
        return len(asked) <= 1 and caller.cameras.issuperset(asked)


def wrong_key(failed: FailedKeyLimiter, scope: Scope, detail: str) -> Response:
    """The answer to a key or a code that is none: it is counted, and whoever guesses is slowed down."""
    address = address_of(scope)
    wait = failed.blocked_for(address)
    if wait > 0:
        slowed = "Too many wrong API keys from this address; wait before the next try."
        return problem(429, "too_many_failed_keys", slowed, headers={"Retry-After": str(int(wait) + 1)})
    failed.add(address)
    if failed.blocked_for(address) > 0:
        log.warning("address is slowed down after too many wrong API keys", address=address)
    return problem(401, "unauthorized", detail, headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'})


def note(scope: Scope, caller: Caller, *, authorised: bool = True) -> None:
    """What routes find of who asks; `who` is all of it."""
    state: dict[str, Any] = scope.setdefault("state", {})
    state.update(caller=caller.name, role=caller.role, cameras=caller.cameras, authorised=authorised, who=caller)
    if caller is not LOCAL:
        state["ended"] = caller.ended


def address_of(scope: Scope) -> str:
    """What stands for everybody at one place: an address, of IPv6 its network."""
    return client_of(host_of(scope))


def host_of(scope: Scope) -> str:
    """The client's own address."""
    return str(scope["client"][0]) if scope.get("client") else "unknown"


def is_secure(scope: Scope) -> bool:
    return scope.get("scheme") in ("https", "wss")


def cookie_of(headers: Headers) -> str | None:
    """The value of our cookie."""
    for line in headers.getlist("cookie"):
        try:
            found = SimpleCookie(line[:MANY_HEADERS]).get(COOKIE)
        except CookieError:
            continue
        if found is not None and found.value:
            return found.value
    return None


def cookie(token: str, kept_s: float, *, secure: bool) -> str:
    """The `Set-Cookie` that a browser keeps for `kept_s` seconds; 0 takes it away."""
    ends = "; Secure" if secure else ""
    return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={int(kept_s)}{ends}"


def _opens_realtime(scope: Scope) -> bool:
    """Does it open a call or a Realtime connection?"""
    if scope["type"] == "websocket":
        return bool(scope["path"] == bodies.REALTIME_PATH)
    return bool(scope["path"] == bodies.CALLS_PATH and scope["method"] == "POST")
