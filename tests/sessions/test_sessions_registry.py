from __future__ import annotations

from pathlib import Path

import pytest

from fakes.media.media import picture
from fakes.server.sessions import House, open_house
from joyvl_server.core.errors import ConfigError, Conflict, JoyvlError, NoFrame, NotAllowed, NotFound
from joyvl_server.core.watches.zones import Zone
from joyvl_server.ingest.base import SourceStatus
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.sessions.watch_list import WatchDraft

URL = "rtsp://cam:secret@192.168.1.20/stream"
OFFER = "v=0\r\n"
LEFT = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0)))


async def test_everything_is_there_after_a_restart(tmp_path: Path):
    async with open_house(tmp_path) as house:
        draft = CameraDraft(
            "door",
            URL,
            spec=SessionSpec(zones=(LEFT,), threshold=0.7),
            watches=(WatchDraft("people", zones=("door",)),),
        )
        before = await house.registry.cameras.add(draft)
        await house.registry.cameras.add(CameraDraft("yard", URL, enabled=False))
    async with open_house(tmp_path) as house:
        door, yard = house.registry.cameras.all()
        assert door.record == before.record
        assert yard.state is None
        session = house.registry.session(door.record.session_id)
        assert [w.text for w in session.watches.all()] == ["people"]
        assert (session.settings.threshold, session.watches.zones) == (0.7, (LEFT,))
        assert house.media.sources[door.record.id].state.status is SourceStatus.CONNECTING


async def test_calls_of_an_earlier_run_are_over(tmp_path: Path):
    async with open_house(tmp_path) as house:
        call = await house.registry.open_call(OFFER)
        store = house.registry._records
        assert (await store.get(call.session_id)).ended_wall is None
        # as after kill -9: nothing was tidied up
        await house.registry.store.main.write(lambda c: c.execute("UPDATE sessions SET name = 'left over'"))
        house.registry._supervisor.find(call.session_id).finish = lambda: None
        house.registry._supervisor._store = type("Dead", (), {"post_end": staticmethod(lambda *a: None)})()
    async with open_house(tmp_path) as house:
        record = await house.registry._records.get(call.session_id)
        assert record.end_reason == "the server was restarted"


async def test_one_camera_that_cannot_be_opened_does_not_keep_the_others(tmp_path: Path):
    async with open_house(tmp_path) as house:
        await house.registry.cameras.add(CameraDraft("door", URL, spec=SessionSpec(engine="scripted")))
        await house.registry.cameras.add(CameraDraft("yard", "rtsp://192.168.1.20/2"))
        door = house.registry.cameras.all()[0].record
        await house.registry.store.main.write(
            lambda c: c.execute("UPDATE cameras SET spec = json_object('engine', 'gone') WHERE id = ?", (door.id,))
        )
    async with open_house(tmp_path) as house:
        faulty, well = (v.state for v in house.registry.cameras.all())
        assert (faulty.status, faulty.error_code, faulty.retry_in_s) == (SourceStatus.OFFLINE, "config", None)
        assert "gone" in faulty.error
        assert well.status is SourceStatus.CONNECTING


async def test_a_name_used_twice_leaves_nothing_behind(house: House):
    await house.registry.cameras.add(CameraDraft("door", URL))
    with pytest.raises(Conflict, match="door"):
        await house.registry.cameras.add(CameraDraft("door", "rtsp://192.168.1.20/2"))
    assert len(house.registry.cameras.all()) == len(house.registry.sessions()) == len(house.media.sources) == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"url": "ftp://x/y"}, NotAllowed),
        ({"url": "rtsp://169.254.169.254/latest"}, NotAllowed),
        ({"spec": SessionSpec(engine="nonesuch")}, ConfigError),
        ({"watches": (WatchDraft("x", zones=("nowhere",)),)}, JoyvlError),
    ],
)
async def test_a_refused_camera_leaves_nothing_behind(house: House, fields, error):
    with pytest.raises(error):
        await house.registry.cameras.add(CameraDraft(**{"name": "door", "url": URL, **fields}))
    assert house.registry.cameras.all() == []
    assert house.registry.sessions() == []
    assert house.media.sources == {}


async def test_disabling_ends_the_session_and_enabling_begins_it_anew(house: House):
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    with pytest.raises(NoFrame):
        await house.registry.cameras.snapshot(view.record.id)
    await house.registry.cameras.change(view.record.id, {"enabled": False})
    assert house.registry.sessions() == []
    assert house.media.sources[view.record.id].closed
    with pytest.raises(Conflict, match="disabled"):
        await house.registry.cameras.snapshot(view.record.id)
    await house.registry.cameras.change(view.record.id, {"enabled": True})
    assert house.registry.session(view.record.session_id).record.camera_id == view.record.id


async def test_zones_threshold_and_name_change_while_the_session_goes_on(house: House):
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    session = house.registry.session(view.record.session_id)
    await house.registry.cameras.change(view.record.id, {"zones": (LEFT,), "threshold": 0.9, "name": "gate"})
    assert house.registry.session(view.record.session_id) is session
    assert (session.watches.zones, session.settings.threshold, session.record.name) == ((LEFT,), 0.9, "gate")


