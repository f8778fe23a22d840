"""How alerts, snoozes and messages end: over, ended by hand, given up and sent again."""

from __future__ import annotations

import asyncio
import time

import pytest

from fakes.alerting import Alerting, SteeredSender
from fakes.patience import PATIENCE_S
from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.kit.ids import new_id
from joyvl_server.notify.base import CameraFacts, DeliveryFailed, EventsForgotten
from joyvl_server.store.alerts.alerts import AlertFilter
from joyvl_server.store.events import EventRecord


def camera(a: Alerting, type: str) -> EventRecord:
    return EventRecord(new_id("evt"), "ses_1", "cam_1", type, 0.0, a.clock.wall(), "It does not answer.", {})


async def states(a: Alerting, hook_id: str) -> list[str]:
    """Of what was written for a hook, oldest first."""
    return [f"{d.reason} {d.state}" for d in reversed(await a.center.deliveries.list(hook_id))]


async def until_states(a: Alerting, hook_id: str, *wanted: str) -> None:
    """A message has arrived before that is written down."""
    end = time.monotonic() + PATIENCE_S
    while (found := await states(a, hook_id)) != list(wanted):
        assert time.monotonic() < end, found
        await a.pass_time(1, 0.1)


async def test_the_next_loss_is_told_also_where_the_last_one_was_acknowledged_when_it_was_over(a: Alerting):
    await a.hook()
    await a.post(camera(a, "camera_offline"))
    lost = await a.newest()
    await a.post(camera(a, "camera_online"))
    told = await a.center.acknowledge(lost.id, "me")
    assert (told.state, told.acknowledged_by) == ("closed", "me")
    assert (await a.center.acknowledge(lost.id, "you")).acknowledged_by == "me"
    await a.post(camera(a, "camera_offline"))
    await a.until(lambda: len(a.got()) == 3)
    assert [d.alert.kind for d in a.got()] == ["camera_offline", "camera_online", "camera_offline"]


async def test_nobody_is_told_of_a_camera_that_somebody_deleted(a: Alerting):
    view = await a.hook("neighbour", escalates=1, escalate_after_s=60)
    a.around.facts = [CameraFacts("cam_1", "Door", False), CameraFacts("cam_2", "Yard", True)]
    await a.pass_time(6, 1)
    await a.post(camera(a, "camera_offline"))
    a.around.facts = a.around.facts[1:]
    await until_states(a, view.record.id, "escalation cancelled")
    assert (await a.newest()).state == "closed"


# -------------------------------------------------------------------------------------------------------------- snoozes


async def test_snoozed_cameras_and_watches_are_listed_and_can_be_ended(a: Alerting):
    await a.hook()
    await a.fire("one")
    await a.until(lambda: a.got())
    first = await a.newest()
    await a.center.snooze(first.id, 10, scope="camera")
    await a.center.snooze(first.id, 5, scope="watch")
    assert [(one.scope, one.subject_id) for one in await a.center.snoozed()] == [
        ("watch", "wat_1"),
        ("camera", "cam_1"),
    ]
    await a.fire("two", watch="wat_2")
    assert (await a.newest()).state == "snoozed"
    await a.center.end_snooze("camera", "cam_1")
    assert [one.scope for one in await a.center.snoozed()] == ["watch"]
    assert (await a.newest()).state == "open"
    assert (await a.center.alerts.get(first.id)).state == "snoozed"  # its watch is snoozed for another time
    with pytest.raises(NotFound):
        await a.center.end_snooze("camera", "cam_1")
    await a.fire("three", watch="wat_3")
    await a.until(lambda: len(a.got()) == 2)
    assert a.got()[1].alert.text == "three"


async def test_the_alert_with_which_a_camera_was_snoozed_is_told_again_when_that_is_ended(a: Alerting):
    await a.hook()
    await a.fire("one")
    await a.center.snooze((await a.newest()).id, 10, scope="camera")
    await a.center.end_snooze("camera", "cam_1")
    await a.until(lambda: len(a.got()) == 2)
    assert a.got()[1].reason == "reminder"


async def test_a_snooze_that_was_made_longer_ends_for_all_of_its_alerts(a: Alerting):
    await a.fire("one")
    first = await a.newest()
    await a.center.snooze(first.id, 10, scope="camera")
    await a.fire("two", watch="wat_2")
    await a.center.snooze(first.id, 20, scope="camera")
    await a.fire("three", watch="wat_3")
    await a.center.snooze(first.id, 0, scope="camera")
    assert await a.center.snoozed() == []
    assert {alert.state for alert in await a.center.alerts.list(AlertFilter())} == {"open"}


