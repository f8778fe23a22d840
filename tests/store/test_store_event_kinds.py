"""Events by the kind of happening: old ones too, rare ones at once, in every order."""

import random

import pytest
from store_records import drained, event

from joyvl_server.store.events import EventFilter, Events
from joyvl_server.store.timeline import reading

KINDS = ("enter", "leave", "changed", None, 7)


@pytest.fixture
async def timeline(db):
    events, draw, made = Events(db), random.Random(7), []
    for n in range(300):
        made.append(
            event(
                session_id=f"ses_{n % 2}",
                camera_id=draw.choice(("cam_0", "cam_1", None)),
                type=draw.choice(("spoke", "watch_fired")),
                wall=1000.0 + draw.choice((0, 500, -90)) + n,
                text=draw.choice(("a dog", "a parcel")),
                data=draw.choice(({}, {"kind": draw.choice(KINDS), "watches": ["wch_1"]})),
            )
        )
        events.post(made[-1])
    await drained(db)
    return events, made


@pytest.mark.parametrize("few", [10, 5000])
@pytest.mark.parametrize("kinds", [("enter",), ("enter", "leave", "enter"), ("no such",)])
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"camera_id": "cam_1"},
        {"session_id": "ses_0", "types": ("spoke", "task")},
        {"types": ("spoke", "watch_fired")},
        {"since": 1100.0},
        {"since": 1100.0, "until": 1200.0, "camera_id": "cam_0"},
        {"watch_id": "wch_1"},
        {"words": "parcel"},
        {"kept": False},
    ],
)
async def test_it_finds_what_looking_through_all_of_them_finds(timeline, filters, kinds, few, monkeypatch):
    monkeypatch.setattr(reading, "FEW", few)
    events, made = timeline
    wanted = EventFilter(**filters, kinds=kinds)
    words = filters.get("words", "")
    expected = [e for e in reversed(made) if wanted.matches(e) and words in e.text]
    seen, before = [], None
    while page := await events.list(wanted, limit=7, before=before):
        seen += page
        before = page[-1].cursor
    assert seen == expected
    assert (await events.after(0, wanted, 1000))[0] == [e for e in made if wanted.matches(e)]


async def test_pages_come_from_an_index_without_sorting(db):
    query = (
        "EXPLAIN QUERY PLAN SELECT seq FROM events e INDEXED BY events_kind "
        "WHERE e.kind = 'x' AND e.camera_id = 'c' AND e.id < 'x' ORDER BY e.id DESC LIMIT 10"
    )
    plan = await db.read(lambda c: [row["detail"] for row in c.execute(query)])
    assert plan == ["SEARCH e USING INDEX events_kind (kind=? AND id<?)"]


async def test_what_is_no_json_has_no_kind(db):
    values = "('evt_1', 's', 'spoke', 0, 0, '', '{\"kind\": NaN')"
    await db.write(
        lambda c: c.execute(f"INSERT INTO events (id, session_id, type, t, wall, text, data) VALUES {values}")
    )
    assert await db.read(lambda c: c.execute("SELECT kind FROM events").fetchone()[0]) is None
