"""What an ingest key may do: send the media of its own, under its own names, and hang up."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

from joyvl_server.api.access.caller import Caller
from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.core.errors import JoyvlError, NotAllowed, NotFound

if TYPE_CHECKING:
    from joyvl_server.sessions.registry import Registry


def as_sent_by(caller: Caller, wanted: CallSession, registry: Registry) -> CallSession:
    """The session that a call of this caller is opened with. Raises `NotAllowed` for what an ingest key may not choose.

    A key for one name sends under this one, and none under that of a camera: its events would stand among those of the
    camera. As with a camera, what is said there is no question and no order, and
    nothing is said aloud: else whoever has the key would ask by voice what it may not see.
    """
    if caller.role != "ingest":
        return wanted
    if wanted.model_fields_set - {"name", "model"} or wanted.model is not None:
        raise NotAllowed("An ingest key only sends media: leave out everything but the name.", code="ingest_only")
    name = wanted.name
    if caller.cameras:
        name = name or (next(iter(caller.cameras)) if len(caller.cameras) == 1 else None)
        if name not in caller.cameras:
            names = ", ".join(sorted(caller.cameras))
            raise NotAllowed(f"This key sends as one of these only, by session.name: {names}.", code="ingest_only")
    if name is not None and any(_alike(name, camera.record.name) for camera in registry.cameras.all()):
        raise NotAllowed(
            f"A camera of this server is called {name}, and only the camera sends under its name. Choose another "
            "session.name.",
            code="ingest_only",
        )
    return CallSession.model_validate({"name": name, "voice": "off", "listen": "off"})


def _alike(one: str, other: str) -> bool:
    """Would people take one for the other?"""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


class CallSenders:
    """Who opened which call. A call ends with the key that opened it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._senders: dict[str, Caller] = {}

    def opened(self, call_id: str, caller: Caller) -> None:
        """This caller opened it. Calls that are over are forgotten."""
        there = {call.id for call in self._registry.calls()}
        self._senders = {known: sender for known, sender in self._senders.items() if known in there}
        self._senders[call_id] = caller

    def check(self, call_id: str, caller: Caller) -> None:
        """Raises `NotFound` where this is none of the calls that an ingest key knows of."""
        if not self.knows(call_id, caller):
            raise NotFound(f"There is no call {call_id[:100]}.")

    def knows(self, call_id: str, caller: Caller) -> bool:
        """An ingest key knows the calls that it opened, everybody else all."""
        sender = self._senders.get(call_id)
        return caller.role != "ingest" or (sender is not None and sender.name == caller.name)

    async def tidy(self) -> None:
        """Hang up the calls of keys that are over. Cancelled, the rest stay until the next time."""
        for call_id, sender in list(self._senders.items()):
            if sender.ended.is_set():
                del self._senders[call_id]
                with suppress(JoyvlError):  # over already
                    await self._registry.hang_up(call_id)
