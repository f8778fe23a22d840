"""Which hooks are told of an alert, and when. Pure, but for what it asks about the past."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby

from joyvl_server.kit.ids import new_id
from joyvl_server.notify.rules.quiet import quiet_until
from joyvl_server.store.alerts.records import AlertRecord, DeliveryRecord, HookRecord, Reason

QUIET, COOLDOWN, SNOOZED = "Quiet hours.", "Told a short while ago (cooldown).", "Snoozed."

LastTold = Callable[[HookRecord], float | None]
"""When a hook was last told about the same; Unix seconds."""


@dataclass(frozen=True, slots=True)
class AlertRules:
    """`zone`: of quiet hours. `escalate_after_s`: where no hook says so."""

    zone: tzinfo
    escalate_after_s: float = 300.0

    def first_messages(
        self,
        alert: AlertRecord,
        hooks: Sequence[HookRecord],
        now: float,
        reason: Reason,
        last_told: LastTold,
        *,
        joins: bool = False,
    ) -> list[DeliveryRecord]:
        """To those who are told at once; what a rule keeps back is among them, as skipped. `now`: Unix seconds.

        `joins`: the alert before about the same is still open. Then a hook that groups for longer than others is told
        when its own time is over.
        """
        return [
            self._message(alert, hook, now, reason, last_told, joins)
            for hook in wanting(alert, hooks)
            if hook.escalates == 0
        ]

    def escalations(self, alert: AlertRecord, hooks: Sequence[HookRecord], now: float) -> list[DeliveryRecord]:
        """To the next contacts, each to be sent when nobody has acknowledged it by then."""
        wait_s, planned = 0.0, []
        for level, contacts, after_s in self._levels(alert, hooks):
            wait_s += after_s
            if level > 0:
                planned += [_delivery(alert, hook, "escalation", now, wait_s=wait_s) for hook in contacts]
        return planned

    def repeats(self, alert: AlertRecord, hooks: Sequence[HookRecord], now: float) -> list[DeliveryRecord]:
        """To those who want to know, when the time is over, how often it happened meanwhile."""
        return [
            _delivery(alert, hook, "repeat", now, wait_s=max(0.0, alert.created_wall + hook.group_s - now))
            for hook in wanting(alert, hooks)
            if hook.escalates == 0
        ]

    def group_s(self, alert: AlertRecord, hooks: Sequence[HookRecord]) -> float:
        """How long further events join this alert: as long as each hook that is told of it groups them."""
        told = [hook.group_s for hook in wanting(alert, hooks) if hook.escalates == 0]
        return min(told, default=0.0)

    def quiet_until(self, hook: HookRecord, now: float) -> float | None:
        return quiet_until(hook.quiet_hours, now, self.zone)

    def _message(
        self, alert: AlertRecord, hook: HookRecord, now: float, reason: Reason, last_told: LastTold, joins: bool
    ) -> DeliveryRecord:
        quiet = self.quiet_until(hook, now)
        if quiet is not None and not hook.hold:
            return _delivery(alert, hook, reason, now, skipped=QUIET)
        last = last_told(hook) if (hook.cooldown_s > 0 or hook.group_s > 0) and reason == "new" else None
        if last is not None and 0 <= now - last < hook.cooldown_s:  # a clock that was set back ends it
            return _delivery(alert, hook, reason, now, skipped=COOLDOWN)
        if joins and last is not None and 0 <= now - last < hook.group_s:
            return _delivery(alert, hook, "repeat", now, wait_s=last + hook.group_s - now)
        return _delivery(alert, hook, reason, now, wait_s=0.0 if quiet is None else quiet - now)

    def _levels(self, alert: AlertRecord, hooks: Sequence[HookRecord]) -> Iterable[tuple[int, list[HookRecord], float]]:
        """Contacts in their order, with the seconds that pass before they are told and after those before them."""
        before: list[HookRecord] = []
        ordered = sorted(wanting(alert, hooks), key=lambda hook: hook.escalates)
        for level, group in groupby(ordered, key=lambda hook: hook.escalates):
            contacts = list(group)
            given = [hook.escalate_after_s for hook in contacts if hook.escalate_after_s is not None]
            given = given or [hook.escalate_after_s for hook in before if hook.escalate_after_s is not None]
            yield level, contacts, 0.0 if level == 0 else min(given, default=self.escalate_after_s)
            before = contacts


def wanting(alert: AlertRecord, hooks: Iterable[HookRecord]) -> list[HookRecord]:
    """The hooks that are told of such alerts."""
    return [
        hook
        for hook in hooks
        if hook.enabled
        and (not hook.events or alert.kind in hook.events)
        and (not hook.cameras or alert.camera_id is None or alert.camera_id in hook.cameras)
        and (not hook.watches or not alert.watches or set(alert.watches) & set(hook.watches))
    ]


def _delivery(
    alert: AlertRecord, hook: HookRecord, reason: Reason, now: float, *, wait_s: float = 0.0, skipped: str = ""
) -> DeliveryRecord:
    return DeliveryRecord(
        id=new_id("dlv"),
        hook_id=hook.id,
        alert_id=alert.id,
        reason=reason,
        state="skipped" if skipped else "later" if wait_s > 0 or reason in ("escalation", "repeat") else "waiting",
        created_wall=now,
        due_wall=now + wait_s if wait_s > 0 or reason in ("escalation", "repeat") else None,
        wait_s=wait_s,
        error=skipped or None,
    )
