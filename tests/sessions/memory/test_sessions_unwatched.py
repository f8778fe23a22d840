"""What nobody watched is said to be unwatched, never that nothing happened."""

from __future__ import annotations

from datetime import date

import pytest

from fakes.media.media import picture
from fakes.patience import until
from fakes.server.sessions import House
from joyvl_server.core.past.spans import Span
from joyvl_server.core.prompt.wire_format import user_parts
from joyvl_server.engines.base import Capabilities
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.memory.known.unwatched import Unwatched, unwatched
from joyvl_server.sessions.memory.known.words import day_not_watched, not_watched
from joyvl_server.sessions.session import Session
from joyvl_server.store.events import EventFilter, EventRecord

CAMERA = EventFilter(camera_id="cam_a")
HISTORY = (
    ("session_started", 100), ("camera_online", 103), ("session_ended", 200), ("session_started", 300),
    ("camera_online", 301), ("camera_offline", 400), ("camera_online", 450), ("engine_offline", 500),
    ("engine_online", 520), ("camera_offline", 530), ("camera_online", 531),
)  # fmt: skip


async def note(house: House, *history: tuple[str, float], camera: str = "cam_a", session: str = "ses_a") -> None:
    for type, wall in history:
        house.registry.events.post(EventRecord(new_id("evt"), session, camera, type, 0.0, wall, "", {}))
    await house.registry.store.main.write(lambda connection: None)  # what was posted before is written


def spans(*pairs: tuple[float, float]) -> tuple[Span, ...]:
    return tuple(Span(*pair) for pair in pairs)


@pytest.mark.parametrize(
    ("created", "asked", "away"),
    [
        (99, (110, 190), Unwatched()),
        (99, (150, 320), Unwatched(spans((200, 301)))),
        (99, (210, 290), Unwatched(spans((210, 290)), whole=True)),
        (99, (350, 600), Unwatched(spans((400, 450), (500, 520)))),
        (99, (10, 50), Unwatched((), 99, whole=True)),
        (99, (10, 250), Unwatched(spans((200, 250)), 103)),
        (99, (540, 9000), Unwatched()),
        (99, (1500, 9000), Unwatched()),
    ],
)  # fmt: skip
async def test_what_was_not_watched_follows_from_the_timeline(
    house: House, created: float, asked: tuple[float, float], away: Unwatched
) -> None:
    await note(house, *HISTORY)
    assert await unwatched(house.registry.events, CAMERA, created, spans(asked), 1000.0) == away


async def test_another_session_of_the_camera_watches_where_one_has_ended(house: House) -> None:
    await note(house, ("session_started", 100), ("camera_online", 101), ("session_ended", 200))
    await note(house, ("session_started", 150), ("camera_online", 151), session="ses_b")
    assert await unwatched(house.registry.events, CAMERA, 90, spans((110, 300)), 1000.0) == Unwatched()


async def test_of_what_is_no_longer_noted_the_next_event_tells(house: House) -> None:
    await note(house, ("camera_offline", 500))
    found = await unwatched(house.registry.events, CAMERA, 90, spans((110, 600)), 1000.0)
    assert found == Unwatched(spans((500, 600)))
    nothing = EventFilter(camera_id="cam_b")
    assert (await unwatched(house.registry.events, nothing, 90, spans((110, 600)), 1000.0)).whole


@pytest.mark.parametrize(
    ("language", "part", "whole"),
    [
        ("en", "I was not watching from 3 to 5. I have watched only since 1.", "I was not watching at that time."),
        ("de", "Nicht beobachtet habe ich von 3 bis 5. Ich beobachte erst seit 1.",
         "In dieser Zeit habe ich nicht beobachtet."),
        ("zh", "我没有在看的时间：3到5。我从1才开始看。", "那段时间我没有在看。"),
    ],
)  # fmt: skip
def test_it_is_said_in_each_language(language: str, part: str, whole: str) -> None:
    away = Unwatched(spans((3, 5)), 1)
    assert not_watched(language, away, lambda wall: f"{wall:g}") == part
    assert not_watched(language, Unwatched(spans((3, 5)), whole=True), str) == whole
    assert not_watched(language, Unwatched(), str) == ""
    assert day_not_watched(language, away, spans(*((n, n + 1) for n in range(6))), str) not in ("", part)


async def without_words(house: House) -> Session:
    house.engine.capabilities = Capabilities(follows_instructions=False, reports_kinds=True)
    view = await house.registry.cameras.add(CameraDraft(name="door", url="rtsp://192.168.1.20/1"))
    session = house.registry.session(view.record.session_id)
    session.machine.engine_changed()
    await until(lambda: not session.capabilities.follows_instructions)
    return session


async def ask(house: House, session: Session, text: str) -> str:
    query = session.ask(text)
    await until(lambda: session.queries.get(query.id).status != "open")
    return session.queries.get(query.id).answer or ""


async def test_a_time_before_the_camera_is_no_all_clear(house: House) -> None:
    session = await without_words(house)
    source = house.media.sources[session.record.camera_id or ""]
    source.show(picture(source.now))
    await house.registry.store.main.write(lambda connection: None)
    for text, said in (
        ("Who came the day before yesterday?", "I was not watching at that time."),
        ("Wer kam vorgestern?", "In dieser Zeit habe ich nicht beobachtet."),
        ("前天有人来过吗？", "那段时间我没有在看。"),
    ):
        assert (await ask(house, session, text)).startswith(said)
    await house.clock.advance(60)
    source.fail("stalled", "No picture for 10 s.")
    await house.clock.advance(60)
    source.show(picture(source.now))
    await house.registry.store.main.write(lambda connection: None)
    answer = await ask(house, session, "Did anyone come in the last ten minutes?")
    assert answer.startswith("I noted no time when something came in")
    assert "I was not watching from" in answer
    assert "I have watched only since" in answer


async def test_an_engine_that_reads_words_is_told_too(house: House) -> None:
    view = await house.registry.cameras.add(CameraDraft(name="door", url="rtsp://192.168.1.20/1"))
    session = house.registry.session(view.record.session_id)
    source = house.media.sources[view.record.id]
    turns = []
    script = house.engine.script
    house.engine.script = lambda turn: (turns.append(turn), script(turn))[1]
    query = session.ask("Who came the day before yesterday?")
    await until(lambda: session.machine._observer._composer.queries.is_open(query.id))
    for _ in range(8):
        source.show(picture(source.now))
        await house.clock.advance(0.25)
    asking = next(turn for turn in turns if turn.query is not None)
    assert "I was not watching at that time." in user_parts(asking)[0].text


async def test_a_day_that_nobody_watched_is_not_said_to_be_quiet(house: House) -> None:
    view = await house.registry.cameras.add(CameraDraft(name="door", url="rtsp://192.168.1.20/1"))
    days = house.registry.past.digests
    digest = await days.of(view.record.id, date(2020, 1, 1))
    assert digest.text == "Nobody watched."
    assert "Nothing happened" not in (await days.of(view.record.id, days.today)).text
