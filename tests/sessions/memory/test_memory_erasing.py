"""Forgetting, as the files of the data folder see it: not one byte of what was forgotten is left in any of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.agents.steered_agent import STEERED, offer
from fakes.patience import PATIENCE_S, until
from fakes.server.house import House, house
from joyvl_server.agents.base import TaskBundle
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.core.errors import NotFound
from joyvl_server.kit.ids import new_id
from joyvl_server.memory.base import MemoryDraft
from joyvl_server.store.erasure_records import ErasureScope, Past
from joyvl_server.store.erasures import Erasures
from joyvl_server.store.events import EventFilter, EventRecord
from joyvl_server.store.memories.records import MemoryFilter
from joyvl_server.store.ticks.records import TickRecord

WALL = 1_799_990_000.0
HOUR = 3600.0


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


class Day:
    """What a camera saw and said, in every place where the server keeps it: each with a word of its own."""

    def __init__(self, h: House, word: str, camera_id: str = "cam_a", wall: float = WALL) -> None:
        self.h, self.word, self.camera_id, self.wall = h, word, camera_id, wall
        self.session_id = f"ses_{camera_id}"
        self.epoch = round(wall)
        self.memory = self.summary = self.event = ""

    def _event(self, type: str, text: str, **data: Any) -> EventRecord:
        return EventRecord(new_id("evt"), self.session_id, self.camera_id, type, 5.0, self.wall, text, data)

    async def lived(self) -> Day:
        registry, word = self.h.registry, self.word
        picture = b"\xff\xd8" + f"picture-{word}".encode() * 20 + b"\xff\xd9"
        event = self._event("watch_fired", f"said-{word} at the door", epoch=self.epoch, watch_names=[f"watch-{word}"])
        self.event = event.id
        registry.timeline.post(event, picture)
        clip = registry.timeline.files.clip(event)
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(f"clip-{word}".encode() * 20)
        for other in (
            self._event("cut_off", f"cut-{word}", epoch=self.epoch),
            self._event("heard", f"heard-{word}"),
            self._event("query_asked", f"asked-{word}", query_id="qry_1"),
        ):
            registry.events.post(other)
        draft = MemoryDraft(
            self.camera_id, "said", f"memory-{word} at the door", self.wall, camera_id=self.camera_id,
            session_id=self.session_id, event_id=event.id, source=f"source-{word}", data={"of": f"data-{word}"},
        )  # fmt: skip
        self.memory = (await registry.memory.add(draft)).id
        account = replace(
            draft, kind="summary", text=f"summary-{word}", until_wall=self.wall + 60, event_id=None, source="", data={}
        )
        self.summary = (await registry.memory.add(account)).id
        answer = self._event("query_closed", f"answer-{word}", rests_on=[self.memory])
        registry.events.post(answer)
        for n in range(3):
            text = f"tick-{word}" if n == 1 else ""
            registry.ticks.post(
                TickRecord(
                    round((self.wall + n) * 1e6), self.session_id, 5.0 + n, self.wall + n, "speak", "full", 0.9,
                    epoch=self.epoch if n == 1 else None, text=text, question=f"question-{word}" if n == 1 else "",
                )
            )  # fmt: skip
        await registry.idempotency.put("k-" + word, "POST /x", 201, {}, f"kept-{word}".encode(), "h", now=self.wall)
        await registry.timeline.files.removed()
        await registry.store.ticks.write(lambda connection: None)  # those that wait without hurry
        return self

    async def alert(self) -> None:
        """An alert with a delivery that waits."""

        def work(connection: Any) -> None:
            word, event = self.word, self.event
            connection.execute(
                "INSERT INTO hooks VALUES (?,?,'webhook',?,0,'[]','[]','[]','[]',0,0,0,NULL,0,0,0)",
                (f"hook_{word}", f"hook {word}", '{"url": "http://127.0.0.1:9/"}'),
            )
            number = connection.execute("SELECT coalesce(max(revision), 0) + 1 FROM alerts").fetchone()[0]
            connection.execute(
                "INSERT INTO alerts (id, revision, first_revision, kind, created_wall, wall, title, text, session_id, "
                "camera_id, camera, event_id, watches, subject, count, last_wall, state) "
                "VALUES (?,?,?,'watch_fired',?,?,?,?,?,?,'door',?,'[]','s',1,?,'open')",
                (f"alr_{word}", number, number, self.wall, self.wall, f"title-{word}", f"alert-{word}",
                 self.session_id, self.camera_id, event, self.wall),
            )  # fmt: skip
            connection.execute(
                "INSERT INTO deliveries (id, hook_id, alert_id, reason, state, created_wall, wait_s, attempts, error) "
                "VALUES (?,?,?,'new','waiting',0,0,1,?)",
                (f"dlv_{word}", f"hook_{word}", f"alr_{word}", f"delivery-{word}"),
            )

        await self.h.registry.store.main.write(work)


def found(folder: Path, *words: str) -> set[str]:
    """Where and what of these is anywhere in the files; in the ticks, as they are read."""
    there = set()
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes().lower()
            there |= {f"{word} in {path.name}" for word in words if word.encode() in data or word in path.name}
    return there


async def words_of_ticks(h: House, day: Day) -> str:
    ticks = await h.registry.ticks.list(day.session_id, limit=100)
    assert len(ticks) >= 3, "scores and decisions stay"
    return json.dumps([[tick.text, tick.question, tick.detail] for tick in ticks])


async def gone(h: House, *days: Day, but: tuple[str, ...] = ()) -> None:
    """No file holds a word of these days; `but`: hooks have names of their own."""
    for day in days:
        left = found(h.settings.data_dir, *(f"{kind}-{day.word}" for kind in KINDS if kind not in but))
        assert left == set()
        assert day.word not in await words_of_ticks(h, day)


KINDS = (
    "said", "picture", "clip", "cut", "heard", "asked", "memory", "summary", "source", "data", "answer", "tick",
    "question", "kept", "title", "alert", "delivery", "watch",
)  # fmt: skip
OF_A_TIME = ("heard", "asked", "summary")
"""kinds that only go with all of their time"""


async def two_days(h: House) -> tuple[Day, Day]:
    """One that is to be forgotten, one that is to stay."""
    going = await Day(h, "zqfirst").lived()
    staying = await Day(h, "zqother", "cam_b", WALL + HOUR).lived()
    await going.alert()
    await staying.alert()
    assert len(found(h.settings.data_dir, "memory-zqfirst", "picture-zqfirst", "clip-zqfirst", "alert-zqfirst")) >= 4
    return going, staying


async def stays(h: House, day: Day) -> None:
    folder = h.settings.data_dir
    for kind in ("said", "picture", "clip", "heard", "memory", "summary", "answer", "alert", "delivery"):
        assert found(folder, f"{kind}-{day.word}"), kind
    assert f"tick-{day.word}" in await words_of_ticks(h, day)
    assert (await h.registry.memory.memories.get(day.memory)).text.startswith("memory-")
    for record in ("main", "ticks"):
        checked = await dict(h.registry.store)[record].read(lambda c: c.execute("PRAGMA integrity_check").fetchone()[0])
        assert checked == "ok"
    await h.registry.store.main.write(
        lambda c: [
            c.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
            for table in ("event_words", "memory_words")
        ]
    )


async def test_one_memory_takes_the_event_that_it_is_from(h: House):
    going, staying = await two_days(h)
    gone_now = await h.registry.past.eraser.forget(MemoryFilter(ids=(going.memory,)))
    assert (gone_now.memories, gone_now.events) == (1, 3), "the remark, where it was cut off, the answer from it"
    await gone(h, going, but=OF_A_TIME)
    assert found(h.settings.data_dir, "heard-zqfirst", "summary-zqfirst")
    await stays(h, staying)


async def test_one_event_takes_what_rests_on_it(h: House):
    going, staying = await two_days(h)
    await h.registry.past.eraser.forget_events(EventFilter(ids=(going.event,)))
    with pytest.raises(NotFound):
        await h.registry.memory.memories.get(going.memory)
    await gone(h, going, but=(*OF_A_TIME, "answer"))
    await stays(h, staying)


async def test_a_span_of_time(h: House):
    going, staying = await two_days(h)
    await h.registry.past.eraser.forget(MemoryFilter(since=WALL - 10, until=WALL + 120))
    await gone(h, going)
    await stays(h, staying)


async def test_a_camera(h: House):
    going, staying = await two_days(h)
    await h.registry.past.eraser.forget(MemoryFilter(camera_id="cam_a"))
    await gone(h, going)
    await stays(h, staying)


async def test_a_collection_and_a_camera_must_both_hold(h: House):
    going, staying = await two_days(h)
    nothing = await h.registry.past.eraser.forget(MemoryFilter(camera_id="cam_a", collections=("cam_b",)))
    assert (nothing.memories, nothing.events) == (0, 0)
    await stays(h, going)
    await stays(h, staying)


async def test_all(h: House):
    days = await two_days(h)
    fact = await h.client.post("/v1/memories", json={"text": "fact-zqfact"}, headers={"Idempotency-Key": "x"})
    assert fact.status_code == 201
    await h.registry.past.eraser.forget_all()
    await gone(h, *days)
    assert found(h.settings.data_dir, "zqfact") == set()
    assert await h.registry.memory.memories.count(MemoryFilter()) == 0


async def test_a_caller_takes_all_that_was_said_in_the_calls(h: House):
    going, staying = await two_days(h)
    registry = h.registry
    draft = MemoryDraft("user:anna", "heard", "memory-zqcall", WALL, session_id="ses_call")
    await registry.memory.add(draft)
    await registry.memory.add(replace(draft, kind="fact", text="fact-zqcall", session_id=None))
    registry.events.post(EventRecord(new_id("evt"), "ses_call", None, "heard", 1.0, WALL, "heard-zqcall", {}))
    await registry.past.eraser.forget(MemoryFilter(collections=("user:anna",)))
    assert found(h.settings.data_dir, "zqcall") == set()
    await stays(h, going)
    await stays(h, staying)


async def test_facts_of_a_caller_without_a_session_are_written_down_too(h: House):
    await h.registry.memory.add(MemoryDraft("user:anna", "fact", "fact-zqfact", WALL))
    await h.registry.past.eraser.forget(MemoryFilter(collections=("user:anna",)))
    assert found(h.settings.data_dir, "zqfact") == set()
    rows = await h.registry.store.main.read(lambda c: [tuple(row) for row in c.execute("SELECT done FROM erasures")])
    assert rows == [(1,)]


# ------------------------------------------------------------------------------------------------- it stays forgotten


async def test_an_account_of_a_forgotten_time_is_not_taken_later(h: House):
    going, _ = await two_days(h)
    await h.registry.past.eraser.forget(MemoryFilter(camera_id="cam_a", until=WALL + 120))
    late = MemoryDraft(
        "cam_a", "block", "block-zqfirst", WALL - 600, until_wall=WALL + 10, camera_id="cam_a", session_id="ses_cam_a"
    )
    await h.registry.memory.add(late)
    h.registry.events.post(going._event("spoke", "late-zqfirst"))
    await h.registry.store.main.write(lambda c: None)
    assert await h.registry.memory.memories.count(MemoryFilter(camera_id="cam_a")) == 0
    assert found(h.settings.data_dir, "block-zqfirst", "late-zqfirst") == set()
    after = await h.registry.memory.add(replace(late, text="new", wall=WALL + 200, until_wall=WALL + 300))
    assert (await h.registry.memory.memories.get(after.id)).text == "new"


async def test_a_forgotten_summary_does_not_come_back_in_a_longer_one(h: House):
    going, _ = await two_days(h)
    await h.registry.past.eraser.forget(MemoryFilter(ids=(going.summary,)))
    block = MemoryDraft(
        "cam_a", "block", "block-zqfirst", WALL - 600, until_wall=WALL + 600, camera_id="cam_a", session_id="ses_cam_a"
    )
    await h.registry.memory.add(block)
    assert found(h.settings.data_dir, "block-zqfirst", "summary-zqfirst") == set()
    # What somebody says then is something else.
    await h.registry.memory.add(replace(block, kind="heard", text="later"))
    assert await h.registry.memory.memories.count(MemoryFilter(kinds=("heard",))) == 1


async def test_a_fact_about_that_time_may_be_told_again(h: House):
    await h.registry.past.eraser.forget_all()
    answer = await h.client.post("/v1/memories", json={"text": "The blue box is mine."})
    assert (await h.client.get(answer.headers["Location"])).status_code == 200


async def test_an_event_that_is_being_written_at_the_same_moment(h: House):
    day = Day(h, "zqrace")

    async def write() -> None:
        for _ in range(40):
            h.registry.timeline.post(day._event("spoke", "said-zqrace"), b"\xff\xd8picture-zqrace\xff\xd9")
            await asyncio.sleep(0)

    await asyncio.gather(write(), h.registry.past.eraser.forget_all(), write())
    await h.registry.store.main.write(lambda c: None)
    await h.registry.timeline.files.removed()
    assert await h.registry.events.list(EventFilter(types=("spoke",))) == []
    assert found(h.settings.data_dir, "said-zqrace") == set()


async def test_what_a_kill_interrupts_is_finished_at_the_next_start(tmp_path):
    async with house(tmp_path) as h:
        going, staying = await two_days(h)
        # As killed right after it was written down.
        erasures = Erasures(h.registry.store.main, h.registry.store.ticks)
        await erasures.begin(ErasureScope(Past(0.0, WALL + 120, "cam_a"), sessions=("ses_cam_a",)), WALL)
        assert len(await erasures.unfinished()) == 1
    async with house(tmp_path) as again:
        going.h = staying.h = again
        erasures = Erasures(again.registry.store.main, again.registry.store.ticks)
        async with asyncio.timeout(PATIENCE_S):
            while await erasures.unfinished():
                await asyncio.sleep(0.02)
        await gone(again, going)
        await stays(again, staying)


async def test_the_journal_holds_no_words_and_no_ids_afterwards(h: House):
    going, _ = await two_days(h)
    await h.registry.past.eraser.forget(MemoryFilter(ids=(going.memory,)))
    rows = await h.registry.store.main.read(
        lambda c: [tuple(row) for row in c.execute("SELECT scope, done FROM erasures")]
    )
    assert rows == [("", 1)]
    assert going.memory not in str(found(h.settings.data_dir, going.memory))


async def test_a_running_session_forgets_too(h: House):
    camera = await h.camera()
    session = h.session(camera)
    session.ask("zqquestion?")
    await until(lambda: session.queries.all()[0].status != "open")
    first = session.updates.since(None)
    await anext(first)
    await h.clock.advance(10)
    await h.registry.past.eraser.forget(MemoryFilter(camera_id=camera["id"]))
    assert session.queries.all() == []
    assert "zqquestion" not in json.dumps([update.to_dict() for update in session.updates._ring], default=str)
    assert (await h.client.get(f"/v1/sessions/{session.id}")).status_code == 200


async def ask(h: House, session_id: str, text: str, **headers: str) -> dict[str, Any]:
    """A question with the server's own answer."""
    path = f"/v1/sessions/{session_id}/queries"
    answer = await h.client.post(path, json={"text": text}, headers={"Prefer": "wait=20", **headers})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("how", ["wish", "wish without such a fact", "page", "undo"])
