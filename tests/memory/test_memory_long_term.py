"""The long-term memory without an index: written at once, embedded behind, found by meaning, words and time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fakes.memories import NOON, FakeEmbedder, Progress, draft
from fakes.patience import until
from joyvl_server.core.errors import ConfigError, NotFound
from joyvl_server.kit.clock import SystemClock
from joyvl_server.memory import embedding, recall
from joyvl_server.memory.base import EmbedderContext, EmbedderError, RecallRequest
from joyvl_server.memory.embedders.lexical import LexicalEmbedder
from joyvl_server.memory.index.off import NoIndex
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.settings import Settings
from joyvl_server.store.memories.records import MemoryFilter
from joyvl_server.store.sqlite.database import Database


@pytest.fixture
async def db(tmp_path):
    opened = await Database.open(tmp_path / "memory.db")
    yield opened
    await opened.aclose()


@pytest.fixture
def embedders(monkeypatch):
    """What the settings name, by name; more can be put in."""
    there = {"fake": FakeEmbedder("fake:1"), "other": FakeEmbedder("other:1")}

    def open_embedder(settings, name):
        if name not in there:
            raise ConfigError(f"There is no {name}.")
        return there[name]

    monkeypatch.setattr(embedding, "open_embedder", open_embedder)
    return there


@pytest.fixture
async def make(db):
    opened = []

    def make(embedder: str = "fake") -> LongTermMemory:
        settings = Settings(memory={"embedder": embedder, "embed_timeout_s": 0.2})
        opened.append(LongTermMemory(settings, db, NoIndex(), SystemClock()))
        opened[-1].start()
        return opened[-1]

    yield make
    for memory in opened:
        await memory.aclose()


async def texts(memory: LongTermMemory, question: str, **more) -> list[str]:
    return [recalled.memory.text for recalled in await memory.recall(RecallRequest(question, **more))]


async def test_what_was_added_is_found_at_once_and_by_meaning_soon(make, embedders):
    memory = make()
    record = await memory.add(draft("The courier left a parcel at the door.", camera_id="cam_a"))
    assert await texts(memory, "parcels?") == [record.text]
    await until(lambda: embedders["fake"].embedded)
    await memory.settled(Progress())
    assert await texts(memory, "the courier's parcel") == [record.text]
    assert memory.ready() is None


async def test_what_is_posted_is_written_and_embedded_soon_and_nobody_waits(make, embedders):
    memory = make()
    assert memory.post(draft("A blue box."))
    await until(lambda: embedders["fake"].embedded == ["A blue box."])
    assert await texts(memory, "box") == ["A blue box."]
    with pytest.raises(ConfigError):
        memory.post(draft("\u202e"))


async def test_the_question_is_within_its_time_and_its_collection(make, embedders):
    memory = make()
    await memory.add_all(
        [
            draft("A dog ran by.", NOON),
            draft("A dog slept.", NOON + 100, "cam_b"),
            draft("A dog ate.", NOON + 200, until_wall=NOON + 260),
        ]
    )
    await memory.settled(Progress())
    assert await texts(memory, "dog", collection="cam_b") == ["A dog slept."]
    assert await texts(memory, "dog", collection=()) == []
    assert set(await texts(memory, "dog", collection=("cam_a", "cam_b"))) == {
        "A dog ran by.", "A dog slept.", "A dog ate."
    }  # fmt: skip
    assert await texts(memory, "dog", span=(NOON + 250, NOON + 900)) == ["A dog ate."]
    assert await texts(memory, "Did anyone come?", span=(NOON, NOON + 1)) == ["A dog ran by."]
    assert await texts(memory, "dog", span=(NOON + 1000, NOON + 2000)) == []


async def test_limits_and_tokens_are_kept_to(make, embedders):
    memory = make()
    await memory.add_all([draft(f"The red car number {n} parked here.", NOON + n) for n in range(10)])
    await memory.add(draft("red car " * 300))
    assert len(await texts(memory, "red car", limit=3)) == 3
    assert await texts(memory, "red car", limit=0) == []
    found = await texts(memory, "red car", limit=50, tokens=100)
    assert 1 <= len(found) <= 5
    assert all(len(text) < 100 for text in found)


async def test_the_same_words_stand_once(make, embedders):
    memory = make()
    await memory.add_all([draft("Nobody is there.", NOON + n) for n in range(5)] + [draft("A cat is there.")])
    await memory.settled(Progress())
    recalled = await memory.recall(RecallRequest("Is nobody there?"))
    assert [r.memory.text for r in recalled] == ["Nobody is there.", "A cat is there."]
    assert recalled[0].memory.wall == NOON + 4  # the last of them
    assert recalled[0].score > recalled[1].score > 0


async def test_hostile_text_is_bounded_and_cleaned(make, embedders):
    memory = make()
    record = await memory.add(draft("a\x00b\u202ec\ud800 \n\n\t d" + "z" * 10_000_000, source="x" * 999))
    assert record.text.startswith("ab c� d".replace("ab c", "abc"))
    assert len(record.text) <= 4000
    assert len(record.source) <= 200
    for bad in (
        draft(" \u200b\n "),
        draft("x", kind="nonsense"),
        draft("x", collection=" "),
        draft("x", collection="c" * 999),
    ):
        with pytest.raises(ConfigError):
            await memory.add(bad)
    assert await texts(memory, '" OR NEAR( * : ^ ' + "y" * 100_000) == []


async def test_a_changed_text_is_embedded_again(make, embedders):
    memory = make()
    record = await memory.add(draft("A blue box."))
    await memory.settled(Progress())
    await memory.change(record.id, text="A green tin.")
    await memory.settled(Progress())
    assert embedders["fake"].embedded == ["A blue box.", "A green tin."]
    for bad in ("", " \n"):
        with pytest.raises(ConfigError):
            await memory.change(record.id, text=bad)
    with pytest.raises(NotFound):
        await memory.change("mem_404", kept=True)


async def test_forgetting(make, embedders):
    memory = make()
    await memory.add_all([draft("A blue box."), draft("A red box.", collection="cam_b")])
    await memory.settled(Progress())
    assert await memory.forget(MemoryFilter(collections=("cam_b",))) == 1
    assert await texts(memory, "box") == ["A blue box."]
    assert await memory.forget_all() == 1
    assert await texts(memory, "box") == []


async def test_a_hanging_embedder_holds_nobody_up(make, embedders):
    memory = make()
    await memory.add(draft("A blue box."))
    await memory.settled(Progress())
    embedders["fake"].hangs = True
    began = asyncio.get_running_loop().time()
    assert await texts(memory, "box") == ["A blue box."]  # by its words
    assert asyncio.get_running_loop().time() - began < 5
    assert "in time" in memory.ready()
    embedders["fake"].hangs = False
    assert await texts(memory, "box") == ["A blue box."]
    assert memory.ready() is None
    await memory.add(draft("A red box."))
    await until(lambda: memory.ready() is None)


async def test_who_cannot_wait_gets_what_words_and_time_find(db, embedders, monkeypatch):
    class SlowIndex(NoIndex):
        async def query(self, *given):
            await asyncio.Event().wait()

    memory = LongTermMemory(
        Settings(memory={"embedder": "fake", "embed_timeout_s": 30}), db, SlowIndex(), SystemClock()
    )
    await memory.add_all([draft("A blue box."), draft("Somebody sang.", NOON + 60)])
    await memory.settled(Progress())
    monkeypatch.setattr(recall, "EXACT", 0)  # the index is asked
    assert await texts(memory, "box", meaning_s=0.05) == ["A blue box."]
    assert memory.ready() is None
    embedders["fake"].hangs = True
    assert await texts(memory, "box", meaning_s=0.05) == ["A blue box."]
    assert await texts(memory, "What?", meaning_s=0.05, span=(NOON + 30, NOON + 90)) == ["Somebody sang."]
    assert "in time" in memory.ready()
    await memory.aclose()


async def test_a_question_that_nobody_waits_for_any_more_is_no_fault(make, embedders):
    memory = make()
    await memory.add(draft("A blue box."))
    await memory.settled(Progress())
    embedders["fake"].hangs = True
    asked = asyncio.create_task(texts(memory, "box"))
    await asyncio.sleep(0.02)
    asked.cancel()
    await asyncio.wait({asked})
    assert memory.ready() is None


async def test_a_failing_embedder_is_told_and_tried_again(make, embedders, monkeypatch):
    embedders["fake"].failure = EmbedderError("It is gone.")
    memory = make()
    record = await memory.add(draft("A blue box."))
    await until(lambda: memory.ready() == "It is gone.")
    assert await texts(memory, "box") == [record.text]
    embedders["fake"].failure = None
    memory.written()
    await until(lambda: memory.ready() is None)
    assert embedders["fake"].embedded == ["A blue box."]


class KeptIndex(NoIndex):
    """It holds ids by embedder and collection."""

    def __init__(self) -> None:
        self.usable, self.life = False, 1
        self.held: dict[tuple[str, str], set[str]] = {}

    def begin(self):
        self.usable = True

    async def counts(self, embedder):
        return {collection: len(ids) for (name, collection), ids in self.held.items() if name == embedder}

    async def put(self, embedder, vectors):
        for vector in vectors:
            self.held.setdefault((embedder, vector.collection), set()).add(vector.id)

    async def drop(self, embedder, collection):
        self.held.pop((embedder, collection), None)

    async def keep_only(self, embedders):
        self.held = {key: ids for key, ids in self.held.items() if key[0] in embedders}

    async def clean(self):
        pass


@pytest.mark.parametrize("embedder", ["fake", "missing"])
async def test_the_index_forgets_where_few_are_left_and_where_the_embedder_is_gone(db, embedders, embedder):
    def opened(name: str, index: KeptIndex) -> LongTermMemory:
        return LongTermMemory(Settings(memory={"embedder": name}), db, index, SystemClock())

    index = KeptIndex()
    memory = opened("fake", index)
    await memory.add_all([draft(f"Box number {n}.", NOON + n) for n in range(120)])
    await memory.settled(Progress())
    await until(lambda: index.usable)
    await memory.settled(Progress())
    assert len(index.held[("fake:1", "cam_a")]) == 120
    index.usable = False
    assert await memory.forget_all() == 120
    await memory.aclose()
    later = opened(embedder, index)
    later.start()
    await until(lambda: not index.held)
    await later.aclose()


async def test_one_text_that_cannot_be_embedded_holds_up_no_other(make, embedders):
    embedders["fake"].poison = "poison"
    memory = make()
    await memory.add_all([draft("some poison"), draft("A blue box."), draft("A red box.")])
    await memory.settled(Progress())
    assert sorted(set(embedders["fake"].embedded)) == ["A blue box.", "A red box."]
    assert await texts(memory, "poison") == ["some poison"]


async def test_an_embedder_that_is_not_there_is_named(make, embedders):
    memory = make("missing")
    await memory.add(draft("A blue box."))
    await until(lambda: memory.ready() == "There is no missing.")
    assert await texts(memory, "box") == ["A blue box."]


async def test_a_changed_embedder_takes_over_once_all_is_embedded(make, embedders, db):
    memory = make("fake")
    await memory.add_all([draft(f"Box number {n}.", NOON + n) for n in range(40)])
    await memory.settled(Progress())
    await memory.aclose()
    embedders["other"].hangs = True  # the old one is in use meanwhile
    memory = make("other")
    await until(lambda: memory._embedders.current is not None)
    assert memory._embedders.current is embedders["fake"]
    assert await texts(memory, "Box number 7", limit=1) == ["Box number 7."]
    await memory.aclose()  # as a kill would
    embedders["other"].hangs = False
    memory = make("other")
    await memory.settled(Progress())
    assert memory._embedders.current is embedders["other"]
    assert len(set(embedders["other"].embedded)) == 40
    assert embedders["fake"].closed
    assert await texts(memory, "Box number 7", limit=1) == ["Box number 7."]


async def test_where_the_old_embedder_is_gone_the_new_one_is_used_at_once(make, embedders):
    memory = make("fake")
    await memory.add(draft("A blue box."))
    await memory.settled(Progress())
    await memory.aclose()
    del embedders["fake"]
    memory = make("other")
    await memory.settled(Progress())
    assert memory._embedders.current is embedders["other"]
    assert await texts(memory, "box") == ["A blue box."]


async def test_a_rebuild_embeds_again_where_that_is_wanted(make, embedders):
    memory = make()
    await memory.add(draft("A blue box."))
    await memory.settled(Progress())
    await memory.rebuild(Progress())
    assert embedders["fake"].embedded == ["A blue box."]
    await memory.rebuild(told := Progress(), embed=True)
    assert embedders["fake"].embedded == ["A blue box."] * 2
    assert told.told[-1] == (1, 2)  # there is no index


async def test_what_shares_nothing_with_the_question_is_not_found_by_words_that_are_counted(make, embedders):
    embedders["fake"] = LexicalEmbedder({}, EmbedderContext(Path()))
    memory = make()
    facts = ["The alarm code is 4711.", "The cat sleeps.", "What is the alarm code?"]
    await memory.add_all([draft(facts[0]), draft(facts[1]), draft(facts[2], kind="heard")])
    await memory.settled(Progress())
    assert await texts(memory, "dragon") == []
    assert await texts(memory, "???") == []
    assert await texts(memory, "alarms") == facts[:1]
