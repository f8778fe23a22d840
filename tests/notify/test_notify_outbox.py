"""The outbox: order, pace, faults of senders and of the disk, restarts."""

from __future__ import annotations

import asyncio

import pytest

from fakes.alerting import Alerting
from joyvl_server.core.errors import StoreError
from joyvl_server.notify.base import AlertChanged, CamerasChanged, DeliveryFailed, WatchChanged
from joyvl_server.store.alerts.alerts import AlertFilter
from joyvl_server.store.events import EventRecord


async def test_not_more_than_twenty_a_second_after_an_outage(a: Alerting):
    hooked = await a.hook()
    moments: list[float] = []

    def away(delivery):
        raise DeliveryFailed("away")

    a.receivers["phone"].answer = away
    for number in range(60):
        await a.fire(str(number), watch=f"wat_{number}")
    a.receivers["phone"].answer = lambda delivery: moments.append(a.clock.monotonic())
    await a.until(lambda: len(a.got()) == 60)
    assert [d.alert.text for d in a.got()] == [str(number) for number in range(60)]
    assert all(later - earlier > 1 for earlier, later in zip(moments, moments[20:], strict=False))
    assert len(await a.center.deliveries.list(hooked.record.id)) == 60


async def test_whatever_a_sender_raises_it_is_tried_again(a: Alerting):
    await a.hook()
    errors = [ValueError("nonsense"), DeliveryFailed("later"), TimeoutError(), None]

    def answer(delivery):
        if (error := errors.pop(0)) is not None:
            raise error

    a.receivers["phone"].answer = answer
    await a.fire()
    await a.until(lambda: a.got())
    assert [d.attempt for d in a.receivers["phone"].tried] == [1, 2, 3, 4]
    assert len({d.id for d in a.receivers["phone"].tried}) == 1


async def test_one_hook_that_is_down_keeps_no_other_waiting(a: Alerting):
    await a.hook()
    await a.hook("other")
    a.receivers["phone"].hang = asyncio.Event()
    await a.fire()
    await a.until(lambda: a.got("other"))
    assert a.got() == []


async def test_what_waits_survives_a_restart_and_a_change_of_the_hook(a: Alerting):
    view = await a.hook()

    def away(delivery):
        raise DeliveryFailed("away")

    a.receivers["phone"].answer = away
    await a.fire("one")
    await a.until(lambda: a.receivers["phone"].tried)
    await a.restart()
    a.receivers["phone"].answer = lambda delivery: None
    await a.center.hooks.change(view.record.id, {"enabled": False})
    await a.fire("while it was disabled", watch="wat_2")
    await a.center.hooks.change(view.record.id, {"enabled": True})
    await a.until(lambda: a.got())
    await a.fire("two", watch="wat_3")
    await a.until(lambda: a.got()[-1].alert.text == "two")
    # The change of the hook may cut off the moment between sending and writing it down: the same message comes again.
    assert list({d.id: d.alert.text for d in a.got()}.values()) == ["one", "two"]


async def test_a_test_says_what_came_and_ends_the_pause(a: Alerting):
    view = await a.hook()

    def away(delivery):
        raise DeliveryFailed("It answers 502.", status=502)

    a.receivers["phone"].answer = away
    await a.fire("one")
    await a.until(lambda: len(a.receivers["phone"].tried) >= 4)
    found = await a.center.hooks.test(view.record.id)
    assert (found.ok, found.status, found.message) == (False, 502, "It answers 502.")
    a.receivers["phone"].answer = lambda delivery: None
    assert (await a.center.hooks.test(view.record.id)).ok
    await a.until(lambda: len(a.got()) == 2)
    assert [d.reason for d in a.got()] == ["test", "new"]
    log = await a.center.deliveries.list(view.record.id)
    assert [d.reason for d in log if d.reason == "test"] == ["test", "test"]


async def test_a_disabled_hook_can_be_tested(a: Alerting):
    view = await a.hook(enabled=False)
    assert (await a.center.hooks.test(view.record.id)).ok


async def test_at_most_so_many_wait(a: Alerting):
    view = await a.hook()
    a.receivers["phone"].hang = asyncio.Event()
    object.__setattr__(a.settings, "max_waiting", 10)
    for number in range(15):
        await a.fire(str(number), watch=f"wat_{number}")
    log = await a.center.deliveries.list(view.record.id)
    assert [d.state for d in reversed(log)] == ["dead"] * 5 + ["waiting"] * 10