async def test_a_fact_goes_with_all_in_which_it_was_told_or_asked(h: House, how: str):
    camera = await h.camera()
    session = h.session(camera)
    fact = await h.client.post("/v1/memories", json={"text": "The zqgiraffe sleeps", "camera_id": camera["id"]})
    if how == "undo":
        await h.client.delete(fact.headers["Location"])
    for n, text in enumerate(
        (
            "Is it so that the zqgiraffe sleeps now?",
            "Forget that the zqgiraffe sleeps deeply",
            "Remember that the zqgiraffe sleeps",
        )
    ):
        await ask(h, session.id, text, **{"Idempotency-Key": f"k{n}"}) if "now" not in text else session.ask(text)
        await h.clock.advance(2)
    await h.registry.store.main.write(lambda c: None)
    assert found(h.settings.data_dir, "zqgiraffe")
    if how.startswith("wish"):
        said = await ask(h, session.id, "Forget that the zqgiraffe sleeps", **{"Idempotency-Key": "k"})
        assert (said["answer"], said["text"]) == ("I have forgotten all of them.", "…")
    elif how == "undo":
        assert "no longer remember it" in (await ask(h, session.id, "undo that"))["answer"]
    else:
        for memory in (await h.client.get("/v1/memories?kind=fact")).json()["data"]:
            assert (await h.client.delete(f"/v1/memories/{memory['id']}")).status_code == 204
    if how == "wish without such a fact":
        said = await ask(h, session.id, "Forget that the zqgiraffe sleeps")
        assert (said["answer"], said["text"]) == ("I remember nothing like that.", "…")
    await h.clock.advance(3)
    await h.registry.store.main.write(lambda c: None)
    await h.registry.store.ticks.write(lambda c: None)
    assert found(h.settings.data_dir, "zqgiraffe") == set()
    shown = [await h.client.get(path) for path in (f"/v1/sessions/{session.id}", "/v1/events", "/v1/memories")]
    assert "zqgiraffe" not in json.dumps([answer.json() for answer in shown])
    assert "zqgiraffe" not in json.dumps([update.to_dict() for update in session.updates._ring], default=str)
    ticks = await h.registry.ticks.list(session.id, limit=100)
    assert "zqgiraffe" not in json.dumps([[tick.text, tick.question, tick.detail] for tick in ticks])


