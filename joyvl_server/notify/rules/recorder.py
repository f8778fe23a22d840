"""Writes alerts and what is to be sent of them, always both in one transaction. Runs in the thread of the writer."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.kit.clock import Clock
from joyvl_server.notify.rules.drafts import alert_of
from joyvl_server.notify.rules.planning import QUIET, SNOOZED, AlertRules
from joyvl_server.settings.alerts import AlertSettings
from joyvl_server.store.alerts import alerts as stored
from joyvl_server.store.alerts import deliveries as outbox
from joyvl_server.store.alerts.hooks import all_hooks
from joyvl_server.store.alerts.records import AlertRecord, DeliveryRecord, HookRecord, Reason
from joyvl_server.store.events import EventRecord

TRIM_EVERY = 32
DISABLED = "The hook is disabled."
ACKNOWLEDGED, CLOSED = "Acknowledged.", "It is over."


@dataclass(frozen=True, slots=True)
class AlertRecorder:
    """All methods take the connection of a transaction, of which they neither begin nor commit anything."""

    settings: AlertSettings
    rules: AlertRules
    clock: Clock

    def event(self, connection: sqlite3.Connection, event: EventRecord) -> None:
        """An event was written: is it an alert? For `Events.on_insert`."""
        alert = alert_of(connection, event, self.clock.wall())
        if alert is not None:
            self.add(connection, alert)

    def add(self, connection: sqlite3.Connection, alert: AlertRecord) -> AlertRecord | None:
        """Write an alert, or join it to the one that it repeats; the alert as it is then. None: it tells nobody
        anything new (a camera is back that nobody missed)."""
        if alert.kind == "camera_online" and not self.close(connection, alert.subject, "camera_offline"):
            return None
        if alert.kind == "camera_offline" and stored.unclosed(connection, alert.subject, alert.kind):
            return None  # the server was started again meanwhile; it was told when it began
        if alert.kind == "task" and stored.newest_alert(connection, alert.subject, ("closed", "acknowledged")):
            return None  # two sessions tell of it
        hooks, now = all_hooks(connection), alert.created_wall
        joined = self._joined(connection, alert, hooks)
        if joined is not None:
            return joined
        until = stored.snoozed_until(connection, alert, now)
        if until is not None:
            self._snoozed(connection, alert, hooks, until)
        else:
            stored.insert_alert(connection, alert)
            self._tell(connection, alert, hooks, "new")
        self._trim(connection, now)
        return stored.read_alert(connection, alert.id)

    def acknowledge(self, connection: sqlite3.Connection, alert_id: str, by: str) -> AlertRecord:
        """Nobody else is told of it. The first acknowledgement counts. One that is over stays so: else the next time
        would be taken for the same. Raises `NotFound`."""
        alert = self._alert(connection, alert_id)
        if alert.acknowledged_wall is not None:
            return alert
        outbox.cancel_later(connection, alert_id, ACKNOWLEDGED)
        changes = {"acknowledged_wall": self.clock.wall(), "acknowledged_by": by, "snoozed_until": None}
        state = "closed" if alert.state == "closed" else "acknowledged"
        return stored.update_alert(connection, alert_id, state=state, **changes)

    def acknowledge_all(
        self, connection: sqlite3.Connection, by: str, camera_id: str | None, upto: str | None
    ) -> list[AlertRecord]:
        """A batch of those that are open, of this camera and up to this id where they are given. Empty: there are no
        more."""
        return [self.acknowledge(connection, id, by) for id in stored.open_ids(connection, camera_id, upto)]

    def snooze(self, connection: sqlite3.Connection, alert_id: str, minutes: float, scope: str) -> AlertRecord:
        """Quiet about this alert, at its end hooks are told again; 0 minutes end a snooze. `scope` "camera" or "watch":
        also about what its camera or its watches do meanwhile. Raises `NotFound`, `Conflict`."""
        alert, now = self._alert(connection, alert_id), self.clock.wall()
        subjects = alert.watches if scope == "watch" else (alert.camera_id,) if alert.camera_id is not None else ()
        if scope != "alert" and not subjects:
            raise Conflict(f"This alert has no {scope}.")
        for subject in subjects if scope != "alert" else ():
            if minutes > 0:
                stored.set_snooze(connection, scope, subject, now, now + 60 * minutes)
            else:
                self._scope_over(connection, scope, subject)
        alert = self._alert(connection, alert_id)
        if alert.state in ("acknowledged", "closed"):
            if scope == "alert":
                raise Conflict("Nobody is told of this alert any more: there is nothing to snooze.")
            return alert
        if minutes <= 0:
            return self.end_snooze(connection, alert_id) or alert
        outbox.cancel_later(connection, alert_id, SNOOZED)
        changes = {"snoozed_until": now + 60 * minutes, "snooze_s": 60 * minutes, "remind": 1}
        return stored.update_alert(connection, alert_id, state="snoozed", **changes)

    def end_snooze(self, connection: sqlite3.Connection, alert_id: str) -> AlertRecord | None:
        """It is open again, and hooks are told as if it were new, where somebody had snoozed this very alert.

        None where it is not snoozed any more.
        """
        alert = stored.read_alert(connection, alert_id)
        if alert is None or alert.state != "snoozed":
            return None
        remind = connection.execute("SELECT remind FROM alerts WHERE id = ?", (alert_id,)).fetchone()["remind"]
        alert = stored.update_alert(connection, alert_id, state="open", snoozed_until=None, remind=0)
        if remind:
            self._tell(connection, alert, all_hooks(connection), "reminder")
        return alert

    def end_scope(self, connection: sqlite3.Connection, scope: str, subject_id: str) -> None:
        """A camera or watch is not snoozed any more, nor are the alerts that were because of it. Raises `NotFound`."""
        if not self._scope_over(connection, scope, subject_id):
            raise NotFound(f"The {scope} {subject_id} is not snoozed.")

    def close(self, connection: sqlite3.Connection, subject: str, kind: str) -> list[AlertRecord]:
        """What alerts of this kind told about is over: nobody has to be told. Returns those that were not closed."""
        found = stored.unclosed(connection, subject, kind)
        for alert in found:
            outbox.cancel_later(connection, alert.id, CLOSED)
            stored.update_alert(connection, alert.id, state="closed", snoozed_until=None)
        return found

    def promote(self, connection: sqlite3.Connection, delivery_id: str) -> None:
        """The time of a message has come: it is to be sent now, if it is still wanted."""
        delivery = outbox.read_delivery(connection, delivery_id)
        if delivery is None or delivery.state != "later" or delivery.alert_id is None:
            return
        alert = stored.read_alert(connection, delivery.alert_id)
        hook = next((hook for hook in all_hooks(connection) if hook.id == delivery.hook_id), None)
        if alert is None or hook is None:
            return
        why = _unwanted(delivery, alert)
        if why is not None:
            outbox.set_state(connection, delivery.id, "cancelled", why)
            return
        now = self.clock.wall()
        quiet = self.rules.quiet_until(hook, now)
        if not hook.enabled:
            outbox.set_state(connection, delivery.id, "skipped", DISABLED)
        elif quiet is not None and hook.hold:
            outbox.postpone(connection, delivery, quiet, quiet - now)
        elif quiet is not None and delivery.reason != "new":
            outbox.set_state(connection, delivery.id, "skipped", QUIET)
        elif outbox.set_state(connection, delivery.id, "waiting") and delivery.reason == "escalation":
            stored.update_alert(connection, alert.id, told=alert.told + 1)

    # --------------------------------------------------------------------------------------------------------- within

    def _joined(
        self, connection: sqlite3.Connection, alert: AlertRecord, hooks: list[HookRecord]
    ) -> AlertRecord | None:
        """The open alert that this one repeats, with it counted; None where it is one of its own."""
        window_s = self.rules.group_s(alert, hooks)
        earlier = stored.newest_alert(connection, alert.subject, ("open", "snoozed")) if window_s > 0 else None
        if earlier is None or earlier.kind != alert.kind:
            return None
        if not 0 <= alert.created_wall - earlier.created_wall < window_s:
            return None
        changes = {"count": earlier.count + 1, "last_wall": alert.wall}
        earlier = stored.update_alert(connection, earlier.id, **changes)
        if earlier.state == "open":
            for delivery in self.rules.repeats(earlier, hooks, alert.created_wall):
                if not outbox.awaits_repeat(connection, delivery.hook_id, earlier.id):
                    outbox.insert_delivery(connection, delivery)
        return earlier

    def _scope_over(self, connection: sqlite3.Connection, scope: str, subject_id: str) -> bool:
        """False where it was not snoozed."""
        now = self.clock.wall()
        until = stored.end_snooze(connection, scope, subject_id, now)
        for alert in stored.snoozed_alerts(connection, until) if until is not None else ():
            mine = subject_id == alert.camera_id or subject_id in alert.watches
            if mine and (alert.snoozed_until == until or stored.snoozed_until(connection, alert, now) is None):
                self.end_snooze(connection, alert.id)
        return until is not None

    def _snoozed(
        self, connection: sqlite3.Connection, alert: AlertRecord, hooks: list[HookRecord], until: float
    ) -> None:
        """Its camera or watch is snoozed: it is kept and shown, and nobody is told."""
        now = alert.created_wall
        if alert.state == "open":
            alert = replace(alert, state="snoozed", snoozed_until=until)
        stored.insert_alert(connection, alert, snooze_s=until - now)
        for delivery in self.rules.first_messages(alert, hooks, now, "new", lambda hook: None):
            kept_back = replace(delivery, state="skipped", error=SNOOZED, due_wall=None, wait_s=0.0)
            outbox.insert_delivery(connection, kept_back)

    def _tell(
        self, connection: sqlite3.Connection, alert: AlertRecord, hooks: list[HookRecord], reason: Reason
    ) -> None:
        """Write what is to be sent now and, where nobody acknowledges it, later."""
        now = self.clock.wall() if reason == "reminder" else alert.created_wall

        def last_told(hook: HookRecord) -> float | None:
            return outbox.last_told(connection, hook.id, alert)

        joins = stored.before(connection, alert) in ("open", "snoozed")
        messages = self.rules.first_messages(alert, hooks, now, reason, last_told, joins=joins)
        if alert.state == "open" and not told_already(messages):
            messages += self.rules.escalations(alert, hooks, now)
        for delivery in messages:
            if delivery.reason == "repeat":
                outbox.cancel_repeat(connection, delivery.hook_id, alert)
            outbox.insert_delivery(connection, delivery)
            outbox.drop_beyond(connection, delivery.hook_id, self.settings.max_waiting)

    def _trim(self, connection: sqlite3.Connection, now: float) -> None:
        if stored.next_revision(connection) % TRIM_EVERY == 0:
            stored.trim_alerts(connection, self.settings.kept, self.settings.days, now)
            for hook in all_hooks(connection):
                outbox.trim_deliveries(connection, hook.id, self.settings.kept)

    def _alert(self, connection: sqlite3.Connection, alert_id: str) -> AlertRecord:
        found = stored.read_alert(connection, alert_id)
        if found is None:
            raise stored.missing(alert_id)
        return found


def told_already(messages: list[DeliveryRecord]) -> bool:
    """Did the cooldown keep all of them back? Then an earlier alert about the same takes care of next contacts."""
    return bool(messages) and all(message.state == "skipped" and message.error != QUIET for message in messages)


def _unwanted(delivery: DeliveryRecord, alert: AlertRecord) -> str | None:
    """Why it need not be sent any more."""
    if alert.state == "acknowledged":
        return ACKNOWLEDGED
    if alert.state == "snoozed":
        return SNOOZED
    return CLOSED if alert.state == "closed" and delivery.reason != "new" else None
