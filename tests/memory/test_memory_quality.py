"""Does a question bring up the right memory? Two drawn weeks of 300 memories each, with real multilingual weights.

The household is what the ranking was adjusted by; the farm is another world that nothing was ever adjusted by, so its
figures are what to expect elsewhere. docs/memory.md keeps them; here is room for other processors.
"""

from __future__ import annotations

import pytest

from fakes.memories import Progress
from fakes.nano_embedder import NanoEmbedder
from fakes.worlds import asked, ordinary
from joyvl_server.kit.clock import SystemClock
from joyvl_server.memory import embedding
from joyvl_server.memory.base import EmbedderContext, RecallRequest
from joyvl_server.memory.embedders.lexical import LexicalEmbedder
from joyvl_server.memory.index.off import NoIndex
from joyvl_server.memory.long_term import LongTermMemory
from joyvl_server.settings import Settings
from joyvl_server.store.memories.words import terms, words
from joyvl_server.store.sqlite.database import Database

OTHERS = {"en": "zh", "zh": "en", "de": "en"}
WORLDS = [("household", "en"), ("household", "zh"), ("household", "de"), ("farm", "en"), ("farm", "zh")]


@pytest.fixture
async def share_found(tmp_path, monkeypatch):
    """Of the questions of a world, the share whose memory is among the first three."""

    async def share_found(embedder, world, language, *, far, timed) -> float:
        monkeypatch.setattr(embedding, "open_embedder", lambda settings, name: embedder)
        db = await Database.open(tmp_path / f"{world}-{language}-{far}-{timed}.db")
        memory = LongTermMemory(Settings(memory={"embed_timeout_s": 30}), db, NoIndex(), SystemClock())
        try:
            questions = asked(world, language)
            drafts = [question.draft for question in questions]
            for other in (language, OTHERS[language]):
                drafts += ordinary(other, 132)
            assert len(drafts) >= 270
            await memory.add_all(drafts)
            await memory.settled(Progress())
            found = 0
            for question in questions:
                text = question.far if far else question.near
                span = question.span if timed else None
                recalled = await memory.recall(RecallRequest(text, span=span, limit=3))
                found += question.draft.text in [r.memory.text for r in recalled]
        finally:
            await memory.aclose()
            await db.aclose()
        print(f"{world} {language} {embedder.name} far={far} timed={timed}: {found} of {len(questions)}")
        return found / len(questions)

    return share_found


@pytest.mark.parametrize(("world", "language"), WORLDS)
def test_the_questions_are_what_they_say(world, language):
    questions = asked(world, language)
    assert len(questions) >= {"household": 60, "farm": 36}[world] or language == "de"
    for question in questions:
        there = words(question.draft.text)
        runs = [tuple(there[n : n + size]) for size in (1, 2) for n in range(len(there))]
        shared = [term for term in terms(question.far, 99) if term in runs and (language != "zh" or len(term) > 1)]
        assert not shared, f"{question.far}: {shared}"
        assert [term for term in terms(question.near, 99) if term in runs], question.near


@pytest.mark.parametrize(
    ("language", "meaning", "all_together"), [("en", 0.72, 0.85), ("zh", 0.72, 0.85), ("de", 0.6, 0.8)]
)
async def test_paraphrases_in_a_household(memory_env, share_found, language, meaning, all_together):
    embedder = NanoEmbedder(memory_env)
    assert await share_found(embedder, "household", language, far=True, timed=False) >= meaning
    assert await share_found(embedder, "household", language, far=True, timed=True) >= all_together
    assert await share_found(embedder, "household", language, far=False, timed=False) >= 0.95


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_another_world_is_not_much_worse(memory_env, share_found, language):
    embedder = NanoEmbedder(memory_env)
    assert await share_found(embedder, "farm", language, far=True, timed=False) >= 0.6
    assert await share_found(embedder, "farm", language, far=True, timed=True) >= 0.8


@pytest.mark.parametrize(("world", "language"), WORLDS)
async def test_without_weights_questions_that_share_words_are_answered(share_found, tmp_path, world, language):
    embedder = LexicalEmbedder({}, EmbedderContext(tmp_path))
    assert await share_found(embedder, world, language, far=False, timed=False) >= 0.7
