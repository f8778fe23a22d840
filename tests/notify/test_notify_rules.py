"""Who is told of an alert and when: over a real database, with a clock that stands still."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from fakes.alerting import ZONE, Alerting
from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.kit.ids import new_id
from joyvl_server.notify.base import CameraFacts
from joyvl_server.store.alerts.alerts import AlertFilter
from joyvl_server.store.alerts.records import QuietHours
from joyvl_server.store.events import EventRecord


async def states(a: Alerting, hook_id: str) -> list[str]:
    """Of what was written for a hook, oldest first."""
    return [f"{d.reason} {d.state}" for d in reversed(await a.center.deliveries.list(hook_id))]


async def test_an_alert_is_written_with_its_event_and_sent(a: Alerting):
    await a.hook()
    await a.fire("Someone is at the door.")
    await a.until(lambda: a.around.counts["sent"])
    (delivery,) = a.got()
    assert (delivery.reason, delivery.attempt) == ("new", 1)
    alert = delivery.alert
    assert (alert.kind, alert.title, alert.text) == ("watch_fired", "A camera: Door", "Someone is at the door.")
    assert (alert.camera_id, alert.watches, alert.state, alert.count) == ("cam_1", ("wat_1",), "open", 1)
    assert alert.event_id is not None
    assert alert.event_id.startswith("evt_")
    assert a.around.counts == {"watch_fired": 1, "sent": 1}


async def test_alerts_are_kept_where_there_is_no_hook(a: Alerting):
    await a.fire()
    assert (await a.newest()).state == "open"


async def test_what_is_said_without_a_watch_is_no_alert(a: Alerting):
    await a.fire(type="spoke", data={})
    assert await a.center.alerts.list(AlertFilter()) == []


async def test_they_go_out_in_order(a: Alerting):
    await a.hook()
    for number in range(30):
        await a.fire(str(number), watch=f"wat_{number}")
    await a.until(lambda: len(a.got()) == 30)
    assert [d.alert.text for d in a.got()] == [str(number) for number in range(30)]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, True),
        ({"events": ("watch_fired",)}, True),
        ({"events": ("disk",)}, False),
        ({"cameras": ("cam_1",)}, True),
        ({"cameras": ("cam_2",)}, False),
        ({"watches": ("wat_1", "wat_2")}, True),
        ({"watches": ("wat_2",)}, False),
        ({"enabled": False}, False),
    ],
)
async def test_a_hook_is_told_of_what_it_wants(a: Alerting, fields: dict, told: bool):
    view = await a.hook(**fields)
    await a.fire()
    assert bool(await a.center.deliveries.list(view.record.id)) == told


# ----------------------------------------------------------------------------------------------- quiet hours, cooldown


def at(a: Alerting, hour: int, minute: int = 0) -> float:
    """Seconds until the clock on the wall shows this, today or tomorrow."""
    now = datetime.fromtimestamp(a.clock.wall(), ZONE)
    seconds = (hour * 60 + minute - now.hour * 60 - now.minute) * 60 - now.second
    return seconds % 86_400


async def test_quiet_hours_keep_it_back(a: Alerting):
    view = await a.hook(quiet_hours=(QuietHours("22:00", "07:00"),))
    await a.clock.advance(at(a, 23))
    await a.fire("at night")
    await a.clock.advance(at(a, 8))
    await a.fire("by day", watch="wat_2")
    await a.until(lambda: a.got())
    await a.quiet()
    assert [d.alert.text for d in a.got()] == ["by day"]
    assert await states(a, view.record.id) == ["new skipped", "new sent"]
    assert len(await a.center.alerts.list(AlertFilter(state="open"))) == 2


async def test_quiet_hours_hold_it_where_the_hook_says_so(a: Alerting):
    await a.hook(quiet_hours=(QuietHours("22:00", "07:00"),), hold=True)
    await a.clock.advance(at(a, 23))
    await a.fire("one")
    await a.fire("two", watch="wat_2")
    await a.restart()
    await a.pass_time(at(a, 6, 59), 1800)
    assert a.got() == []
    await a.pass_time(120, 30)
    await a.until(lambda: len(a.got()) == 2)
    assert [d.alert.text for d in a.got()] == ["one", "two"]


async def test_what_was_acknowledged_in_quiet_hours_is_not_sent_when_they_end(a: Alerting):
    await a.hook(quiet_hours=(QuietHours("22:00", "07:00"),), hold=True)
    await a.clock.advance(at(a, 23))
    await a.fire("one")
    await a.center.acknowledge((await a.newest()).id, "me")
    await a.pass_time(at(a, 7, 5), 1800)
    await a.quiet()
    assert a.got() == []


async def test_the_cooldown_tells_the_same_only_once(a: Alerting):
    view = await a.hook(cooldown_s=60)
    for seconds in (0, 30, 29, 2):
        await a.clock.advance(seconds)
        await a.fire(str(seconds))
    await a.fire("other", watch="wat_2")
    await a.until(lambda: len(a.got()) == 3)
    assert [d.alert.text for d in a.got()] == ["0", "2", "other"]
    assert (await states(a, view.record.id)).count("new skipped") == 2


async def test_repeats_join_the_first_alert(a: Alerting):
    await a.hook(group_s=60)
    for _ in range(4):
        await a.fire("again")
        await a.clock.advance(5)
    await a.until(lambda: a.got())
    (alert,) = await a.center.alerts.list(AlertFilter())
    assert alert.count == 4
    await a.pass_time(60)
    await a.until(lambda: len(a.got()) == 2)
    assert [(d.reason, d.alert.count) for d in a.got()][1] == ("repeat", 4)
    await a.fire("again")
    assert len(await a.center.alerts.list(AlertFilter())) == 2


async def test_what_follows_an_acknowledgement_is_an_alert_of_its_own(a: Alerting):
    await a.hook(group_s=600)
    await a.fire()
    await a.center.acknowledge((await a.newest()).id, "me")
    await a.fire()
    await a.until(lambda: len(a.got()) == 2)
    assert [d.reason for d in a.got()] == ["new", "new"]


# --------------------------------------------------------------------------------------------------------- next contact


async def test_the_next_contact_is_told_when_nobody_acknowledges(a: Alerting):
    await a.hook()
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.hook("police", escalates=2, escalate_after_s=120)
    await a.fire()
    await a.until(lambda: a.got())
    await a.pass_time(55)
    assert a.got("neighbour") == []
    await a.pass_time(10)
    await a.until(lambda: a.got("neighbour"))
    assert a.got("neighbour")[0].reason == "escalation"
    assert (await a.newest()).escalated
    assert a.got("police") == []
    await a.pass_time(115)
    await a.until(lambda: a.got("police"))
    assert len(a.got("neighbour")) == 1


async def test_nobody_is_told_after_an_acknowledgement(a: Alerting):
    await a.hook()
    view = await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.fire()
    await a.pass_time(50)
    alert = await a.center.acknowledge((await a.newest()).id, "me")
    assert (alert.state, alert.acknowledged_by) == ("acknowledged", "me")
    assert (await a.center.acknowledge(alert.id, "you")).acknowledged_by == "me"
    await a.pass_time(60)
    assert a.got("neighbour") == []
    assert await states(a, view.record.id) == ["escalation cancelled"]


async def test_a_next_contact_that_is_just_being_told_is_not(a: Alerting):
    """It has not arrived: acknowledging cancels it."""
    await a.hook()
    view = await a.hook("neighbour", escalates=1, escalate_after_s=60)
    a.receivers["neighbour"].hang = asyncio.Event()
    await a.fire()
    await a.pass_time(65)
    await a.until(lambda: a.receivers["neighbour"].tried)
    await a.center.acknowledge((await a.newest()).id, "me")
    await a.quiet()
    a.receivers["neighbour"].hang.set()
    await a.quiet()
    assert a.got("neighbour") == []
    assert await states(a, view.record.id) == ["escalation cancelled"]


@pytest.mark.parametrize("jump", [0.0, -3600.0, 86_400.0, -86_400.0 * 365])
async def test_it_survives_a_restart_and_a_clock_that_jumped_meanwhile(a: Alerting, jump: float):
    await a.hook()
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.fire()
    await a.until(lambda: a.got())
    await a.pass_time(20)
    await a.restart(wall_jump=jump)
    await a.pass_time(70)
    await a.until(lambda: a.got("neighbour"))
    assert len(a.got("neighbour")) == 1


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
async def test_a_clock_that_jumps_tells_nobody_too_early_or_too_late(a: Alerting, jump: float):
    await a.hook()
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.fire()
    await a.pass_time(20)
    a.clock._offset += jump
    await a.pass_time(30)
    assert a.got("neighbour") == []
    await a.pass_time(20)
    await a.until(lambda: a.got("neighbour"))


async def test_it_follows_also_where_the_first_contact_cannot_be_reached(a: Alerting):
    await a.hook()

    def away(delivery):
        raise OSError("no route")

    a.receivers["phone"].answer = away
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.fire()
    await a.pass_time(65)
    await a.until(lambda: a.got("neighbour"))


async def test_after_quiet_hours_of_the_first_contact_the_next_one_is_told_all_the_same(a: Alerting):
    await a.hook(quiet_hours=(QuietHours("00:00", "00:00"),))
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.fire()
    await a.pass_time(65)
    await a.until(lambda: a.got("neighbour"))
    assert a.got() == []


async def test_what_the_cooldown_keeps_back_wakes_nobody(a: Alerting):
    await a.hook(cooldown_s=600)
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.fire()
    await a.center.acknowledge((await a.newest()).id, "me")
    await a.fire()
    await a.pass_time(120)
    assert a.got("neighbour") == []


# -------------------------------------------------------------------------------------------------------------- snooze


async def test_a_snoozed_alert_is_told_again_at_its_end(a: Alerting):
    await a.hook()
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.fire()
    await a.until(lambda: a.got())
    alert = await a.center.snooze((await a.newest()).id, 10, "me")
    assert alert.state == "snoozed"
    assert alert.snoozed_until == pytest.approx(a.clock.wall() + 600)
    await a.pass_time(590)
    assert len(a.got()) == 1
    assert a.got("neighbour") == []
    await a.restart()
    await a.pass_time(15)
    await a.until(lambda: len(a.got()) == 2)
    assert a.got()[1].reason == "reminder"
    assert (await a.newest()).state == "open"
    await a.pass_time(65)
    await a.until(lambda: a.got("neighbour"))


async def test_a_snoozed_camera_is_kept_and_shown_and_tells_nobody(a: Alerting):
    await a.hook()
    await a.fire("one")
    await a.until(lambda: a.got())
    await a.center.snooze((await a.newest()).id, 10, "me", scope="camera")
    await a.fire("two", watch="wat_2")
    assert (await a.newest()).state == "snoozed"
    await a.quiet()
    assert len(a.got()) == 1
    await a.pass_time(605)
    await a.until(lambda: len(a.got()) == 2)  # the one that somebody snoozed
    assert a.got()[1].alert.text == "one"
    assert (await a.newest()).state == "open"
    await a.fire("three")
    await a.until(lambda: len(a.got()) == 3)


async def test_a_snoozed_watch(a: Alerting):
    await a.hook()
    await a.fire("one")
    await a.center.snooze((await a.newest()).id, 10, scope="watch")
    await a.fire("two")
    await a.fire("three", watch="wat_2")
    await a.until(lambda: len(a.got()) == 2)
    assert [d.alert.text for d in a.got()] == ["one", "three"]


async def test_what_cannot_be_snoozed(a: Alerting):
    await a.fire()
    alert = await a.center.acknowledge((await a.newest()).id, "me")
    with pytest.raises(Conflict):
        await a.center.snooze(alert.id, 5)
    with pytest.raises(NotFound):
        await a.center.snooze("alr_none", 5)
    with pytest.raises(NotFound):
        await a.center.acknowledge("alr_none", "me")


# --------------------------------------------------------------------------------------- cameras, engines, the disk


def camera(a: Alerting, type: str) -> EventRecord:
    return EventRecord(new_id("evt"), "ses_1", "cam_1", type, 0.0, a.clock.wall(), "It does not answer.", {})


async def test_a_camera_that_is_lost_and_back(a: Alerting):
    a.around.facts = [CameraFacts("cam_1", "Door", False)]
    await a.hook()
    await a.hook("neighbour", escalates=1, escalate_after_s=60)
    await a.post(camera(a, "camera_online"))
    assert await a.center.alerts.list(AlertFilter()) == []
    await a.post(camera(a, "camera_offline"))
    await a.restart()
    await a.post(camera(a, "camera_offline"))
    await a.pass_time(10)
    await a.post(camera(a, "camera_online"))
    await a.until(lambda: len(a.got()) == 2)
    assert [d.alert.kind for d in a.got()] == ["camera_offline", "camera_online"]
    await a.pass_time(70)
    assert a.got("neighbour") == []
    assert {alert.state for alert in await a.center.alerts.list(AlertFilter())} == {"closed"}


async def test_an_engine_that_is_away_is_told_once(a: Alerting):
    await a.hook()
    a.around.engine_states = {"vllm": None}
    await a.pass_time(3, 1)
    a.around.engine_states = {"vllm": "It does not answer."}
    await a.pass_time(10, 1)
    await a.restart()
    await a.pass_time(5, 1)
    await a.until(lambda: len(a.got()) == 1)
    assert a.got()[0].alert.title == "The engine vllm is away"
    a.around.engine_states = {"vllm": None}
    await a.until(lambda: len(a.got()) == 2)
    assert a.got()[1].alert.kind == "engine_online"
    assert await a.center.alerts.list(AlertFilter(state="open")) == []


async def test_a_task_is_told_once(a: Alerting):
    await a.hook()
    for session in ("ses_1", "ses_2"):
        data = {"task": {"id": "tsk_1", "status": "completed", "digest": "It was DHL."}}
        await a.fire("Which parcel service was that?", type="task", session_id=session, data=data)
    await a.fire("Queued", type="task", data={"task": {"id": "tsk_2", "status": "queued"}})
    await a.until(lambda: a.got())
    await a.quiet()
    (delivery,) = a.got()
    assert (delivery.alert.title, delivery.alert.text) == ("Done: Which parcel service was that?", "It was DHL.")


async def test_alerts_go_with_their_events(a: Alerting):
    await a.fire("a secret")
    alert = await a.newest()
    assert alert.event_id is not None
    await a.events.delete([alert.event_id])
    assert await a.center.alerts.list(AlertFilter()) == []
