"""Events of several cameras, as a key that is bound to them lists them: an index finds them among all others."""

import random

import pytest
from store_records import drained, event

from joyvl_server.store.events import EventFilter, Events
from joyvl_server.store.timeline import reading
from joyvl_server.store.timeline.records import EventCursor

FILTERS = (
    {},
    {"types": ("spoke",)},
    {"types": ("spoke", "watch_fired")},
    {"since": 1100.0},
    {"since": 1100.0, "until": 1200.0},
    {"kept": False},
    {"upto": 200},
)


class Planned:
    """A connection that notes how SQLite goes about each statement."""

    def __init__(self, connection):
        self.plans = []
        self._connection = connection

    def execute(self, query, values=()):
        plan = self._connection.execute(f"EXPLAIN QUERY PLAN {query}", values)
        self.plans.append([row["detail"] for row in plan])
        return self._connection.execute(query, values)


@pytest.mark.parametrize("before", [None, EventCursor("x")])
@pytest.mark.parametrize("filters", FILTERS)
async def test_no_other_cameras_events_are_looked_through(db, filters, before, monkeypatch):
    monkeypatch.setattr(reading, "FEW", 0)
    wanted = EventFilter(cameras=("cam_0", "cam_1", "cam_0"), **filters)

    def plan(connection):
        planned = Planned(connection)
        reading.newest(planned, wanted, 10, before)
        return planned.plans[-1]

    steps = await db.read(plan)
    assert len([step for step in steps if "events_camera (camera_id=?" in step]) == 2, steps
    assert not [step for step in steps if step.startswith("SCAN") and "subquery" not in step], steps


async def test_what_is_kept_is_found_among_what_is_kept(db):
    wanted = EventFilter(cameras=("cam_0", "cam_1"), kept=True)
    planned = await db.read(lambda c: (one := Planned(c), reading.newest(one, wanted, 10, None))[0])
    assert "SCAN e USING INDEX events_kept" in planned.plans[-1]


@pytest.mark.parametrize("few", [10, 5000])
@pytest.mark.parametrize("filters", [*FILTERS, {"kept": True}, {"session_id": "ses_1"}, {"kinds": ("enter",)}])
async def test_pages_hold_what_looking_through_all_of_them_finds(db, filters, few, monkeypatch):
    monkeypatch.setattr(reading, "FEW", few)
    events, draw, made = Events(db), random.Random(5), []
    for n in range(300):
        made.append(
            event(
                session_id=f"ses_{n % 2}",
                camera_id=draw.choice(("cam_0", "cam_1", "cam_2", None)),
                type=draw.choice(("spoke", "watch_fired", "task")),
                wall=1000.0 + draw.choice((0, 500, -90)) + n,
                kept=draw.random() < 0.1,
                data=draw.choice(({}, {"kind": "enter"})),
            )
        )
        events.post(made[-1])
    await drained(db)
    for cameras in (("cam_0", "cam_1"), ("cam_2", "cam_none", "cam_2"), ("cam_none", "cam_other")):
        wanted = EventFilter(cameras=cameras, **filters)
        stored = {one.id: one.seq for one in await events.list(limit=1000)}
        expected = [
            one.id
            for one in reversed(made)
            if EventFilter(cameras=cameras, **filters | {"upto": None}).matches(one)
            and stored[one.id] <= filters.get("upto", 1000)
        ]
        seen, before = [], None
        while page := await events.list(wanted, limit=7, before=before):
            seen += [one.id for one in page]
            before = page[-1].cursor
        assert seen == expected
