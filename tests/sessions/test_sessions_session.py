"""A session over a scripted engine and a source fed by hand; time moves only when the test says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fakes.media.media import FakeSource, picture
from fakes.patience import until
from fakes.server.sessions import House, open_house
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import Conflict, EngineUnavailable, JoyvlError, NotFound
from joyvl_server.core.inputs import SoundHeard
from joyvl_server.core.prompt.turns import UserTurn
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.core.watches.zones import Box, Zone
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks.base import QueuedSink, SinkContext
from joyvl_server.sessions.sinks.messages import Message, Ticked
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.store.events import EventFilter

URL = "rtsp://192.168.1.20/1"


async def add_camera(house: House, **fields: Any) -> tuple[Session, FakeSource]:
    view = await house.registry.cameras.add(CameraDraft(name="door", url=URL, **fields))
    session = house.registry.session(view.record.session_id)
    return session, house.media.sources[view.record.id]


async def seconds(house: House, source: FakeSource, count: int) -> None:
    """The source shows four pictures a second."""
    for _ in range(4 * count):
        source.show(picture(source.now))
        await house.clock.advance(0.25)


def kinds(session: Session) -> list[str]:
    return [update.type for update in session.updates._ring]


async def test_a_close_that_is_cancelled_frees_the_source_all_the_same(house: House):
    session, source = await add_camera(house)
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    speech_aclose, session.speech.aclose = session.speech.aclose, hangs
    closing = asyncio.create_task(session.aclose())
    await begun.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    session.speech.aclose = speech_aclose
    assert source.closed


async def test_a_tick_a_second_and_silence_is_told_too(house: House):
    session, source = await add_camera(house)
    await seconds(house, source, 5)
    ticks = session.ticks()
    assert [t["decision"] for t in ticks] == ["silent"] * len(ticks)
    assert ticks[0]["t"] == pytest.approx(0.0)  # at once, then in the session's place in the second
    assert 0.5 <= ticks[1]["t"] <= 1.5
    gaps = [b["t"] - a["t"] for a, b in zip(ticks[1:], ticks[2:], strict=False)]
    assert len(gaps) >= 3
    assert gaps == pytest.approx([1.0] * len(gaps))
    assert kinds(session).count("response.listen") == len(ticks)


async def test_what_is_said_reaches_updates_and_timeline(house: House):
    house.engine.script = lambda turn: (Score(0.9), [" Someone is at", " the door."])
    session, source = await add_camera(house)
    await seconds(house, source, 2)
    said = [u.data for u in session.updates._ring if u.type == "response.output_text.done"]
    assert said[0]["text"] == "Someone is at the door."
    assert session.ticks()[0]["decision"] == "speak"
    assert kinds(session).index("response.created") < kinds(session).index("response.done")
    await house.registry.store.main.write(lambda connection: None)  # what was posted before is written by now
    events = await house.registry.events.list(EventFilter(types=("spoke",)))
    assert events[-1].text == "Someone is at the door."
    assert events[-1].camera_id == session.record.camera_id


@pytest.mark.parametrize("watched", [True, False])
async def test_one_remark_is_one_event_with_the_picture_that_made_it_speak(house: House, watched: bool):
    shown: list[bytes] = []

    def script(turn: UserTurn) -> tuple[Score, list[str]]:
        shown.append(turn.frame.image.jpeg)
        return Score(0.9), ["Someone is at the door."]

    house.engine.script = script
    watches = [WatchDraft("when someone comes", name="visitors")] if watched else []
    session, source = await add_camera(house, watches=watches)
    house.engine.hold.clear()
    for second in range(12):  # each picture is another one, and they go on while it writes
        source.show(picture(source.now, shade=10 * second))
        await house.clock.advance(0.25)
    house.engine.hold.set()
    await seconds(house, source, 1)
    await house.registry.store.main.write(lambda connection: None)
    about = await house.registry.events.list(EventFilter(types=("spoke", "watch_fired", "delegated")))
    event = about[-1]
    assert event.type == ("watch_fired" if watched else "spoke")
    assert event.watches == tuple(watch.id for watch in session.watches.all())
    assert event.data.get("watch_names") == (["visitors"] if watched else None)
    assert event.data["threshold"] == 0.5
    assert event.picture
    assert await house.registry.timeline.files.picture(event) == shown[0]
    assert len({e.data["epoch"] for e in about}) == len(about)


async def test_what_a_sound_made_it_say_has_the_newest_picture(house: House):
    watches = [WatchDraft("tell me when the smoke alarm goes off", name="alarm")]
    session, source = await add_camera(house, watches=watches)
    for second in range(12):
        source.show(frame := picture(source.now, shade=10 * second))
        await house.clock.advance(0.25)
    newest = session.machine._newest
    assert newest is not None
    session.machine.take(SoundHeard(source.now, house.clock.wall(), WatchKind.SMOKE_ALARM, source.now))
    await house.registry.store.main.write(lambda connection: None)
    (event,) = await house.registry.events.list(EventFilter(types=("spoke", "watch_fired")))
    assert event.type == "watch_fired"
    assert await house.registry.timeline.files.picture(event) == newest.image.jpeg
    assert newest.t > frame.t - 1.1


async def test_never_two_in_flight_and_busy_seconds_are_counted(house: House):
    session, source = await add_camera(house)
    house.engine.hold.clear()
    await seconds(house, source, 5)
    assert len(house.engine.called("score")) == 1
    skipped = [t["skipped"] for t in session.ticks()]
    assert set(skipped) == {"busy"}
    assert len(skipped) >= 3
    house.engine.hold.set()
    await seconds(house, source, 2)
    assert session.ticks()[-1]["skipped"] is None


async def test_a_second_that_is_over_is_skipped_as_late(house: House):
    session, source = await add_camera(house)
    await seconds(house, source, 2)
    source.hold = asyncio.Event()  # the media worker is slow to answer
    await house.clock.advance(4.0)
    source.hold.set()
    source.show(picture(source.now))
    await house.clock.advance(1.2)
    assert [t["skipped"] for t in session.ticks()].count("late") >= 2


async def test_an_offline_source_is_a_gap_and_told_once(house: House):
    session, source = await add_camera(house)
    await seconds(house, source, 2)
    source.fail("lost", "The camera ended the connection.")
    source.fail("refused", "Nobody listens there.")
    await house.clock.advance(3.0)
    assert {t["skipped"] for t in session.ticks()[-3:]} == {"offline"}
    assert kinds(session).count("camera.offline") == 1
    await seconds(house, source, 2)
    assert kinds(session).count("camera.online") == 2
    assert session.ticks()[-1]["skipped"] is None


async def test_a_picture_seen_before_is_no_new_decision(house: House):
    session, source = await add_camera(house)
    source.show(picture(0.0))
    await house.clock.advance(3.0)
    assert [t["skipped"] for t in session.ticks()] == [None, "no_frame", "no_frame", "no_frame"]


async def test_a_failing_engine_costs_only_its_ticks(house: House):
    session, source = await add_camera(house)
    house.engine.script = lambda turn: EngineUnavailable("No server answers there.")
    await seconds(house, source, 3)
    assert {t["skipped"] for t in session.ticks()} == {"failed"}
    assert len(house.engine.called("rollback")) == len(session.ticks())
    house.engine.script = lambda turn: Score(0.2)
    await seconds(house, source, 2)
    assert session.ticks()[-1]["decision"] == "silent"
    assert session.ticks()[-1]["skipped"] is None


async def test_an_engine_that_cannot_be_opened_is_tried_again(house: House):
    house.engine.refuse_open = EngineUnavailable("No server answers there.")
    session, source = await add_camera(house)
    await seconds(house, source, 3)
    assert {t["skipped"] for t in session.ticks()} == {"failed"}
    assert house.engine.called("rollback") == []  # no turn ever reached it
    house.engine.refuse_open = None
    await seconds(house, source, 2)
    assert session.ticks()[-1]["skipped"] is None


async def test_one_slow_session_delays_no_other(house: House):
    slow, slow_source = await add_camera(house)
    view = await house.registry.cameras.add(CameraDraft(name="yard", url="rtsp://192.168.1.20/2"))
    quick, quick_source = house.registry.session(view.record.session_id), house.media.sources[view.record.id]
    slow_source.hold = asyncio.Event()
    for _ in range(5):
        quick_source.show(picture(quick_source.now))
        await house.clock.advance(1.0)
    assert len([t for t in quick.ticks() if t["skipped"] is None]) >= 4
    assert slow.ticks() == []
    slow_source.hold.set()


async def test_a_question_ticks_at_once(house: House):
    asked: list[str | None] = []

    def script(turn):
        asked.append(turn.query)
        return (Score(1.0), ["It is red."]) if turn.query else Score(0.0)

    house.engine.script = script
    session, source = await add_camera(house)
    await seconds(house, source, 2)
    before = len(session.ticks())
    view = session.ask("What colour is it?")
    await house.clock.settle()
    assert asked[-1] == "What colour is it?"
    assert len(session.ticks()) == before + 1
    closed = next(q for q in session.queries.all() if q.id == view.id)
    assert (closed.status, closed.answer) == ("answered", "It is red.")


async def test_a_question_does_not_replace_a_watch(house: House):
    session, source = await add_camera(house, watches=(WatchDraft("Tell me if there is a fire"),))
    await seconds(house, source, 1)
    session.ask("What colour is it?")
    await seconds(house, source, 2)
    assert [w.text for w in session.watches.all()] == ["Tell me if there is a fire"]
    assert not [c for c in kinds(session) if c == "watch.deleted"]


async def test_questions_are_bounded_and_can_be_withdrawn(house: House):
    session, _ = await add_camera(house)
    views = [session.ask(f"Question {n}?") for n in range(16)]
    with pytest.raises(Conflict, match="still open"):
        session.ask("One more?")
    session.withdraw(views[0].id)
    assert session.queries.all()[0].status == "withdrawn"
    with pytest.raises(NotFound):
        session.withdraw("qry_none")


async def test_an_engine_without_words_says_so(house: House):
    house.engine.capabilities = Capabilities(follows_instructions=False, reports_kinds=True)
    session, _source = await add_camera(house, watches=(WatchDraft("Tell me when someone comes in"),))
    (watch,) = session.describe()["watches"]
    assert "does not read words: this watch fires when something comes in." in watch["note"]
    view = session.ask("What colour is it?")
    await until(lambda: session.queries.get(view.id).status != "open")
    assert "can't answer questions" in (session.queries.get(view.id).answer or "")


async def test_a_watch_with_a_zone_hears_only_of_its_zone(house: House):
    left = Zone("door", ((0, 0), (0.3, 0), (0.3, 1), (0, 1)))
    house.engine.capabilities = Capabilities(follows_instructions=False, reports_kinds=True, scores=True)
    boxes = iter([Box(0.7, 0.2, 0.9, 0.8), Box(0.1, 0.2, 0.2, 0.8)] + [Box(0.7, 0.2, 0.9, 0.8)] * 9)
    house.engine.script = lambda turn: (Score(0.9, "enter", next(boxes), f"k{turn.step}"), ["Something came in."])
    session, source = await add_camera(
        house, spec=SessionSpec(zones=(left,)), watches=(WatchDraft("the door", zones=("door",)),)
    )
    await seconds(house, source, 4)
    first, second = session.ticks()[:2]
    assert (first["decision"], first["suppressed"]) == ("silent", "zone")
    assert (second["decision"], second["zone"], second["watches"]) == ("speak", "door", [session.watches.all()[0].id])
    assert kinds(session).count("watch.fired") == 1


async def test_a_watch_hears_only_of_the_kinds_that_it_wants(house: House):
    house.engine.capabilities = Capabilities(follows_instructions=False, reports_kinds=True, scores=True)
    seen = {1: "leave", 2: "enter"}
    house.engine.script = lambda turn: (
        (Score(0.9, seen[turn.step], Box(0.1, 0.2, 0.2, 0.8), f"k{turn.step}"), ["Something."])
        if turn.step in seen
        else Score(0.0)
    )
    session, source = await add_camera(house, watches=(WatchDraft("Tell me when someone comes in"),))
    await seconds(house, source, 4)
    first, second = session.ticks()[:2]
    assert (first["decision"], first["suppressed"], first["kind"]) == ("silent", "kind", "leave")
    assert (second["decision"], second["watches"]) == ("speak", [session.watches.all()[0].id])
    assert kinds(session).count("watch.fired") == 1


async def test_an_engine_that_reads_words_is_not_held_back_by_kinds(house: House):
    house.engine.script = lambda turn: (Score(1.0), ["Somebody left."]) if turn.step == 1 else Score(0.0)
    session, source = await add_camera(house, watches=(WatchDraft("Tell me when someone comes in"),))
    await seconds(house, source, 2)
    assert session.ticks()[0]["decision"] == "speak"
    (watch,) = session.describe()["watches"]
    assert (watch["kinds"], watch["note"]) == (["enter"], None)


async def test_watches_come_change_and_go(house: House):
    session, _ = await add_camera(house)
    record = await session.watches.add(WatchDraft("Tell me when someone falls, anywhere in the room or on the stairs"))
    assert record.name.endswith("…")
    assert len(record.name) <= 40
    changed = await session.watches.change(record.id, {"paused": True})
    assert changed.paused
    with pytest.raises(JoyvlError, match="no zone"):
        await session.watches.change(record.id, {"zones": ("nowhere",)})
    await session.watches.remove(record.id)
    assert session.watches.all() == []
    with pytest.raises(NotFound):
        await session.watches.remove(record.id)
    assert [k for k in kinds(session) if k.startswith("watch.")] == ["watch.created", "watch.updated", "watch.deleted"]


async def test_a_delegated_task_without_an_agent_fails_and_says_why(house: House):
    house.engine.script = lambda turn: (
        (Score(1.0), ["Let me look into that. </delegation> Which bird is this?"]) if turn.step == 1 else Score(0.0)
    )
    session, source = await add_camera(house)
    await seconds(house, source, 2)
    tick = session.ticks()[0]
    assert (tick["decision"], tick["question"]) == ("delegate", "Which bird is this?")

    def told() -> list[dict[str, Any]]:
        return [u.data["task"] for u in session.updates._ring if u.type == "task.updated"]

    await until(lambda: bool(told()))
    (task,) = told()
    assert task["status"] == "failed"
    assert "No agent" in task["error"]


def raises(turn: UserTurn) -> Score:
    raise ZeroDivisionError


async def test_an_internal_error_ends_one_session_which_begins_anew(house: House):
    session, source = await add_camera(house)
    other = await house.registry.cameras.add(CameraDraft(name="yard", url="rtsp://192.168.1.20/2"))

    await seconds(house, source, 2)
    house.engine.script = raises
    source.show(picture(source.now))
    await house.clock.advance(1.0)
    assert [s.id for s in house.registry.sessions()] == [other.record.session_id]
    assert kinds(session)[-1] == "session.ended"
    house.engine.script = lambda turn: Score(0.0)
    await house.clock.advance(1.5)
    await until(lambda: len(house.registry.sessions()) == 2)
    assert house.registry.session(session.id) is not session


async def test_a_session_that_failed_is_told_while_its_sinks_still_finish(house: House):
    finishes = asyncio.Event()

    class Slow(QueuedSink):
        wants = (Ticked,)

        def __init__(self, context: SinkContext) -> None: ...

        async def handle(self, message: Message) -> None:
            await finishes.wait()

    house.registry._sinks.add("slow", Slow)
    session, source = await add_camera(house)
    await seconds(house, source, 2)
    house.engine.script = raises
    source.show(picture(source.now))
    await house.clock.advance(1.0)
    assert house.registry.sessions() == []
    camera = session.record.camera_id
    state = house.registry.cameras.get(camera).state
    assert state is not None
    assert state.error
    house.engine.script = lambda turn: Score(0.0)
    await house.registry.cameras.change(camera, {"threshold": 0.4})
    (after,) = house.registry.sessions()
    finishes.set()
    await seconds(house, house.media.sources[camera], 4)
    assert house.registry.sessions() == [after]
    assert len(house.registry.cameras._retries) == 0
    assert [tick["skipped"] for tick in after.ticks()[-2:]] == [None, None]


async def test_the_recorded_log_replays_to_the_same_effects(tmp_path):
    import json

    from joyvl_server.core.replay import encode_effect, replay

    async with open_house(tmp_path, record_dir=tmp_path / "logs") as house:
        house.engine.script = lambda turn: (Score(0.9), ["A cat."]) if turn.step % 2 else Score(0.1)
        session, source = await add_camera(house)
        await session.watches.add(WatchDraft("Tell me about cats"))
        await seconds(house, source, 4)
    lines = (tmp_path / "logs" / f"{session.id}.jsonl").read_text().splitlines()
    recorded = [json.loads(line)["out"] for line in lines[1:]]
    replayed = [[encode_effect(effect) for effect in effects] for _, effects in replay(lines)]
    assert len(recorded) > 8
    assert replayed == recorded
