"""What somebody told comes back where the engine reads no words, and nothing else does in its place."""

from __future__ import annotations

import pytest

from fakes.media.media import picture
from fakes.patience import until
from fakes.server.sessions import House
from joyvl_server.engines.base import Capabilities
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.memory.places import SHARED
from joyvl_server.sessions.query_list import QueryView
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.watch_list import WatchDraft
from joyvl_server.store.events import EventRecord


async def without_words(house: House) -> Session:
    house.engine.capabilities = Capabilities(follows_instructions=False, reports_kinds=True)
    view = await house.registry.cameras.add(CameraDraft(name="door", url="rtsp://192.168.1.20/1"))
    session = house.registry.session(view.record.session_id)
    session.machine.engine_changed()
    await until(lambda: not session.capabilities.follows_instructions)
    for number in range(6):
        wall = house.clock.wall() - 40 + number
        event = EventRecord(
            f"evt_{number}", session.id, session.record.camera_id, "spoke", float(number), wall, "Something came in.",
            {"kind": "enter"},
        )  # fmt: skip
        house.registry.events.post(event)
    await house.registry.store.main.write(lambda connection: None)  # what was posted before is written
    return session


async def ask(session: Session, text: str) -> QueryView:
    query = session.ask(text)
    await until(lambda: session.queries.get(query.id).status != "open")
    return session.queries.get(query.id)


@pytest.mark.parametrize(
    ("wish", "question", "answer"),
    [
        ("Remember that the parcel is behind the counter", "Where is the parcel?",
         "You told me: the parcel is behind the counter"),
        ("Remember that the keys hang in the hall", "Where did I put my keys?",
         "You told me: the keys hang in the hall"),
        ("Remember that I take my medicine at eight", "When do I take my medicine?",
         "You told me: I take my medicine at eight"),
        ("Remember that Tom has the key", "Who has the key?", "You told me: Tom has the key"),
        ("Merk dir, dass die Schlüssel in der Schublade liegen", "Wo sind die Schlüssel?",
         "Das hast du mir gesagt: die Schlüssel in der Schublade liegen"),
        ("记住我八点吃药", "我什么时候吃药？", "你告诉过我：我八点吃药"),
        ("记住药在厨房", "我的药放在哪里了？", "你告诉过我：药在厨房"),
    ],
)  # fmt: skip
async def test_a_fact_comes_back(house: House, wish: str, question: str, answer: str) -> None:
    session = await without_words(house)
    told = await ask(session, wish)
    said = await ask(session, question)
    assert (said.answer, said.rests_on) == (answer, told.rests_on)


async def test_a_fact_told_by_a_client_comes_back_too_the_latest_first(house: House) -> None:
    session = await without_words(house)
    for number, code in enumerate(("4711", "4712")):
        text = f"The alarm code is {code}."
        await house.registry.memory.add(MemoryDraft(SHARED, "fact", text, house.clock.wall() + number, kept=True))
    said = await ask(session, "What is the alarm code?")
    assert said.answer == "You told me, the latest first: “The alarm code is 4712”, “The alarm code is 4711”."
    listed = await ask(session, "What did I tell you today?")
    assert "4712" in (listed.answer or "")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where is the ladder?", "I remember nothing about that."),
        ("Wo liegt die Leiter?", "Darüber weiß ich nichts."),
        ("我的梯子在哪里？", "关于这个我什么都不记得。"),
        ("Did I take my medicine?", "I remember nothing about that."),
        ("What did I tell you about the ladder?", "I remember nothing about that."),
    ],
)
async def test_what_nobody_told_is_said_to_be_unknown(house: House, question: str, answer: str) -> None:
    session = await without_words(house)
    await ask(session, "Remember that I take my medicine at eight")
    said = await ask(session, question)
    assert (said.answer, said.rests_on) == (answer, ())


@pytest.mark.parametrize("text", ["Remember that", "Remember to buy milk", "I forgot my keys", "Is anyone there?"])
async def test_what_asks_for_nothing_that_was_is_not_answered_with_it(house: House, text: str) -> None:
    session = await without_words(house)
    await ask(session, "Remember that Anna comes at five")
    said = await ask(session, text)
    assert "I can't answer questions" in (said.answer or "")
    assert said.rests_on == ()


async def test_facts_that_cannot_be_read_are_told_as_such(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await without_words(house)

    async def fails(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(house.registry.memory.memories, "list", fails)
    assert "cannot be read" in ((await ask(session, "Where are my keys?")).answer or "")
    assert "I can't answer questions" in ((await ask(session, "What is the alarm code?")).answer or "")


async def test_of_many_the_latest_are_told(house: House) -> None:
    session = await without_words(house)
    for number in range(6, 20):
        wall = house.clock.wall() - 34 + number
        event = EventRecord(
            f"evt_{number:02}", session.id, session.record.camera_id, "spoke", float(number), wall,
            "Something came in.", {"kind": "enter"},
        )  # fmt: skip
        house.registry.events.post(event)
    await house.registry.store.main.write(lambda connection: None)
    answer = (await ask(session, "What did you say?")).answer or ""
    assert answer.endswith("and 8 earlier.")
    calendar = session.past.calendar
    assert f"{calendar.local(house.clock.wall() - 15):%H:%M:%S}" in answer
    assert f"{calendar.local(house.clock.wall() - 40):%H:%M:%S}" not in answer


async def test_what_no_watch_is_for_was_not_noted(house: House) -> None:
    session = await without_words(house)
    source = house.media.sources[session.record.camera_id or ""]
    source.show(picture(source.now))
    await house.clock.advance(30)
    await session.watches.add(WatchDraft("when something comes in"))
    await house.registry.store.main.write(lambda connection: None)
    for text, said in (
        ("When did the last person leave?", "I can't tell when something left: no watch is for that now"),
        ("Wann ist der letzte gegangen?", "Ich kann nicht sagen"),
        ("最后一个人几点离开的？", "我说不出什么时候有东西离开"),
    ):
        assert (await ask(session, text)).answer.startswith(said)  # type: ignore[union-attr]
    assert "no watch" not in ((await ask(session, "Did anyone come in?")).answer or "")


async def test_a_watch_was_not_always_there(house: House) -> None:
    session = await without_words(house)
    source = house.media.sources[session.record.camera_id or ""]
    source.show(picture(source.now))
    await session.watches.add(WatchDraft("when something comes in"))
    await house.clock.advance(600)
    source.show(picture(source.now))
    await session.watches.add(WatchDraft("when something leaves"))
    await house.clock.advance(300)
    await house.registry.store.main.write(lambda connection: None)
    made = f"{session.past.calendar.local(house.clock.wall() - 300):%H:%M:%S}"
    for text, said in (
        ("Did anyone leave in the last hour?", f"Whether something left before {made}, I can't tell"),
        ("Ist in der letzten Stunde jemand gegangen?", f"Ob vor {made} etwas das Bild verließ, kann ich nicht sagen"),
        ("过去一小时有人离开吗？", f"{made}之前是否有东西离开，我说不出"),
    ):
        assert said in ((await ask(session, text)).answer or "")
    for text in ("Did anyone leave in the last two minutes?", "Did anyone come in in the last hour?"):
        assert "until then" not in ((await ask(session, text)).answer or "")
