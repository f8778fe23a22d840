"""The embedders: vectors of length 1, prefixes, and a sentence where something is missing or wrong."""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import numpy as np
import pytest

from fakes.tiny_onnx import write_model
from joyvl_server.core.errors import ConfigError
from joyvl_server.memory.base import EmbedderContext, EmbedderError
from joyvl_server.memory.embedders import lexical
from joyvl_server.memory.embedders.lexical import LexicalEmbedder, vector
from joyvl_server.memory.embedders.loading import chosen_name, open_embedder
from joyvl_server.memory.embedders.onnx import open_e5, open_minilm
from joyvl_server.memory.embedders.openai import OpenAIEmbedder
from joyvl_server.settings import Settings


@pytest.fixture
def context(tmp_path):
    return EmbedderContext(tmp_path / "models")


def settings_of(context, **memory) -> Settings:
    return Settings(memory=memory, speech={"models_dir": context.models_dir})


def nearest(question, passages) -> int:
    return int(np.argmax(passages @ question))


@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("Who brought the parcels?", "A courier brings a parcel."),
        ("Hat jemand den Schlüssel gefunden?", "Die Schlüssel liegen auf dem Tisch."),
        ("奶奶的药在哪里？", "奶奶吃了药。"),
        ("KEYS", "The key is under the mat."),
        ("", "The key is under the mat."),
    ],
)
async def test_the_lexical_one_finds_words_in_other_forms(context, question, right):
    passages = [
        "A courier brings a parcel.", "Die Schlüssel liegen auf dem Tisch.", "奶奶吃了药。",
        "The key is under the mat.", "狗在花园里。", "It rains.",
    ]  # fmt: skip
    embedder = LexicalEmbedder({}, context)
    vectors = await embedder.embed(passages)
    (asked,) = await embedder.embed([question], "query")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    if question:
        assert passages[nearest(asked, vectors)] == right
    assert (await embedder.embed([])).shape == (0, 384)
    with pytest.raises(ConfigError):
        LexicalEmbedder({"x": 1}, context)


async def test_the_lexical_one_holds_up_the_loop_for_no_more_than_a_question(context, monkeypatch):
    threads = []

    def noted(text):
        threads.append(threading.current_thread() is threading.main_thread())
        return vector(text)

    monkeypatch.setattr(lexical, "vector", noted)
    embedder = LexicalEmbedder({}, context)
    assert (await embedder.embed(["Who came?"], "query")).shape == (1, 384)
    assert (await embedder.embed(["words " * 600] * 3)).shape == (3, 384)
    assert (await embedder.embed([])).shape == (0, 384)
    assert threads == [True, False, False, False]


async def test_an_onnx_model_is_run(context):
    write_model(context.models_dir / "e5")
    embedder = open_e5({}, context)
    vectors = await embedder.embed(["dog door", "cat", "parcel dog dog"])
    (asked,) = await embedder.embed(["the cat"], "query")
    assert nearest(asked, vectors) == 1
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert vectors[0][2] > 0  # `passage: ` was written before it
    assert asked[1] > 0
    assert embedder.name.startswith("e5:")
    await embedder.aclose()


async def test_auto_is_e5_once_it_is_there(context):
    settings = settings_of(context)
    assert chosen_name(settings) == "lexical"
    write_model(context.models_dir / "e5")
    assert chosen_name(settings) == "e5"
    assert chosen_name(settings_of(context, embedder="minilm")) == "minilm"
    assert open_embedder(settings, "e5").name == "e5:multilingual-e5-small"


def test_what_is_missing_is_told_and_never_fetched(context):
    with pytest.raises(EmbedderError, match="joyvl models get minilm"):
        open_minilm({}, context)
    (context.models_dir / "e5").mkdir(parents=True)
    for name in ("tokenizer.json", "model_quantized.onnx"):
        (context.models_dir / "e5" / name).write_bytes(b"torn")
    with pytest.raises(EmbedderError, match="fetch it again"):
        open_e5({}, context)
    with pytest.raises(ConfigError, match="threads"):
        open_e5({"threads": 0}, context)
    with pytest.raises(ConfigError, match="no 'other'"):
        open_embedder(settings_of(context), "other")


def test_sentence_transformers_says_what_it_needs(context, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    settings = settings_of(context, options={"sentence_transformers": {"model": "x"}})
    with pytest.raises(EmbedderError, match="pip install sentence-transformers"):
        open_embedder(settings, "sentence_transformers")


@pytest.fixture
async def server():
    """Answers as `reply` says; keeps what it was sent."""

    class Server:
        reply = (200, {"data": []})
        got: list[tuple[dict, dict]] = []

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(headers["content-length"]))
        Server.got.append((headers, json.loads(body)))
        status, answer = Server.reply
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status, len(data)) + data)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    Server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/embeddings"
    Server.got.clear()
    yield Server
    listening.close()


def openai(server, context, **more):
    return OpenAIEmbedder({"base_url": server.url, "model": "m", "api_key": "sk-secret", **more}, context)


async def test_a_server_is_asked(server, context):
    server.reply = (200, {"data": [{"index": 1, "embedding": [0, 3]}, {"index": 0, "embedding": [2, 0]}]})
    embedder = openai(server, context, passage_prefix="passage: ")
    assert (await embedder.embed(["a", "b"])).tolist() == [[1, 0], [0, 1]]
    headers, body = server.got[0]
    assert headers["authorization"] == "bearer sk-secret"
    assert body == {"model": "m", "input": ["passage: a", "passage: b"]}
    assert (embedder.name, embedder.dimensions) == ("openai:m", 2)
    await embedder.aclose()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, {"data": [{"index": 0, "embedding": [1]}]}), "no vectors"),
        ((200, b"<html>"), "no vectors"),
        ((200, {"data": [{"index": n, "embedding": [float("nan")]} for n in range(2)]}), "no vectors"),
        ((200, {"data": [{"index": n, "embedding": [1] * (n + 1)} for n in range(2)]}), "no vectors"),
        ((401, b"x" * 190 + b" bad key sk-secret"), "answered 401"),
        ((200, b"[" * 20_000_000), "more than any vectors"),
    ],
)
async def test_a_server_that_answers_oddly_is_told_without_the_key(server, context, reply, words):
    server.reply = reply
    embedder = openai(server, context)
    with pytest.raises(EmbedderError, match=words) as caught:
        await embedder.embed(["a", "b"])
    assert "sk-" not in str(caught.value)
    await embedder.aclose()


async def test_a_server_that_is_not_there_or_slow(context):
    embedder = OpenAIEmbedder({"base_url": "http://127.0.0.1:9/v1", "model": "m"}, context)
    with pytest.raises(EmbedderError, match="cannot be reached"):
        await embedder.embed(["a"])
    await embedder.aclose()
    with pytest.raises(ConfigError, match="model"):
        OpenAIEmbedder({}, context)