async def test_an_alert_stays_snoozed_while_its_watch_is(a: Alerting):
    await a.fire("one")
    first = await a.newest()
    await a.center.snooze(first.id, 10, scope="watch")
    await a.fire("two")
    await a.center.snooze(first.id, 20, scope="camera")
    await a.center.end_snooze("camera", "cam_1")
    assert (await a.newest()).state == "snoozed"


async def test_snoozes_that_are_over_are_not_listed(a: Alerting):
    await a.fire("one")
    await a.center.snooze((await a.newest()).id, 1, scope="camera")
    await a.pass_time(70)
    assert await a.center.snoozed() == []
    with pytest.raises(NotFound):
        await a.center.end_snooze("camera", "cam_1")


# ------------------------------------------------------------------------------------------------------------- messages


async def test_what_was_given_up_is_sent_again_by_hand_with_the_same_id(a: Alerting):
    view = await a.hook()
    fate = [DeliveryFailed("gone", retry=False, status=410)]

    def answer(delivery):
        if fate:
            raise fate.pop()

    a.receivers["phone"].answer = answer
    await a.fire("one")
    await a.fire("two", watch="wat_2")
    await until_states(a, view.record.id, "new refused", "new sent")
    log = await a.center.deliveries.list(view.record.id)
    with pytest.raises(Conflict):
        await a.center.hooks.again(view.record.id, log[0].id)
    with pytest.raises(NotFound):
        await a.center.hooks.again("hook_none", log[1].id)
    with pytest.raises(NotFound):
        await a.center.hooks.again(view.record.id, "dlv_none")
    assert (await a.center.hooks.again(view.record.id, log[1].id)).state == "waiting"
    await a.until(lambda: len(a.got()) == 2)
    assert [d.alert.text for d in a.got()] == ["two", "one"]
    assert a.got()[1].id == log[1].id
    tested = await a.center.hooks.test(view.record.id)
    with pytest.raises(Conflict):
        await a.center.hooks.again(view.record.id, tested.delivery_id)


async def test_what_is_sent_again_by_hand_is_not_given_up_for_its_age_at_once(a: Alerting):
    object.__setattr__(a.settings, "give_up_h", 0.01)
    view = await a.hook()

    def away(delivery):
        raise DeliveryFailed("away")

    a.receivers["phone"].answer = away
    await a.fire("one")
    await a.pass_time(300)
    await until_states(a, view.record.id, "new dead")
    (dead,) = await a.center.deliveries.list(view.record.id)
    await a.center.hooks.again(view.record.id, dead.id)
    await a.pass_time(5, 1)
    assert (await a.center.deliveries.list(view.record.id))[0].state == "waiting"


async def test_a_message_past_the_outbox_does_not_wait_for_a_receiver_that_asked_for_an_hour(a: Alerting):
    """It came while the one before it was being tried."""
    await a.hook()
    phone = a.receivers["phone"]
    phone.hang = asyncio.Event()

    def busy(delivery):
        if delivery.alert.kind == "watch_fired":
            raise DeliveryFailed("busy", retry_after_s=3600)

    phone.answer = busy
    await a.fire("one")
    await a.until(lambda: phone.tried)
    a.around.disk_fault = "The disk is full."
    await a.pass_time(6, 1)
    phone.hang.set()
    await a.until(lambda: a.got())
    assert [d.alert.kind for d in a.got()] == ["disk"]
    assert a.clock.monotonic() < 3600


async def test_a_sender_that_cancels_itself_ends_nothing_else(a: Alerting):
    await a.hook()
    errors = [asyncio.CancelledError()]

    def answer(delivery):
        if errors:
            raise errors.pop()

    a.receivers["phone"].answer = answer
    await a.fire("one")
    await a.until(lambda: a.got())
    assert a.got()[0].attempt == 2


async def test_a_hook_that_cannot_be_made_keeps_no_server_from_starting(a: Alerting, monkeypatch: pytest.MonkeyPatch):
    await a.hook()
    await a.hook("other", escalates=1)

    def broken(self, context):
        raise KeyError("host")

    with monkeypatch.context() as patched:
        patched.setattr(SteeredSender, "__init__", broken)
        patched.setattr(SteeredSender, "masked", classmethod(broken))
        await a.restart()
        assert [(view.ok, view.options) for view in await a.center.hooks.list()] == [(False, {}), (False, {})]
    await a.restart()
    await a.fire("one")
    await a.until(lambda: a.got())


