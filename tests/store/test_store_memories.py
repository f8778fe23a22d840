"""The record of memories: found by words in any form and by time, changed, forgotten with all that belongs to them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from fakes.memories import NOON, memory
from joyvl_server.core.errors import ConfigError, NotFound
from joyvl_server.store.memories import nearest
from joyvl_server.store.memories.memories import Memories
from joyvl_server.store.memories.records import DAY_S, MemoryFilter
from joyvl_server.store.memories.search import MemorySearch
from joyvl_server.store.memories.vectors import MemoryVectors, Unembedded, Unindexed


@pytest.fixture
def memories(db):
    return Memories(db)


@pytest.fixture
def vectors(db):
    return MemoryVectors(db)


async def ids(memories, **filter) -> list[str]:
    return [found.id for found in await memories.list(MemoryFilter(**filter))]


async def embed(vectors, embedder, *directions) -> list[Unembedded]:
    """One vector each for as many memories."""
    rows = await vectors.unembedded(embedder, len(directions))
    found = [np.eye(4, dtype=np.float32)[direction] for direction in directions]
    await vectors.put(embedder, zip(rows, found, strict=True))
    return rows


async def test_one_is_kept_as_it_is(memories):
    first = memory(1, data={"rests_on": ["evt_1"]}, until_wall=NOON + 60)
    await memories.add([first, replace(first, text="the same id again")])
    assert await memories.get("mem_001") == first
    with pytest.raises(NotFound):
        await memories.get("mem_002")


async def test_pages_are_newest_first(memories):
    await memories.add([memory(n) for n in range(5)])
    assert await ids(memories) == ["mem_004", "mem_003", "mem_002", "mem_001", "mem_000"]
    page = await memories.list(MemoryFilter(), limit=2, before="mem_003")
    assert [found.id for found in page] == ["mem_002", "mem_001"]


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"collections": ("user:ann", "cam_b")}, ["mem_002", "mem_001"]),
        ({"camera_id": "cam_a"}, ["mem_003"]),
        ({"kinds": ("fact",)}, ["mem_002"]),
        ({"kept": True}, ["mem_002"]),
        ({"since": NOON + 30}, ["mem_003"]),
        ({"until": NOON + 2}, ["mem_001"]),
        ({"event_ids": ("evt_9",)}, ["mem_003"]),
        ({"ids": ("mem_001", "mem_003"), "camera_id": "cam_a"}, ["mem_003"]),
        ({"words": "keys"}, ["mem_002"]),
        ({"words": "钥匙"}, ["mem_001"]),
        ({"words": "钥"}, ["mem_001"]),
        ({"words": "匙钥"}, []),
        ({"words": "KEY bowl"}, ["mem_002"]),
        ({"words": "keys dog"}, []),
        ({"words": '" OR *'}, []),
        ({"words": "NEAR(keys, bowl)"}, []),
        ({"words": "???"}, []),
        ({"words": "x" * 10_000}, []),
    ],
)
async def test_each_filter_counts(memories, filter, found):
    await memories.add(
        [
            memory(1, "钥匙在桌子上", collection="cam_b", camera_id="cam_b"),
            memory(2, "Her keys lie in the bowl.", collection="user:ann", camera_id=None, kind="fact", kept=True),
            memory(3, "A long morning.", until_wall=NOON + 60, event_id="evt_9"),
        ]
    )
    assert await ids(memories, **filter) == found
    assert await memories.count(MemoryFilter(**filter)) == len(found)


async def test_collections_are_counted(memories):
    await memories.add([memory(1), memory(9), memory(2, collection="user:ann", camera_id=None)])
    found = await memories.collections()
    assert [(c.collection, c.camera_id, c.count) for c in found] == [("cam_a", "cam_a", 2), ("user:ann", None, 1)]
    assert (found[0].oldest, found[0].newest) == (NOON + 1, NOON + 9)


async def test_another_text_has_other_words_and_no_vector(memories, vectors):
    await memories.add([memory(1, "a red car")])
    rows = await embed(vectors, "e", 0)
    await vectors.indexed("e", await vectors.unindexed("e", 9))
    changed = await memories.change("mem_001", text="a blue van", kept=True)
    assert (changed.text, changed.kept) == ("a blue van", True)
    assert await ids(memories, words="car") == []
    assert await ids(memories, words="van") == ["mem_001"]
    assert [row.seq for row in await vectors.unembedded("e", 9)] == [rows[0].seq]
    assert await vectors.removals(9) == [("cam_a", "mem_001")]
    await vectors.put("e", [(rows[0], np.eye(4, dtype=np.float32)[0])])  # of the old text
    assert len(await vectors.unembedded("e", 9)) == 1
    with pytest.raises(NotFound):
        await memories.change("mem_404", kept=True)


async def test_what_is_forgotten_is_nowhere_any_more(memories, vectors, db):
    await memories.add([memory(n, f"zebra{n} passed") for n in range(3)])
    await embed(vectors, "e", 0, 1, 2)
    await vectors.indexed("e", await vectors.unindexed("e", 2))
    gone = await memories.forget(MemoryFilter(ids=("mem_001", "mem_002")))
    assert sorted(f.id for f in gone) == ["mem_001", "mem_002"]
    assert await ids(memories) == ["mem_000"]
    assert await vectors.removals(9) == [("cam_a", "mem_001")]
    assert [u.id for u in await vectors.unindexed("e", 9)] == []
    await vectors.removed([("cam_a", "mem_001")])
    assert await vectors.removals(9) == []
    # Nor in the index of words, whose parts were merged.
    blocks = await db.read(lambda c: b"".join(row[0] for row in c.execute("SELECT block FROM memory_words_data")))
    assert b"zebra0" in blocks
    assert b"ebra1" not in blocks


async def test_nothing_is_forgotten_by_mistake(memories):
    await memories.add([memory(1)])
    with pytest.raises(ConfigError):
        await memories.forget(MemoryFilter())
    assert await ids(memories) == ["mem_001"]
    assert len(await memories.forget_all()) == 1
    assert await ids(memories) == []


async def test_retention_leaves_what_is_kept(memories):
    await memories.add([memory(n, kept=n == 0) for n in range(6)])
    assert len(await memories.trim(before=NOON + 2, most=100)) == 1
    assert len(await memories.trim(before=None, most=3)) == 2
    assert await ids(memories) == ["mem_005", "mem_004", "mem_000"]


async def test_vectors_are_made_once_and_found_again(memories, vectors):
    await memories.add([memory(n, wall=NOON + n * DAY_S, until_wall=NOON + n * DAY_S) for n in range(4)])
    rows = await embed(vectors, "e", 0, 1)
    assert [row.seq for row in await vectors.unembedded("e", 9, after=rows[-1].seq)] == [3, 4]
    assert len(await vectors.unembedded("other", 9)) == 4
    await embed(vectors, "e", 2, 3)
    assert await vectors.progress(["e"]) == (4, 8)


@pytest.mark.parametrize("joins", [True, False])
async def test_the_nearest_are_found_one_by_one(memories, vectors, db, monkeypatch, joins):
    monkeypatch.setattr(nearest, "joins_blobs", lambda: joins)  # old SQLites cannot
    monkeypatch.setattr(nearest, "BLOCK", 3)
    await memories.add([memory(n) for n in range(40)])
    made = np.random.default_rng(1).standard_normal((40, 8)).astype(np.float32)
    made[5] = 0.0  # bytes of 0, and no direction
    waiting = await vectors.unembedded("e", 99)
    await vectors.put("e", zip(waiting, made, strict=True))
    await vectors.put("other", zip(waiting, made[:, :3], strict=True))
    lengths = np.linalg.norm(made, axis=1)
    for numbers in (np.arange(1, 41), np.arange(40, 0, -7), np.array([6, 404]), np.zeros(0, np.int64)):
        there = [n for n in numbers.tolist() if n <= 40]
        cosines = {n: float(made[n - 1] @ made[2] / max(lengths[n - 1] * lengths[2], 1e-9)) for n in there}
        best = sorted(cosines, key=lambda n: -cosines[n])[:5]
        found = await db.read(lambda c, numbers=numbers: nearest.nearest(c, "e", made[2], numbers, 5))
        assert [seq for seq, _ in found] == best
        assert [cosine for _, cosine in found] == pytest.approx([cosines[n] for n in best], abs=2e-3)
        assert await db.read(lambda c, numbers=numbers: nearest.nearest(c, "other", made[2], numbers, 5)) == []


def test_halves_become_singles_as_numpy_makes_them():
    halves = np.arange(65536, dtype=np.uint16).view("<f2")
    finite = halves[np.isfinite(halves)].reshape(-1, 8)
    assert np.array_equal(nearest.single(finite), finite.astype(np.float32))


async def test_what_the_index_holds_is_known(memories, vectors):
    await memories.add([memory(1), memory(2, collection="cam_b"), memory(3)])
    await embed(vectors, "e", 0, 1, 2)
    waiting = await vectors.unindexed("e", 9)
    assert [(u.id, u.collection, u.day) for u in waiting] == [
        ("mem_001", "cam_a", 20423), ("mem_002", "cam_b", 20423), ("mem_003", "cam_a", 20423)
    ]  # fmt: skip
    await memories.forget(MemoryFilter(ids=("mem_003",)))  # while it goes into the index
    await vectors.indexed("e", waiting)
    assert await vectors.indexed_counts("e") == {"cam_a": 1, "cam_b": 1}
    assert await vectors.removals(9) == [("cam_a", "mem_003")]
    await vectors.unindex("e", "cam_a")
    assert [u.id for u in await vectors.unindexed("e", 9)] == ["mem_001"]
    await vectors.drop("e")
    assert await vectors.embedders() == []
    assert await vectors.indexed_counts("e") == {}


async def test_the_embedder_in_use_is_remembered(vectors):
    assert await vectors.in_use() is None
    await vectors.use("a")
    await vectors.use("b")
    assert await vectors.in_use() == "b"


async def test_words_weigh_more_the_rarer_they_are(memories, db):
    await memories.add(
        [memory(n, "the car drove by") for n in range(20)]
        + [memory(30, "an umbrella"), memory(31, "car with umbrella", collection="cam_b")]
    )
    search = MemorySearch(db)

    async def by_words(text: str, filter: MemoryFilter, limit: int = 9, few: int = 99) -> list[int]:
        return [seq for seq, _ in (await search.look(text, filter, few=few, limit=limit)).words]

    assert (await by_words("Where is the car, the umbrella?", MemoryFilter(), 3))[:2] == [22, 21]
    assert await by_words("umbrellas", MemoryFilter(collections=("cam_a",))) == [21]
    for few in (0, 99):
        assert await by_words("car", MemoryFilter(since=NOON, until=NOON + 2), few=few) == [2, 1]
        assert await by_words("car", MemoryFilter(since=NOON + 1e6), few=few) == []
    assert await by_words("where was it?", MemoryFilter()) == []


async def test_what_a_first_look_finds(memories, db):
    await memories.add([memory(n, collection="cam_ab"[: 5 + n % 2]) for n in range(6)])
    search = MemorySearch(db)
    look = await search.look("", MemoryFilter(since=NOON + 1), few=5, limit=2)
    assert (look.latest, look.all.tolist(), look.words) == ([6, 5], [6, 5, 4, 3, 2], [])
    assert (await search.look("", MemoryFilter(since=NOON + 1), few=4, limit=2)).all is None
    look = await search.look("", MemoryFilter(), few=6, limit=2)
    assert (look.latest, sorted(look.all.tolist())) == ([], [1, 2, 3, 4, 5, 6])


async def test_what_is_read_of_a_filter_matches_it(memories, db):
    await memories.add([memory(n, collection="cam_ab"[: 5 + n % 2]) for n in range(6)])
    search, one = MemorySearch(db), MemoryFilter(collections=("cam_a",))
    assert (await search.read(one, lambda reader: reader.latest(2))).tolist() == [5, 3]
    assert await search.read(one, lambda reader: reader.numbers(["mem_003", "mem_404"])) == {"mem_003": 4}
    brief = await search.read(one, lambda reader: reader.brief([1, 2, 404]))
    assert [(seq, found.id, found.wall) for seq, found in brief.items()] == [(1, "mem_000", NOON)]
    whole = await search.read(one, lambda reader: reader.whole([5, 404, 2]))
    assert [(seq, found.id) for seq, found in whole.items()] == [(5, "mem_004"), (2, "mem_001")]
    assert await search.read(one, lambda reader: (reader.brief([]), reader.whole([]))) == ({}, {})


async def test_an_unindexed_vector_is_single_precision(memories, vectors):
    await memories.add([memory(1)])
    await embed(vectors, "e", 0)
    (found,) = await vectors.unindexed("e", 1)
    assert isinstance(found, Unindexed)
    assert found.vector.dtype == np.float32


async def test_a_listener_of_another_transaction_can_write_one(db, memories):
    from joyvl_server.store.memories.memories import insert

    def work(connection: sqlite3.Connection) -> None:
        insert(connection, memory(7, "from an event"))

    await db.write(work)
    assert await ids(memories, words="event") == ["mem_007"]