async def test_the_machine_learns_only_of_what_is_another(house: House, monkeypatch: pytest.MonkeyPatch):
    """Else what it holds back after a remark would be forgotten whenever a camera is renamed."""
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    told: list[str] = []
    runner = house.registry.session(view.record.session_id).machine
    monkeypatch.setattr(runner, "take", lambda input: told.append(type(input).__name__))
    for changes, learnt in (
        ({"name": "gate"}, []),
        ({"fidelity": "eco"}, ["ConfigChanged"]),
        ({"fidelity": "eco", "threshold": 0.9}, ["ConfigChanged"]),
        ({"zones": (LEFT,)}, ["WatchesChanged"]),
        ({"zones": (LEFT,), "threshold": 0.9, "frames_per_tick": 2}, []),
    ):
        told.clear()
        await house.registry.cameras.change(view.record.id, changes)
        assert told == learnt


async def test_how_talkative_a_camera_is_outlives_a_restart(tmp_path: Path):
    async with open_house(tmp_path) as house:
        view = await house.registry.cameras.add(CameraDraft("door", URL))
        call = await house.registry.open_call(OFFER)
        for session_id in (view.record.session_id, call.session_id):
            assert (await house.registry.change_session(session_id, {"threshold": 0.9})).settings.threshold == 0.9
    async with open_house(tmp_path) as house:
        assert house.registry.session(view.record.session_id).settings.threshold == 0.9


async def test_sources_are_counted_by_status(house: House):
    def count(status: str) -> float | None:
        return house.registry.metrics.registry.get_sample_value("joyvl_sources", {"status": status})

    view = await house.registry.cameras.add(CameraDraft("door", URL))
    assert count("connecting") == 1
    house.media.sources[view.record.id].show(picture(0.0))
    assert (count("connecting"), count("online")) == (0, 1)
    await house.registry.cameras.remove(view.record.id)
    assert count("online") == 0


async def test_a_removed_camera_is_gone_with_its_watches(house: House):
    view = await house.registry.cameras.add(CameraDraft("door", URL, watches=(WatchDraft("people"),)))
    await house.registry.cameras.remove(view.record.id)
    assert house.registry.sessions() == []
    assert await house.registry.cameras._watches.list(view.record.session_id) == []
    with pytest.raises(NotFound):
        house.registry.cameras.get(view.record.id)


async def test_a_call_is_watched_until_it_hangs_up(house: House):
    call = await house.registry.open_call(OFFER, name="my phone", watches=(WatchDraft("people"),))
    session = house.registry.session(call.session_id)
    source = house.media.sources[call.id]
    source.show(picture(0.0))
    await house.clock.advance(2.0)
    assert session.ticks()
    await house.registry.hang_up(call.id)
    assert source.closed
    assert house.registry.calls() == house.registry.sessions() == []
    assert house.engine.open_sessions == 0
    with pytest.raises(NotFound):
        await house.registry.hang_up(call.id)


async def test_a_call_that_ends_by_itself_ends_its_session(house: House):
    call = await house.registry.open_call(OFFER)
    house.media.sources[call.id].show(picture(0.0))
    await house.clock.advance(1.0)
    house.media.sources[call.id].end()
    await house.clock.advance(1.5)
    assert house.registry.calls() == house.registry.sessions() == []


async def test_a_camera_whose_file_has_ended_stays_and_shows_it(house: House):
    view = await house.registry.cameras.add(CameraDraft("clip", "rtsp://192.168.1.20/1"))
    house.media.sources[view.record.id].show(picture(0.0))
    await house.clock.advance(1.0)
    house.media.sources[view.record.id].end(message="The file has ended.")
    await house.clock.advance(2.0)
    assert house.registry.cameras.get(view.record.id).state.status is SourceStatus.ENDED


async def test_sessions_are_bounded(tmp_path: Path):
    async with open_house(tmp_path, max_sessions=1) as house:
        await house.registry.cameras.add(CameraDraft("door", URL))
        with pytest.raises(NotAllowed, match="in use"):
            await house.registry.open_call(OFFER)
        with pytest.raises(NotAllowed, match="in use"):
            await house.registry.cameras.add(CameraDraft("yard", URL))


async def test_a_camera_session_cannot_be_ended_behind_its_back(house: House):
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    with pytest.raises(Conflict, match="camera"):
        await house.registry.end_session(view.record.session_id)


async def test_a_masked_password_is_kept_for_the_same_host_only(house: House):
    view = await house.registry.cameras.add(CameraDraft("door", URL))
    changed = await house.registry.cameras.change(view.record.id, {"url": "rtsp://cam:***@192.168.1.20/other"})
    assert changed.record.url == "rtsp://cam:secret@192.168.1.20/other"
    with pytest.raises(NotAllowed, match="secret"):
        await house.registry.cameras.change(view.record.id, {"url": "rtsp://cam:***@192.168.1.21/stream"})
    assert house.registry.cameras.get(view.record.id).record.url == "rtsp://cam:secret@192.168.1.20/other"
