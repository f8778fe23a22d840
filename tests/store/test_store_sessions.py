import pytest
from store_records import drained, session, watch

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.store.sessions import Sessions
from joyvl_server.store.watches import Watches


async def test_a_session_comes_back_as_it_was(db):
    full = session(kind="camera", camera_id="cam_1", owner="ann", ended_wall=3.5, end_reason="over")
    for record in (session(), full):
        await Sessions(db).add(record)
        assert await Sessions(db).get(record.id) == record


async def test_the_list_is_newest_first_and_paged(db):
    made = [session(name=str(n)) for n in range(7)]
    for record in made:
        await Sessions(db).add(record)
    first = await Sessions(db).list(limit=3)
    second = await Sessions(db).list(limit=3, after=first[-1].id)
    third = await Sessions(db).list(limit=3, after=second[-1].id)
    assert [s.name for s in (*first, *second, *third)] == list("6543210")
    assert await Sessions(db).list(limit=3, after=third[-1].id) == []


async def test_a_session_ends_once(db):
    record = session()
    await Sessions(db).add(record)
    await Sessions(db).end(record.id, "hung up", 200.0)
    await Sessions(db).end(record.id, "again", 300.0)
    ended = await Sessions(db).get(record.id)
    assert (ended.ended_wall, ended.end_reason) == (200.0, "hung up")


async def test_an_end_that_nobody_awaits(db):
    record = session()
    await Sessions(db).add(record)
    Sessions(db).post_end(record.id, "hung up", 200.0)
    await drained(db)
    assert (await Sessions(db).get(record.id)).end_reason == "hung up"


async def test_at_start_up_what_was_open_is_over_but_cameras(db):
    camera, call, file, ended = (
        session(kind="camera"),
        session(),
        session(kind="file"),
        session(ended_wall=1.0, end_reason="before"),
    )
    for record in (camera, call, file, ended):
        await Sessions(db).add(record)
    assert await Sessions(db).end_open("the server was restarted", 500.0) == 2
    assert (await Sessions(db).get(camera.id)).ended_wall is None
    assert (await Sessions(db).get(call.id)).end_reason == "the server was restarted"
    assert (await Sessions(db).get(file.id)).ended_wall == 500.0
    assert (await Sessions(db).get(ended.id)).end_reason == "before"


async def test_what_is_not_there_and_what_is_there_already(db):
    with pytest.raises(NotFound, match="ses_x"):
        await Sessions(db).get("ses_x")
    with pytest.raises(NotFound, match="ses_x"):
        await Sessions(db).end("ses_x", "over")
    record = session()
    await Sessions(db).add(record)
    with pytest.raises(Conflict, match=record.id):
        await Sessions(db).add(record)


async def test_ended_sessions_are_bounded_and_take_their_watches_along(db):
    sessions = Sessions(db, kept=5)
    made = [session(name=str(n)) for n in range(9)]
    for record in made:
        await sessions.add(record)
        await Watches(db).add(watch(record.id))
    for wall, record in enumerate(made[:8]):
        await sessions.end(record.id, "over", float(wall))
    left = await sessions.list()
    assert [s.name for s in left] == list("876543")
    assert await Watches(db).list(made[0].id) == []
    assert len(await Watches(db).list(made[8].id)) == 1