async def test_what_only_has_some_words_of_a_fact_stays(h: House):
    camera = await h.camera()
    for text in ("door", "The cat sleeps", "有一只猫"):
        await h.client.post("/v1/memories", json={"text": text, "camera_id": camera["id"]})
    questions = ["Is anybody at the green door?", "Does the big cat sleep?", "那里有一只小猫"]
    for text in questions:
        h.session(camera).ask(text)
    await h.registry.store.main.write(lambda c: None)
    for memory in (await h.client.get("/v1/memories?kind=fact")).json()["data"]:
        await h.client.delete(f"/v1/memories/{memory['id']}")
    events = await h.registry.events.list(EventFilter(types=("query_asked",)))
    assert {event.text for event in events} == set(questions)


async def test_tasks_go_with_what_was_given_along(tmp_path, monkeypatch):
    offer(monkeypatch)
    async with house(tmp_path, agents={**STEERED, "at_once": 1}) as h:
        for n in range(2):
            bundle = TaskBundle("", "", transcript=(f"bundle-zqtask {n}",))
            draft = TaskDraft(question=f"task-zqtask {n}", origin="user", camera_id="cam_a", session_id="ses_cam_a")
            await h.registry.tasks.submit(draft, bundle)
        await until(lambda: found(tmp_path, "bundle-zqtask"))
        await h.clock.advance(1)
        await h.registry.past.eraser.forget(MemoryFilter(camera_id="cam_a"))
        assert found(tmp_path, "zqtask") == set()