async def test_alerts_are_kept_for_so_many(a: Alerting):
    object.__setattr__(a.settings, "kept", 100)
    for number in range(140):
        await a.fire(str(number))
    found = await a.center.alerts.list(AlertFilter(), limit=1000)
    assert 100 <= len(found) < 140
    assert found[0].text == "139"


async def test_while_the_disk_refuses_that_is_sent_and_nothing_is_lost(a: Alerting, monkeypatch: pytest.MonkeyPatch):
    await a.hook()
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    real = a.db.write

    async def refuse(work):
        raise StoreError("The disk is full.", code="store_full")

    monkeypatch.setattr(a.db, "write", refuse)
    a.around.disk_fault = "The disk is full."
    await a.until(lambda: a.got())
    assert a.got()[0].alert.title == "The disk fails"
    await a.pass_time(70)
    await a.until(lambda: a.got("neighbour"))
    monkeypatch.setattr(a.db, "write", real)
    a.around.disk_fault = None
    await a.until(lambda: len(a.got()) == 2)
    assert a.got()[1].alert.title == "The disk works again"
    found = await a.center.alerts.list(AlertFilter())
    assert [(alert.title, alert.state) for alert in found] == [
        ("The disk works again", "closed"), ("The disk fails", "closed"),
    ]  # fmt: skip
    await a.fire("after")
    await a.until(lambda: len(a.got()) == 3)
    assert len({d.id for d in a.got()}) == 3


async def test_what_was_sent_while_the_disk_refused_is_not_sent_again(a: Alerting, monkeypatch: pytest.MonkeyPatch):
    await a.hook()
    real = a.center.deliveries.tried
    failures = [1, 1, 1]

    async def tried(*arguments):
        if failures:
            failures.pop()
            raise StoreError("The disk is full.", code="store_full")
        await real(*arguments)

    monkeypatch.setattr(a.center.deliveries, "tried", tried)
    await a.fire("one")
    await a.fire("two", watch="wat_2")
    await a.until(lambda: len(a.got()) == 2)
    assert [d.alert.text for d in a.got()] == ["one", "two"]


async def test_a_listener_that_fails_leaves_the_event(a: Alerting, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(type(a.center._recorder), "add", lambda *_: 1 / 0)
    await a.restart()
    await a.fire("one")
    assert len(await a.events.list()) == 1


# -------------------------------------------------------------------------------------------------- what senders hear


async def test_senders_hear_of_changes(a: Alerting):
    await a.hook()
    changes = a.receivers["phone"].changes
    await a.fire()
    await a.until(lambda: any(isinstance(change, AlertChanged) for change in changes))
    assert WatchChanged("cam_1", "wat_1", True) in changes
    await a.center.acknowledge((await a.newest()).id, "me")
    await a.until(lambda: any(isinstance(c, AlertChanged) and c.alert.state == "acknowledged" for c in changes))
    await a.pass_time(70)
    await a.until(lambda: WatchChanged("cam_1", "wat_1", False) in changes)
    await a.post(EventRecord("evt_x", "ses_1", "cam_1", "camera_offline", 0.0, 0.0, "", {}))
    await a.until(lambda: CamerasChanged() in changes)


async def test_missed_changes_are_known_by_their_number(a: Alerting):
    await a.fire("one")
    since = await a.center.alerts.revision()
    await a.fire("two")
    await a.fire("three")
    assert [alert.text for alert in await a.center.feed.missed(since) or ()] == ["two", "three"]
    assert await a.center.feed.missed(since + 1000) is None
    assert await a.center.feed.missed(-1) is None


async def test_a_hook_that_fails_for_long_is_told(a: Alerting):
    await a.hook()

    def away(delivery):
        raise DeliveryFailed("It answers 502.")

    a.receivers["phone"].answer = away
    await a.fire()
    await a.until(lambda: a.receivers["phone"].tried)
    assert a.center.ready() is None
    await a.pass_time(400)
    assert "phone: It answers 502." in (a.center.ready() or "")
    a.receivers["phone"].answer = lambda delivery: None
    await a.pass_time(61)
    await a.until(lambda: a.center.ready() is None)
