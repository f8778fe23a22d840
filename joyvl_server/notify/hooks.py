"""The hooks of a server: made, changed, tried, removed; a worker for each that is enabled."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from joyvl_server.core.errors import ConfigError, Conflict
from joyvl_server.core.sealed import UNREADABLE
from joyvl_server.kit import plugins
from joyvl_server.kit.backoff import Backoff
from joyvl_server.kit.ids import new_id
from joyvl_server.notify.base import GROUP, AlertActions, Directory, HookContext, NetCheck, Sender, StateChange
from joyvl_server.notify.notices import with_notices
from joyvl_server.notify.outbox import HookWorker, UrgentMessage
from joyvl_server.notify.sending import OutboxParts
from joyvl_server.store.alerts.hooks import Hooks
from joyvl_server.store.alerts.records import AlertRecord, DeliveryRecord, HookRecord
from joyvl_server.store.secrets.box import SecretBox

log = structlog.get_logger(__name__)

RESTART_S, LONGEST_RESTART_S = 1.0, 60.0
FAILING_S = 300.0
"""a hook that fails for longer is told in /readyz"""


@dataclass(frozen=True, slots=True)
class HookHouse:
    """What senders may use of the server."""

    directory: Directory
    actions: AlertActions
    net: NetCheck
    folder: Path
    secrets: SecretBox
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class HookView:
    """A hook as people see it: `options` masked. `ok`: None while nothing was sent yet."""

    record: HookRecord
    options: dict[str, Any]
    ok: bool | None
    last_error: str | None
    waiting: int
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class HookTest:
    """What came of a test. `status`: of the answer, for HTTP."""

    delivery_id: str
    ok: bool
    status: int | None
    message: str
    took_s: float


class HookService:
    """`start` before use, `aclose` at the end. Changes go one after the other."""

    def __init__(self, store: Hooks, parts: OutboxParts, house: HookHouse) -> None:
        self._store = store
        self._parts = parts
        self._house = house
        self._hooks: dict[str, HookRecord] = {}
        self._workers: dict[str, HookWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Read the hooks and begin to send. Raises `StoreError`. Cancelled, `aclose` ends what has begun."""
        for hook in await self._store.list():
            self._hooks[hook.id] = hook
            await self._begin(hook)

    async def aclose(self) -> None:
        """Messages under way may have arrived; they are sent once more at the next start."""
        await asyncio.gather(*(self._end(hook_id) for hook_id in list(self._workers)))

    @property
    def hooks(self) -> builtins.list[HookRecord]:
        return list(self._hooks.values())

    async def list(self) -> builtins.list[HookView]:
        """Oldest first. Raises `StoreError`. Cancelling it changes nothing."""
        return [await self.view(hook) for hook in sorted(self._hooks.values(), key=lambda hook: hook.id)]

    async def get(self, hook_id: str) -> HookView:
        """Raises `NotFound`, `StoreError`. Cancelling it changes nothing."""
        return await self.view(await self._store.get(hook_id))

    async def secret(self, hook_id: str) -> str:
        """The secret that was generated for it, for who checks signatures. Raises `NotFound`, `Conflict` where people
        gave one themselves: that is never shown. Cancelling it changes nothing."""
        options = (await self._store.get(hook_id)).options
        if not options.get("secret_generated"):
            raise Conflict("This hook has no generated secret; one that was given is never shown.", code="no_secret")
        return str(options["secret"])

    async def add(self, draft: HookRecord) -> tuple[HookView, str]:
        """A new hook; and what became of its options, and why nothing can arrive there. Raises `ConfigError`,
        `Conflict`. Cancelled, it may be there all the same, from the next start on."""
        async with self._changing:
            wall = self._parts.clock.wall()
            options, words = (await self._kind(draft.kind)).checked(draft.options)
            hook = replace(draft, id=new_id("hook"), options=options, created_wall=wall, updated_wall=wall)
            await self._store.add(hook)
            self._hooks[hook.id] = hook
            await self._begin(hook)
        return await self.view(hook), await self._told(hook, words)

    async def change(self, hook_id: str, changes: Mapping[str, Any]) -> tuple[HookView, str]:
        """Some of its fields; see `add`, and `NotFound`. What waits to be sent goes on waiting."""
        async with self._changing:
            before, words, given = await self._store.get(hook_id), "", dict(changes)
            if "options" in given:
                given["options"], words = (await self._kind(before.kind)).checked(given["options"], before.options)
                given["sealed"] = ""
            hook = replace(before, **given, updated_wall=self._parts.clock.wall())
            await self._store.update(hook)
            self._hooks[hook_id] = hook
            await self._end(hook_id)
            await self._begin(hook)
        return await self.view(hook), await self._told(hook, words)

    async def remove(self, hook_id: str) -> None:
        """With all that waits for it. Raises `NotFound`. Cancelled, it may be gone all the same."""
        async with self._changing:
            await self._store.delete(hook_id)
            hook = self._hooks.pop(hook_id, None)
            if hook_id in self._workers:
                await self._end(hook_id, removed=True)
            elif hook is not None:  # disabled: it may have left something all the same
                with suppress(ConfigError):
                    await HookWorker(hook, await self._sender(hook), self._parts).aclose(removed=True)

    async def test(self, hook_id: str) -> HookTest:
        """Send a message now. Raises `NotFound`, `ConfigError`. Cancelled, it may have been sent."""
        hook = await self._store.get(hook_id)
        wall, text = self._parts.clock.wall(), f"This is a test of the hook {hook.name}."
        alert = AlertRecord(new_id("alr"), "test", wall, "Test", text, state="closed", last_wall=wall)
        delivery = DeliveryRecord(new_id("dlv"), hook_id, None, "test", "waiting", wall)
        worker = self._workers.get(hook_id)
        if worker is not None:
            attempt = await worker.test(delivery, alert)
        else:
            worker = HookWorker(hook, await self._sender(hook), self._parts)
            running = asyncio.create_task(worker.run_sender(), name=f"test of {hook.name}")
            try:
                attempt = await worker.test(delivery, alert)
            finally:
                running.cancel()
                await asyncio.wait({running})
                await worker.aclose()
        ok = attempt.error is None
        tried = replace(
            delivery, state="sent" if ok else "refused", attempts=1, last_wall=attempt.wall, status=attempt.status,
            error=attempt.error, took_s=attempt.took_s,
        )  # fmt: skip
        await self._parts.deliveries.add(tried, self._parts.settings.kept)
        message = attempt.error or ("It was taken." if attempt.status is None else f"It answers {attempt.status}.")
        return HookTest(delivery.id, ok, attempt.status, message, round(attempt.took_s, 3))

    async def again(self, hook_id: str, delivery_id: str) -> DeliveryRecord:
        """Send a message again that was given up or refused. Raises `NotFound`, `Conflict`, `StoreError`. Cancelled, it
        may be sent all the same."""
        await self._store.get(hook_id)
        delivery = await self._parts.deliveries.again(hook_id, delivery_id)
        self.wake()
        return delivery

    def wake(self) -> None:
        """Something was written into the outbox."""
        for worker in self._workers.values():
            worker.wake()

    def acknowledged(self, alert_id: str) -> None:
        for worker in self._workers.values():
            worker.acknowledged(alert_id)

    def changed(self, change: StateChange) -> None:
        """Something that senders are told of."""
        for worker in self._workers.values():
            worker.changed(change)

    def hurry(self, message: UrgentMessage) -> None:
        """See `UrgentMail`."""
        worker = self._workers.get(message.delivery.hook_id)
        if worker is not None:
            worker.hurry(message)

    def fault(self) -> str | None:
        """What is wrong with hooks that have failed for long; None where nothing is."""
        now = self._parts.clock.monotonic()
        failing = [worker for worker in self._workers.values() if worker.health.failing_for(now) >= FAILING_S]
        return f"Alerts are not delivered. {' '.join(worker.trouble for worker in failing)}" if failing else None

    def failing_for(self, now: float) -> builtins.list[float]:
        """Of each enabled hook: seconds up to the monotonic time `now`, 0 where the last message arrived."""
        return [worker.health.failing_for(now) for worker in self._workers.values()]

    async def view(self, hook: HookRecord) -> HookView:
        """Raises `StoreError`. Cancelling it changes nothing."""
        activity = await self._parts.deliveries.activity(hook.id)
        newest, worker = activity.newest, self._workers.get(hook.id)
        ok = None if newest is None else newest.state == "sent"
        error = None if newest is None or ok else newest.error
        if worker is not None and (not worker.health.ok or worker.health.worked):
            ok, error = worker.health.ok, worker.health.last_error
        if worker is not None and error is None and worker.fault:
            ok, error = False, worker.fault
        retry_in_s = None if worker is None else worker.health.retry_in_s
        try:
            options = await self._masked(hook)
        except ConfigError as fault:
            options, ok, error = {}, False, str(fault)
        return HookView(hook, options, ok, error, activity.waiting, retry_in_s)

    async def _begin(self, hook: HookRecord) -> None:
        """Begin to send. One whose sender cannot be made is told in the log, and in its state."""
        if not hook.enabled:
            return
        try:
            sender = await self._sender(hook)
        except ConfigError as error:
            log.error("a hook cannot be used", hook=hook.name, error=str(error))
            return
        worker = self._workers[hook.id] = HookWorker(hook, sender, self._parts)
        self._tasks[hook.id] = asyncio.create_task(_keep(worker, self._parts), name=f"hook {hook.name}")

    async def _end(self, hook_id: str, *, removed: bool = False) -> None:
        worker, task = self._workers.pop(hook_id, None), self._tasks.pop(hook_id, None)
        if worker is None or task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        await worker.aclose(removed=removed)

    async def _sender(self, hook: HookRecord) -> Sender:
        house, timeout_s = self._house, self._parts.settings.timeout_s
        context = HookContext(
            hook.id, hook.name, hook.options, self._parts.clock, house.net, house.directory, house.actions,
            house.folder, house.public_url, timeout_s, house.secrets,
        )  # fmt: skip
        kind = await self._kind(hook.kind, hook.sealed)
        try:
            return kind(context)
        except ConfigError:
            raise
        except Exception as error:  # somebody else's code, or options of another version: the server starts
            log.exception("a hook cannot be made", hook=hook.name)
            raise ConfigError(f"It cannot be made ({type(error).__name__}); the server's log says more.") from error

    async def _told(self, hook: HookRecord, words: str) -> str:
        """`words`, and why it would never send anything."""
        with suppress(ConfigError):  # its package is not installed any more: its state says so
            words = await with_notices(words, hook, await self._kind(hook.kind), self._house.net)
        return words

    async def _masked(self, hook: HookRecord) -> dict[str, Any]:
        """Raises `ConfigError` where its package is not installed any more, or cannot read the options."""
        kind = await self._kind(hook.kind, hook.sealed)
        try:
            return kind.masked(hook.options)
        except Exception as error:  # somebody else's code
            raise ConfigError(f"Its options cannot be read ({type(error).__name__}).") from error

    async def _kind(self, name: str, sealed: str = "") -> type[Sender]:
        """Raises `ConfigError` where there is no such kind of hook, or where its options cannot be opened."""
        if sealed:
            raise ConfigError(UNREADABLE)
        if name not in plugins.names(GROUP):
            raise ConfigError(f"There is no kind of hook {name[:40]!r}. There are: {', '.join(plugins.names(GROUP))}.")
        found = await asyncio.to_thread(plugins.load, GROUP, name)
        if not (isinstance(found, type) and issubclass(found, Sender)):
            raise ConfigError(f"{name!r} in {GROUP} is no sender.")
        return found


async def _keep(worker: HookWorker, parts: OutboxParts) -> None:
    """Whatever happens, it goes on."""
    pauses = Backoff(RESTART_S, LONGEST_RESTART_S)
    while True:
        try:
            await worker.run()
        except Exception:  # a supervisor's edge
            log.exception("the worker of a hook failed and is started again", hook=worker.hook.name)
        await parts.clock.sleep(pauses.failed())
