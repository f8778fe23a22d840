"""What a running session knows and quotes of what is forgotten meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from fakes.media.media import FakeSource, picture
from fakes.patience import until
from fakes.server.sessions import House
from joyvl_server.core.errors import StoreError
from joyvl_server.core.prompt.turns import Chunk
from joyvl_server.kit.ids import new_id
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.memory import recaller
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.sinks.messages import HeardDone
from joyvl_server.store.events import EventRecord
from joyvl_server.store.memories.records import MemoryFilter


async def camera(house: House, name: str = "door") -> tuple[Session, FakeSource]:
    view = await house.registry.cameras.add(CameraDraft(name=name, url="rtsp://192.168.1.20/1"))
    source = house.media.sources[view.record.id]
    await seconds(house, source, 1)  # its machine runs
    return house.registry.session(view.record.session_id), source


async def seconds(house: House, source: FakeSource, count: int) -> None:
    for _ in range(4 * count):
        source.show(picture(source.now))
        await house.clock.advance(0.25)


async def remember(house: House, session: Session, text: str, **more: Any) -> str:
    place = session.record.camera_id
    draft = MemoryDraft(place or "", more.pop("kind", "fact"), text, house.clock.wall() - 60, camera_id=place, **more)
    return (await house.registry.memory.add(draft)).id


def chunk(session: Session) -> Chunk:
    found = session.machine._observer.context.chunk
    assert found is not None
    return found


async def knows(session: Session, *words: str) -> None:
    """Wait until the next chunk begins with a line for each of these."""
    rollover = session.machine._observer._composer._rollover
    await until(
        lambda: len(rollover.known) == len(words) and all(word in "\n".join(rollover.known) for word in words),
        lambda: rollover.known,
    )


async def test_a_fact_that_is_forgotten_leaves_the_prompt_of_a_running_session_and_others_stay(house: House):
    session, source = await camera(house)
    going = await remember(house, session, "The blue box is mine.")
    await remember(house, session, "The red box is Ann's.")
    await session.past.tell_known(session.machine)
    await knows(session, "blue box", "red box")
    await seconds(house, source, 3)
    assert "blue box" in chunk(session).prefix
    await house.registry.past.eraser.forget(MemoryFilter(ids=(going,)))
    await knows(session, "red box")
    await seconds(house, source, 2)
    assert "blue box" not in chunk(session).prefix
    assert "red box" in chunk(session).prefix
    assert chunk(session).lead == ()


async def test_a_memory_of_another_camera_that_was_quoted_leaves_the_prompt_with_it(house: House):
    session, source = await camera(house)
    other, _ = await camera(house, "garden")
    going = await remember(house, other, "The cat sat on the wall.", kind="said")
    await seconds(house, source, 2)
    query = session.ask("Where was the cat seen today?")
    await until(lambda: session.machine._observer._composer.queries.is_open(query.id))
    await seconds(house, source, 2)
    context = session.machine._observer.context
    assert any("on the wall" in line for turn in context.turns for line in turn.user.memories)
    number = chunk(session).number
    await house.registry.past.eraser.forget(MemoryFilter(ids=(going,)))
    await seconds(house, source, 2)
    assert chunk(session).number == number + 1
    assert not any(turn.user.memories for turn in context.turns)


async def test_facts_that_are_told_or_put_right_meanwhile_are_known_as_they_are_now(house: House):
    session, source = await camera(house)
    memory = house.registry.memory
    fact = await memory.memories.get(await remember(house, session, "The box is blue."))
    session.told(fact)
    await knows(session, "box is blue")
    await seconds(house, source, 2)
    number = chunk(session).number
    session.told(await memory.change(fact.id, text="The box is green."))
    await knows(session, "box is green")
    await seconds(house, source, 2)
    assert (chunk(session).number, "green" in chunk(session).prefix) == (number + 1, True)
    assert "blue" not in chunk(session).prefix


async def test_what_nobody_quoted_is_forgotten_without_a_new_chunk(house: House):
    session, source = await camera(house)
    going = await remember(house, session, "The cat sat on the wall.", kind="said")
    await seconds(house, source, 2)
    number = chunk(session).number
    await house.registry.past.eraser.forget(MemoryFilter(ids=(going,)))
    await seconds(house, source, 2)
    assert chunk(session).number == number


def files_with(folder: Path, word: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if word.encode() in path.read_bytes().lower()]


async def answer(session: Session, text: str) -> str:
    """What the server itself says to it."""
    query = session.ask(text)
    await until(lambda: session.queries.get(query.id).status != "open")
    return session.queries.get(query.id).answer or ""


@pytest.mark.parametrize("forget", ["Forget that the zqbox is mine", "Forget everything about the zqbox", "undo that"])
async def test_a_fact_that_is_forgotten_takes_the_words_with_which_it_was_wished(house: House, forget: str):
    session, source = await camera(house)
    session.bus.publish(HeardDone("s1", "Remember that the zqbox is mine.", True))
    assert "zqbox" in await answer(session, "Remember that the zqbox is mine.")
    await house.registry.store.main.write(lambda connection: None)
    folder = house.registry.settings.data_dir
    assert files_with(folder, "zqbox")
    said = await answer(session, forget)
    if "yes or no" in said:
        said = await answer(session, "yes")
    assert "zqbox" not in said
    await seconds(house, source, 2)
    await until(lambda: files_with(folder, "zqbox") == [], lambda: files_with(folder, "zqbox"))


async def test_what_cannot_be_forgotten_now_is_told(house: House, monkeypatch: pytest.MonkeyPatch):
    session, _ = await camera(house)
    await answer(session, "Remember that the box is mine")

    async def fails(*given: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(house.registry.past.eraser, "forget", fails)
    assert await answer(session, "undo that") == "I could not forget that. The disk is full."
    assert await answer(session, "Forget that the box is mine") == "I could not forget that. The disk is full."
    monkeypatch.undo()
    assert await answer(session, "undo that") == "I have taken that back: I no longer remember it."


async def test_facts_are_known_again_after_a_time_was_forgotten(house: House):
    session, source = await camera(house)
    await remember(house, session, "The blue box is mine.")
    await session.past.tell_known(session.machine)
    await seconds(house, source, 2)
    now = house.clock.wall()
    await house.registry.past.eraser.forget(
        MemoryFilter(camera_id=session.record.camera_id, since=now - 2.0, until=now - 1.0)
    )
    await knows(session, "blue box")


async def test_a_session_is_not_told_its_own_summaries_as_known_from_earlier(house: House):
    session, _ = await camera(house)
    await remember(house, session, "A quiet day before.", kind="summary", session_id="ses_before")
    await remember(house, session, "A man sat down.", kind="summary", session_id=session.id)
    await session.past.tell_known(session.machine)
    await knows(session, "A quiet day before.")


async def test_no_memory_is_written_late_of_an_event_that_is_forgotten(house: House):
    session, _ = await camera(house)
    here, gone = (
        EventRecord(new_id("evt"), session.id, None, "heard", 1.0, house.clock.wall(), "Hm.", {}) for _ in "ab"
    )
    house.registry.events.post(here)
    for event in (gone, here):
        house.registry.memory.post(MemoryDraft("cam_a", "heard", f"of {event.id}", event.wall, event_id=event.id))
    await house.registry.store.main.write(lambda connection: None)
    found = await house.registry.memory.memories.list(MemoryFilter(collections=("cam_a",)))
    assert [memory.event_id for memory in found] == [here.id]


async def test_a_session_begins_without_what_is_not_read_in_time_and_the_log_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = await camera(house)
    await remember(house, session, "The red car is Anna's.")
    assert len(await session.past.recaller.known()) == 1

    async def hangs(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(recaller, "BEGIN_S", 0.01)
    monkeypatch.setattr(house.registry.memory.memories, "list", hangs)
    with capture_logs() as told:
        assert await session.past.recaller.known() == ()
    (line,) = [line for line in told if line["event"] == "a session begins without what is known"]
    assert line["error"] == "it took too long"
