"""What a hook is: it takes alerts to one place. Hooks are found in the entry-point group `joyvl.hooks`.

The entry is a class with the methods of `Sender`. The server keeps the outbox, the order, the pauses after failures
and the rules; a sender only sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.clock import Clock
from joyvl_server.store.alerts.records import AlertRecord, Reason
from joyvl_server.store.secrets.box import SecretBox

GROUP = "joyvl.hooks"
MOST_SNOOZE_MINUTES = 43_200
"""the longest snooze, thirty days, whoever asks for it"""


class DeliveryFailed(JoyvlError):
    """It was not taken. `retry`: it may be taken later; False: never. `status`: of an HTTP answer. `retry_after_s`:
    what the receiver asks for. The message may hold no secret."""

    code = "delivery_failed"

    def __init__(
        self, message: str, *, retry: bool = True, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.retry = retry
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Sent:
    """It was taken. `status`: of an HTTP answer. `words`: what the receiver said, shown to people."""

    status: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses that need no key, for a while; None where there is nothing, or where the server has no public address.
    `page`: the alert in the page."""

    picture: str | None = None
    clip: str | None = None
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message. Its `id` is the same at each try, so that a receiver can tell a repeat. `attempt` counts from 1.
    `alert` is as it is now. `picture`: the JPEG, where the sender wants it and there is one."""

    id: str
    reason: Reason
    attempt: int
    alert: AlertRecord
    links: Links = Links()
    picture: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class WatchFacts:
    """`occupied`: it fired, and not long ago (`alerts.occupied_s`)."""

    id: str
    name: str
    occupied: bool = False


@dataclass(frozen=True, slots=True)
class CameraFacts:
    id: str
    name: str
    online: bool
    watches: tuple[WatchFacts, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class AlertChanged:
    """It is new, joined by another event, acknowledged, snoozed, opened again or closed. Not told again after a
    restart."""

    alert: AlertRecord


@dataclass(frozen=True, slots=True)
class WatchChanged:
    """A watch fired, or has not fired for a while."""

    camera_id: str
    watch_id: str
    occupied: bool


@dataclass(frozen=True, slots=True)
class CamerasChanged:
    """A camera came or went, was renamed, got other watches, is online or offline: `directory.cameras()` says how it
    all is now."""


@dataclass(frozen=True, slots=True)
class EventsForgotten:
    """These events are deleted, with their alerts: what a sender keeps of them goes, too."""

    event_ids: frozenset[str]


StateChange = AlertChanged | WatchChanged | CamerasChanged | EventsForgotten


class Directory(Protocol):
    """What a sender may ask about the server."""

    async def cameras(self) -> list[CameraFacts]:
        """All cameras, disabled ones too. Cancelling it changes nothing."""

    async def picture(self, camera_id: str) -> bytes:
        """The newest JPEG of that camera; empty where there is none. Cancelling it changes nothing."""


class AlertActions(Protocol):
    """What people may do by way of a sender: a button, a command. `by`: who, in words."""

    async def acknowledge(self, alert_id: str, by: str) -> AlertRecord:
        """Nobody else is told of it. Raises `NotFound`, `StoreError`. Cancelled, it may be done all the same."""

    async def snooze(self, alert_id: str, minutes: float, by: str) -> AlertRecord:
        """Quiet about it for so long. Raises `NotFound`, `StoreError`. Cancelled, it may be done all the same."""

    async def newest(self, camera_id: str | None = None) -> AlertRecord | None:
        """The newest open alert. Raises `StoreError`. Cancelling it changes nothing."""


class NetCheck(Protocol):
    """What hooks may reach."""

    async def address(self, host: str) -> str:
        """The checked address of a host, to be connected to as it is: resolved again at each call.

        Raises `NotAllowed` with a sentence that names the setting, `DeliveryFailed` for a name without an address.
        Cancelled, it leaves a thread to the name server it waits for.
        """


@dataclass(frozen=True, slots=True)
class HookContext:
    """What a sender is made with. `options`: as `checked` returned them. `public_url`: under which people reach the
    server, empty where that is not known. `folder`: for files of senders, which may not be there yet.
    `timeout_s`: how long one message may take. `secrets`: seals what a sender writes into files of its own."""

    hook_id: str
    name: str
    options: Mapping[str, Any] = field(repr=False)
    clock: Clock
    net: NetCheck
    directory: Directory
    actions: AlertActions
    folder: Path
    public_url: str = ""
    timeout_s: float = 10.0
    secrets: SecretBox = field(default_factory=SecretBox.passing)


class Sender:
    """Base of all senders: `send` is what each has of its own."""

    wants_picture: bool = False
    """the outbox looks for the JPEG of the alert before it sends"""
    fault: str = ""
    """what is wrong right now, before any message has failed: in words without secrets"""

    def __init__(self, context: HookContext) -> None:
        """Connects to nothing yet. May raise `ConfigError`."""

    @classmethod
    def checked(cls, given: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """Options as they are stored, complete, with secrets that are generated where none is given; and a sentence for
        people, or none. Where `given` has `***` the `stored` secret is meant, unless the address is another one: then
        it is dropped, and the sentence says so. Blocks for nothing. Raises `ConfigError` in words without secrets."""
        raise NotImplementedError

    @classmethod
    def masked(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Stored options as people may see them."""
        raise NotImplementedError

    @classmethod
    def hosts(cls, options: Mapping[str, Any]) -> Sequence[str]:
        """Hosts that stored options name as receivers, by which people are told what `alerts.allow` does not let
        through; empty where the sender's own code knows better."""
        return ()

    async def run(self) -> None:
        """What goes on as long as the hook is there: a connection, things that people send. It may return at once.

        It ends by cancelling. What it raises is told once, and it is called again after a pause.
        """

    async def send(self, delivery: Delivery) -> Sent:
        """Send one message; one at a time, in order. Raises `DeliveryFailed`; anything else counts as one that may be
        tried again. Cancelled where it takes longer than `HookContext.timeout_s`, and when the hook goes."""
        raise NotImplementedError

    async def state_changed(self, change: StateChange) -> None:
        """Something is different now. Nothing of this is kept: of what was missed only the present state is left to
        ask. Not while `send` runs. Cancelled where it takes too long."""

    async def removed(self) -> None:
        """The hook was deleted: take back what it left at the receiver, or write down what to take back
        later. After `run` has ended, before `aclose`. Cancelled where it takes too long."""

    async def aclose(self) -> None:
        """Nothing follows. Cancelled where it takes too long."""
