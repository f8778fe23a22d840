"""Questions about the past and wishes to remember, in sessions over a scripted engine."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fakes.media.media import FakeSource, picture
from fakes.patience import PATIENCE_S, until
from fakes.server.sessions import House, open_house
from joyvl_server.core.errors import Conflict, StoreError
from joyvl_server.core.past.questions import Asked, PastQuestion
from joyvl_server.core.past.time_words import TimeReading
from joyvl_server.core.prompt.prefix import KNOWN
from joyvl_server.core.prompt.turns import UserTurn
from joyvl_server.core.prompt.wire_format import MEMORIES_HEADER, user_parts
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.ids import new_id
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.memory.phrases import say, that
from joyvl_server.sessions.memory.timeline_answer import Place, answer
from joyvl_server.sessions.memory.zone_calendar import ZoneCalendar
from joyvl_server.sessions.query_list import MAX_OPEN, QueryView
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks.messages import HeardDone
from joyvl_server.store.events import EventRecord
from joyvl_server.store.memories.records import MemoryFilter

URL = "rtsp://192.168.1.20/1"


async def add_camera(house: House, name: str = "door") -> tuple[Session, FakeSource]:
    view = await house.registry.cameras.add(CameraDraft(name=name, url=URL))
    session = house.registry.session(view.record.session_id)
    return session, house.media.sources[view.record.id]


async def seconds(house: House, source: FakeSource, count: int) -> None:
    for _ in range(4 * count):
        source.show(picture(source.now))
        await house.clock.advance(0.25)


def keep_turns(house: House) -> list[UserTurn]:
    """Every turn that the engine scores from now on."""
    turns: list[UserTurn] = []
    script = house.engine.script

    def keeping(turn: UserTurn) -> Any:
        turns.append(turn)
        return script(turn)

    house.engine.script = keeping
    return turns


async def remember(house: House, session: Session, text: str, **more: Any) -> str:
    camera = session.record.camera_id
    draft = MemoryDraft(more.pop("collection", camera), "said", text, house.clock.wall() - 60, camera_id=camera, **more)
    return (await house.registry.memory.add(draft)).id


async def answered(session: Session, text: str) -> QueryView:
    """What the server itself says to it."""
    query = session.ask(text)
    await until(lambda: session.queries.get(query.id).status != "open")
    return session.queries.get(query.id)


async def facts(house: House) -> list[str]:
    found = await house.registry.memory.memories.list(MemoryFilter(kinds=("fact",)))
    return [memory.text for memory in found]


async def test_the_memory_stands_at_the_tail_of_the_very_next_request_and_no_byte_before_it_changes(house: House):
    session, source = await add_camera(house)
    await seconds(house, source, 3)
    memory_id = await remember(house, session, "A man in a red coat brought a parcel.")
    context = session.machine._observer.context
    before = (context.chunk, context.turns)
    turns = keep_turns(house)
    query = session.ask("Who brought the parcel today?")
    await until(lambda: session.queries.get(query.id).rests_on)
    await seconds(house, source, 1)
    asking = next(turn for turn in turns if turn.query is not None)
    assert asking is turns[0]
    head = user_parts(asking)[0].text
    assert head.startswith(MEMORIES_HEADER)
    assert "A man in a red coat brought a parcel." in head
    assert head.index("brought a parcel.") < head.index("Who brought the parcel today?")
    assert (context.chunk, context.turns[: len(before[1])]) == before
    assert session.queries.get(query.id).rests_on == (memory_id,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Forget that something came in", "when asked I forget only those. What I saw and heard at a time is deleted"),
        ("forget what happened today", "deleted by an admin, under Timeline."),
        ("Forget everything from yesterday", "deleted by an admin, under Timeline."),
        ("Vergiss, was heute passiert ist", "löscht ein Admin unter Timeline."),
        ("Vergiss, dass jemand hereingekommen ist", "löscht ein Admin unter Timeline."),
        ("忘记今天发生的事", "由管理员在 Timeline 里删除。"),
        ("Forget that the blue box is mine", "I remember nothing like that."),
        ("Forget where my keys are", "I remember nothing like that."),
        ("Forget the meeting tomorrow", "I remember nothing like that."),
        ("Vergiss, dass die blaue Kiste mir gehört", "So etwas habe ich mir nicht gemerkt."),
        ("忘掉蓝色的盒子是我的", "我没有记过这样的事。"),
    ],
)
async def test_what_was_seen_is_not_forgotten_by_words_and_they_are_told_so(house: House, text: str, said: str):
    session, _ = await add_camera(house)
    memory_id = await remember(house, session, "Something came in.")
    assert said in ((await answered(session, text)).answer or "")
    found = await house.registry.memory.memories.list(MemoryFilter())
    assert memory_id in [memory.id for memory in found]


async def test_a_question_about_now_waits_for_nothing(house: House):
    session, _ = await add_camera(house)
    session.ask("Is anyone there?")
    assert [query.text for query in session.machine._observer._composer.queries.open.values()] == ["Is anyone there?"]


async def test_a_memory_that_hangs_is_not_waited_for_and_the_question_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    session, source = await add_camera(house)
    await seconds(house, source, 1)

    async def hangs(request: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(house.registry.memory, "recall", hangs)
    query = session.ask("Who came yesterday?")
    await until(lambda: session.machine._observer._composer.queries.is_open(query.id))
    assert "without memories" in (session.queries.get(query.id).note or "")


async def test_words_and_times_find_memories_though_the_embedder_hangs(house: House, monkeypatch: pytest.MonkeyPatch):
    session, _ = await add_camera(house)
    memory_id = await remember(house, session, "A man in a red coat brought a parcel.")
    embedders = house.registry.memory._embedders
    await until(lambda: embedders.current is not None)

    async def hangs(texts: object, kind: str = "passage") -> object:
        await asyncio.Event().wait()

    monkeypatch.setattr(embedders.current, "embed", hangs)
    query = session.ask("Who brought the parcel today?")
    await until(lambda: session.machine._observer._composer.queries.is_open(query.id))
    view = session.queries.get(query.id)
    assert (view.rests_on, view.note) == ((memory_id,), None)


async def test_a_question_withdrawn_while_it_is_looked_up_is_not_asked(house: House):
    session, _ = await add_camera(house)
    query = session.ask("Who came yesterday?")
    session.withdraw(query.id)
    await until(lambda: session.queries.get(query.id).status == "withdrawn")
    assert not session.machine._observer._composer.queries.open


async def test_other_cameras_are_looked_at_where_that_is_allowed(tmp_path: Path):
    async with open_house(tmp_path) as house:
        session, _ = await add_camera(house)
        other, _ = await add_camera(house, "garden")
        await remember(house, other, "The cat sat on the wall.")
        await remember(house, other, "The cat of somebody else.", collection="user:tom")
        query = session.ask("Where was the cat seen today?")
        await until(lambda: session.queries.get(query.id).rests_on)
        assert len(session.queries.get(query.id).rests_on) == 1


async def test_a_wish_is_written_before_it_is_answered_and_known_to_the_next_session(tmp_path: Path):
    async with open_house(tmp_path) as house:
        session, source = await add_camera(house)
        await seconds(house, source, 1)
        said = await answered(session, "Remember that the blue box is mine.")
        assert said.answer == "I will remember: the blue box is mine."
        assert await facts(house) == ["the blue box is mine."]
        assert said.rests_on
        camera = session.record.camera_id
    async with open_house(tmp_path) as house:
        turns = keep_turns(house)
        begun = house.registry.session(next(iter(house.registry.cameras.all())).record.session_id)
        assert begun.record.camera_id == camera
        source = house.media.sources[camera or ""]
        await until(lambda: begun.past._told)
        await seconds(house, source, 2)
        await until(lambda: turns)
        prefix = begun.machine._observer.context.chunk.prefix  # type: ignore[union-attr]
        assert KNOWN in prefix
        assert "the blue box is mine." in prefix


async def test_forgetting_everything_about_a_word_asks_first_and_can_be_taken_back(house: House):
    session, _ = await add_camera(house)
    await answered(session, "Remember that Tom has the key")
    await answered(session, "Merk dir, dass die Kiste mir gehört")
    asked = await answered(session, "Forget everything about Tom")
    assert "“Tom has the key”" in (asked.answer or "")
    assert "yes or no" in (asked.answer or "")
    assert len(await facts(house)) == 2
    await answered(session, "No")
    assert len(await facts(house)) == 2
    await answered(session, "Forget everything about Tom")
    assert "I have forgotten" in ((await answered(session, "Yes")).answer or "")
    assert await facts(house) == ["die Kiste mir gehört"]
    assert "taken that back" in ((await answered(session, "undo that")).answer or "")
    assert len(await facts(house)) == 2


async def test_one_step_is_taken_back_and_said_what_it_did(house: House):
    session, _ = await add_camera(house)
    await answered(session, "Remember that Ann has the car")
    await answered(session, "Remember that Tom has the key")
    assert "no longer remember" in ((await answered(session, "undo that")).answer or "")
    assert await facts(house) == ["Ann has the car"]
    assert (await answered(session, "undo that")).answer == "There is nothing to take back."
    await answered(session, "Forget that Ann has the car")
    again = await answered(session, "undo that")
    assert "remember it again: Ann has the car" in (again.answer or "")
    assert len(again.rests_on) == 1
    assert (await answered(session, "undo that")).answer == "There is nothing to take back."
    assert await facts(house) == ["Ann has the car"]


async def test_undo_later_or_after_other_words_means_something_else(house: House):
    session, _ = await add_camera(house)
    await answered(session, "Remember that Tom has the key")
    await house.clock.advance(121)
    assert (await answered(session, "undo that")).answer == "There is nothing to take back."
    await answered(session, "Remember that Ann has the car")
    for text in ("Is it dark?", "Is anyone there?", "What is this?"):
        session.ask(text)
    assert (await answered(session, "undo that")).answer == "There is nothing to take back."
    assert await facts(house) == ["Ann has the car", "Tom has the key"]


async def test_forget_that_takes_back_what_was_told_and_brings_nothing_back(house: House):
    session, _ = await add_camera(house)
    await answered(session, "Merk dir, dass Tom den Schlüssel hat")
    assert "nicht mehr" in ((await answered(session, "Vergiss das")).answer or "")
    await answered(session, "Remember that Tom has the key")
    await answered(session, "Forget that Tom has the key")
    assert (await answered(session, "Forget that")).answer == "There is nothing to take back."
    assert await facts(house) == []


async def test_what_was_forgotten_for_good_elsewhere_is_not_brought_back(house: House):
    session, _ = await add_camera(house)
    eraser = house.registry.past.eraser
    await answered(session, "Remember that Tom has the key")
    await answered(session, "Forget that Tom has the key")
    await eraser.forget_all()
    assert (await answered(session, "undo that")).answer == "There is nothing to take back."
    told = await answered(session, "Remember that Tom has the key")
    await eraser.forget(MemoryFilter(ids=told.rests_on))
    assert (await answered(session, "undo that")).answer == "There is nothing to take back."
    assert await facts(house) == []


@pytest.mark.parametrize(
    ("text", "fact", "watch"),
    [
        (
            "Remember that my daughter Anna comes at 5, and tell me when someone comes in",
            "my daughter Anna comes at 5",
            "tell me when someone comes in",
        ),
        (
            "Merk dir, dass Anna um 5 kommt und sag mir, wenn jemand kommt",
            "Anna um 5 kommt",
            "sag mir, wenn jemand kommt",
        ),
        ("记住我女儿五点来，有人进来时告诉我", "我女儿五点来", "有人进来时告诉我"),
        (
            "Remember that the dog is in, the cat is out. Tell me if one moves.",
            "the dog is in, the cat is out",
            "Tell me if",
        ),
    ],
)
async def test_a_fact_and_a_wish_from_now_on_in_one_sentence(house: House, text: str, fact: str, watch: str):
    house.engine.capabilities = Capabilities(follows_instructions=False, reports_kinds=True)
    session, _ = await add_camera(house)
    session.machine.engine_changed()
    await until(lambda: not session.capabilities.follows_instructions)
    assert fact in ((await answered(session, text)).answer or "")
    assert await facts(house) == [fact]
    await until(lambda: session.queries.all()[-1].status != "open")
    (made,) = session.watches.all()
    assert made.text.startswith(watch)


@pytest.mark.parametrize(
    "text", ["Remember that the code is 12, and never tell anyone", "Remember to tell me when she comes"]
)
async def test_what_is_one_wish_stays_one(house: House, text: str):
    session, _ = await add_camera(house)
    session.ask(text)
    assert [query.text for query in session.queries.all()] == [text]


async def test_where_there_is_no_room_for_both_neither_is_asked(house: House):
    session, _ = await add_camera(house)
    for n in range(MAX_OPEN - 1):
        session.ask(f"Is it {n}?")
    with pytest.raises(Conflict):
        session.ask("Remember that Anna comes at 5, and tell me when someone comes in")
    assert len(session.queries.all()) == MAX_OPEN - 1


async def test_a_no_is_answered_in_the_language_of_the_question(house: House):
    session, _ = await add_camera(house)
    await answered(session, "Merk dir, dass die Kiste mir gehört")
    assert "Soll ich alles vergessen" in ((await answered(session, "Vergiss alles")).answer or "")
    assert (await answered(session, "nein")).answer == "Ich habe es gelassen, wie es war."


async def test_a_fact_that_is_named_whole_is_forgotten_at_once(house: House):
    session, _ = await add_camera(house)
    await answered(session, "记住蓝色的盒子是我的")
    assert await facts(house) == ["蓝色的盒子是我的"]
    assert "我已经忘记" in ((await answered(session, "忘掉蓝色的盒子是我的")).answer or "")
    assert await facts(house) == []
    assert "没有记过这样的事" in ((await answered(session, "忘掉红色的盒子")).answer or "")


async def test_forgetting_it_all_asks_first(house: House):
    session, _ = await add_camera(house)
    await answered(session, "Remember that Tom has the key")
    asked = (await answered(session, "Forget everything")).answer or ""
    for word in ("everything", "1 memories", "events", "pictures", "clips", "alerts", "cannot be undone"):
        assert word in asked
    assert len(await facts(house)) == 1
    await answered(session, "yes")
    assert await facts(house) == []


async def test_a_wish_that_cannot_be_written_is_told(house: House, monkeypatch: pytest.MonkeyPatch):
    session, _ = await add_camera(house)

    async def fails(draft: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(house.registry.memory, "add", fails)
    said = await answered(session, "Remember that Tom has the key")
    assert "could not write that down" in (said.answer or "")


async def test_what_is_said_and_asked_is_remembered(house: House):
    session, _ = await add_camera(house)
    session.ask("Is the stove on?")
    session.ask("We are off to the lake.")
    await until_remembered(house, ["We are off to the lake."])


async def test_what_the_disk_does_not_take_now_is_remembered_later(house: House, monkeypatch: pytest.MonkeyPatch):
    session, _ = await add_camera(house)

    async def full(work: object) -> None:
        raise StoreError("The disk is full.", code="store_full")

    monkeypatch.setattr(house.registry.store.main, "write", full)  # what is posted waits until there is room
    session.bus.publish(HeardDone("s1", "\u202e\u200b", True))  # nothing that anybody could read
    session.ask("We are off to the lake.")
    await until_remembered(house, ["We are off to the lake."])


async def until_remembered(house: House, wanted: list[str]) -> None:
    found: list[str] = []

    async def look() -> None:
        found[:] = [memory.text for memory in await house.registry.memory.memories.list(MemoryFilter())]

    for _ in range(200):
        await look()
        if found == wanted:
            return
        await asyncio.sleep(0.02)
    assert found == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("How many people came in?", "something came in 3 times"),
        ("When did the third one leave?", "something left only once"),
        ("When did someone last come in?", "the last time something came in was at"),
        ("Did anything happen today?", "Something came in"),
        ("Did it get dark today?", "I was not watching"),
        ("Wie viele Leute kamen herein?", "kam etwas"),
        ("Was ist heute passiert?", "Das habe ich zwischen 00:00 und "),
        ("Was ist heute passiert?", " kam etwas herein, "),
        ("How many people came in between 7:59 and 8:00?", "came in 3 times, between 07:59 and 08:00: 07:59:20"),
        ("有几个人进来了？", "有东西进来3次"),
        ("Did anyone come while I was out?", "I don't know when “while I was out” was"),
    ],
)
async def test_an_engine_that_reads_no_words_is_not_asked_the_server_says_what_it_noted(
    house: House, text: str, wanted: str
):
    house.engine.capabilities = Capabilities(follows_instructions=False, reports_kinds=True)
    session, _ = await add_camera(house)
    for number, kind in enumerate(("enter", "enter", "leave", "enter")):
        wall = house.clock.wall() - 40 + number
        words = "Something came in." if kind == "enter" else "Something left."
        event = EventRecord(
            f"evt_{number}", session.id, session.record.camera_id, "spoke", float(number), wall, words, {"kind": kind}
        )
        house.registry.events.post(event)
    await house.registry.store.main.write(lambda connection: None)  # what was posted before is written
    session.machine.engine_changed()
    await until(lambda: not session.capabilities.follows_instructions)
    query = await answered(session, text)
    assert wanted in (query.answer or "")


async def test_an_agent_gets_memories_that_may_help(house: House):
    session, _ = await add_camera(house)
    await remember(house, session, "The parcel went to the neighbour.")
    (line,) = await session.past.recaller.for_task("Where is the parcel?")
    assert '"The parcel went to the neighbour."' in line
    assert "said by you" in line


async def test_an_event_of_this_very_moment_is_told(tmp_path: Path):
    async with open_house(tmp_path) as house:
        session, _ = await add_camera(house)
        release = threading.Event()
        house.registry.store.main.post(lambda c: release.wait(PATIENCE_S))  # a disk that is slow
        camera_id, wall = session.record.camera_id, house.clock.wall()
        event = EventRecord(new_id("evt"), session.id, camera_id, "watch_fired", 1.0, wall, "In.", {"kind": "enter"})
        house.registry.timeline.post(event)
        place = Place(camera_id, session.id)
        question = PastQuestion(TimeReading(ever=True), Asked.COUNT, (WatchKind.ENTER,))
        asking = asyncio.create_task(
            answer(house.registry.events, ZoneCalendar(ZoneInfo("UTC")), place, question, wall, "en")
        )
        await asyncio.sleep(0.05)
        release.set()
        assert (await asking).rests_on == (event.id,)


def test_never_in_german():
    that_de = that("de", (WatchKind.DARK, WatchKind.ENTER))
    said = say("de", "none", that=that_de, when=" in den letzten 24 Stunden")
    assert said == "Ich habe in den letzten 24 Stunden nicht notiert, dass es dunkel wurde oder etwas hereinkam."