@pytest.mark.processes
async def test_chroma_has_neither_id_nor_vector_afterwards(h: House):
    memory = h.registry.memory
    staying = await memory.add(MemoryDraft("cam_a", "said", "the cat sleeps on the sofa", WALL, camera_id="cam_a"))
    going = await memory.add(MemoryDraft("cam_a", "said", "a parcel lies at the door", WALL, camera_id="cam_a"))
    await memory.rebuild(Ignored())
    folder = h.settings.data_dir / "chroma"
    assert found(folder, going.id)
    vector = await vector_of(h, going.id)
    assert any(vector in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    await h.registry.past.eraser.forget(MemoryFilter(ids=(going.id,)))
    await memory.settled(Ignored())
    assert found(folder, going.id) == set()
    assert found(folder, staying.id)
    assert not any(vector in path.read_bytes() for path in folder.rglob("*") if path.is_file())


class Ignored:
    def progress(self, done: int, total: int) -> None: ...


async def vector_of(h: House, memory_id: str) -> bytes:
    """Some of its numbers as Chroma keeps them."""
    query = "SELECT v.vector FROM memory_vectors v JOIN memories m ON m.seq = v.seq WHERE m.id = ?"
    stored = await h.registry.store.main.read(lambda c: c.execute(query, (memory_id,)).fetchone()[0])
    return np.frombuffer(stored, "<f2").astype("<f4").tobytes()