async def test_the_log_of_tests_is_bounded(a: Alerting):
    view = await a.hook()
    object.__setattr__(a.settings, "kept", 3)
    for _ in range(6):
        await a.center.hooks.test(view.record.id)
    assert len(await a.center.deliveries.list(view.record.id)) == 3


async def test_a_title_is_one_line(a: Alerting):
    data = {"task": {"id": "tsk_1", "status": "completed", "digest": "Two\nlines."}}
    await a.fire("Which\r\nBcc: somebody@elsewhere?", type="task", data=data)
    alert = await a.newest()
    assert (alert.title, alert.text) == ("Done: Which Bcc: somebody@elsewhere?", "Two\nlines.")


async def test_an_event_that_is_no_alert_wakes_nobody(a: Alerting):
    await a.hook()
    await a.quiet()
    worker = next(iter(a.center.hooks._workers.values()))
    worker._wake.clear()
    await a.fire("It is warm.", type="spoke", data={})
    assert not worker._wake.is_set()
    await a.fire("Somebody came.")
    await a.until(lambda: a.got())


# ------------------------------------------------------------------------------------------------------------- grouping


async def test_a_hook_that_groups_for_longer_than_another_is_told_at_its_own_time(a: Alerting):
    """An MQTT hook is told of each; the phone of the first, and of the newest when its time is over."""
    await a.hook("broker")
    await a.hook(group_s=60)
    for text in ("one", "two", "three"):
        await a.fire(text)
        await a.pass_time(10)
    await a.until(lambda: len(a.got("broker")) == 3)
    assert [d.alert.text for d in a.got()] == ["one"]
    await a.pass_time(40)
    await a.until(lambda: len(a.got()) == 2)
    assert [(d.reason, d.alert.text) for d in a.got()] == [("new", "one"), ("repeat", "three")]
    await a.fire("four")
    await a.until(lambda: len(a.got()) == 3)
    assert a.got()[2].reason == "new"
    await a.center.acknowledge((await a.newest()).id, "me")
    await a.fire("five")
    await a.until(lambda: len(a.got()) == 4)
    assert a.got()[3].reason == "new"
    assert len(await a.center.alerts.list(AlertFilter())) == 5


async def test_what_a_hook_left_that_was_deleted_when_the_server_was_killed_is_taken_back(a: Alerting):
    """Its list holds the login of the broker."""
    view = await a.hook()
    folder = a.folder / "mqtt"
    folder.mkdir()
    for name in ("hook_gone", view.record.id):
        (folder / f"{name}.json").write_text("no list")
    await a.restart()
    await a.until(lambda: [file.stem for file in folder.rglob("*.json")] == [view.record.id])


async def test_senders_are_told_what_is_forgotten(a: Alerting):
    await a.hook()
    await a.fire("a secret")
    await a.until(lambda: a.got())
    event_id = (await a.newest()).event_id
    assert event_id is not None
    await a.events.delete([event_id])
    await a.until(lambda: EventsForgotten(frozenset({event_id})) in a.receivers["phone"].changes)


async def test_what_a_sender_does_by_itself_goes_on_after_it_has_cancelled_itself(
    a: Alerting, monkeypatch: pytest.MonkeyPatch
):
    runs: list[int] = []

    async def run(self: SteeredSender) -> None:
        runs.append(1)
        raise asyncio.CancelledError

    monkeypatch.setattr(SteeredSender, "run", run)
    await a.hook()
    await a.until(lambda: len(runs) > 2)


async def test_a_camera_that_went_while_nobody_looked_or_was_disabled_is_offline_no_more(a: Alerting):
    a.around.facts = [CameraFacts("cam_1", "Door", False)]
    await a.post(camera(a, "camera_offline"))
    await a.center.aclose()
    a.around.facts = []
    await a.restart()
    await a.pass_time(6, 1)
    assert (await a.newest()).state == "closed"
    await a.post(camera(a, "camera_offline"))  # it was written late
    await a.pass_time(6, 1)
    assert (await a.newest()).state == "closed"
    a.around.facts = [CameraFacts("cam_1", "Door", False)]
    await a.post(camera(a, "camera_offline"))
    await a.pass_time(6, 1)
    assert (await a.newest()).state == "open"
    a.around.facts = [CameraFacts("cam_1", "Door", False, enabled=False)]
    await a.pass_time(6, 1)
    assert (await a.newest()).state == "closed"
