from dataclasses import replace

import pytest
from store_records import camera, event, session, watch

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.events import EventFilter, Events
from joyvl_server.store.sessions import Sessions
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.watches import Watches


async def test_a_camera_comes_back_as_it_was(db):
    plain = camera()
    full = camera(name="über die Straße", enabled=False, loop=True, speed=2.5, spec='{"fidelity": "eco"}')
    for record in (plain, full):
        await Cameras(db).add(record)
        assert await Cameras(db).get(record.id) == record
    assert await Cameras(db).list() == [plain, full]


async def test_it_survives_a_restart(tmp_path):
    db = await Database.open(tmp_path / "joyvl.db")
    record = camera()
    await Cameras(db).add(record)
    await db.aclose()
    db = await Database.open(tmp_path / "joyvl.db")
    assert await Cameras(db).list() == [record]
    await db.aclose()


async def test_a_password_is_not_in_the_text_of_a_record(db):
    assert "geheim" not in repr(camera())


async def test_a_name_is_used_once(db):
    cameras, first, second = Cameras(db), camera(), camera(name="back")
    await cameras.add(first)
    await cameras.add(second)
    with pytest.raises(Conflict, match="“front”") as caught:
        await cameras.add(camera())
    assert caught.value.code == "name_in_use"
    with pytest.raises(Conflict, match="“front”"):
        await cameras.update(replace(second, name="front"))
    assert [c.name for c in await cameras.list()] == ["front", "back"]


async def test_an_update_replaces_all_of_it(db):
    cameras, before = Cameras(db), camera()
    await cameras.add(before)
    after = camera(
        id=before.id,
        name="door",
        url="file:///x.mp4",
        enabled=False,
        loop=True,
        speed=4.0,
        session_id="ses_other",
        created_wall=7.0,
        updated_wall=8.0,
        spec='{"threshold": 0.9}',
    )
    await cameras.update(after)
    assert await cameras.get(before.id) == after
    await cameras.update(replace(after, speed=1.0))


async def test_what_is_not_there(db):
    for use in (Cameras(db).get("cam_x"), Cameras(db).update(camera(id="cam_x")), Cameras(db).delete("cam_x")):
        with pytest.raises(NotFound, match="cam_x"):
            await use


async def test_camera_session_and_watches_are_added_together_or_not_at_all(db):
    record = camera()
    its_session = session(id=record.session_id, kind="camera", camera_id=record.id)
    await Cameras(db).add(record, its_session, [watch(record.session_id)])
    assert await Sessions(db).get(record.session_id) == its_session
    assert len(await Watches(db).list(record.session_id)) == 1

    other = camera(name="other")
    with pytest.raises(NotFound, match="ses_nowhere"):
        await Cameras(db).add(other, session(id=other.session_id), [watch("ses_nowhere")])
    with pytest.raises(NotFound):
        await Cameras(db).get(other.id)
    with pytest.raises(NotFound):
        await Sessions(db).get(other.session_id)


async def test_deleting_takes_its_watches_ends_its_session_and_leaves_its_events(db):
    kept, gone = camera(name="kept"), camera(name="gone")
    for record in (kept, gone):
        its_session = session(id=record.session_id, kind="camera", camera_id=record.id)
        await Cameras(db).add(record, its_session, [watch(record.session_id)])
        Events(db).post(event(session_id=record.session_id, camera_id=record.id))
    await Cameras(db).delete(gone.id)
    assert await Cameras(db).list() == [kept]
    assert await Watches(db).list(gone.session_id) == []
    assert len(await Watches(db).list(kept.session_id)) == 1
    ended = await Sessions(db).get(gone.session_id)
    assert ended.ended_wall is not None
    assert ended.end_reason == "the camera was deleted"
    assert (await Sessions(db).get(kept.session_id)).ended_wall is None
    assert len(await Events(db).list(EventFilter(camera_id=gone.id))) == 1
    await Cameras(db).add(camera(name="gone"))
