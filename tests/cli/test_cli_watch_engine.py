"""`joyvl watch` with a model behind `openai` that is not as it should be: one sentence, an exit code, nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.engines.openai_server import FakeOpenAI, Reply, Request, refuses, says, silence, whole
from fakes.patience import PATIENCE_S
from joyvl_server.ingest.demo import draw_demo

pytestmark = pytest.mark.processes

UNDECIDED = 3
THINKS = says("<think>The user wants me to watch.</think> hm")
TOO_LONG = "This model's maximum context length is 300 tokens. However, you requested 900 tokens."
NO_PICTURES = whole(json.dumps({"error": "Model does not support images."}).encode(), "application/json")
LOADING = refuses(503, "Loading model")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_demo(tmp_path_factory.mktemp("clip") / "clip.mp4")


@dataclass
class Ended:
    code: int
    ticks: list[dict[str, Any]]
    said: list[str]

    @property
    def decided(self) -> int:
        return sum(tick["skipped"] is None for tick in self.ticks)


async def joyvl(
    base_url: str, *args: str, heard: list[str] | None = None, **sessions: float
) -> tuple[int, bytes, bytes]:
    """`heard` gets each line of stderr as it comes."""
    settings = {f"JOYVL_SESSIONS__{name.upper()}": str(value) for name, value in sessions.items()}
    options = json.dumps({"openai": {"base_url": base_url, "protocol": "markers"}})
    env = {k: v for k, v in os.environ.items() if not k.startswith("JOYVL_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "joyvl_server.cli", *args),
        env={**env, **settings, "JOYVL_ENGINE__OPTIONS": options},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[bytes] = []

    async def listen() -> None:
        async for line in process.stderr:
            lines.append(line)
            if heard is not None:
                heard.append(line.decode())

    async with asyncio.timeout(PATIENCE_S):
        out, _, code = await asyncio.gather(process.stdout.read(), listen(), process.wait())
    return code, out, b"".join(lines)


async def watch(clip: Path, base_url: str, *args: str, heard: list[str] | None = None, **sessions: float) -> Ended:
    given = ("watch", str(clip), "--engine", "openai", "--json", *args)
    code, out, err = await joyvl(base_url, *given, heard=heard, **sessions)
    # Everything on stdout is JSON.
    return Ended(code, [json.loads(line) for line in out.splitlines()], err.decode().splitlines())


@pytest.mark.parametrize("args", [("--speed", "max"), ("--speed", "1", "--duration", "3")])
async def test_nothing_is_listening(clip: Path, args: tuple[str, ...]):
    async with FakeOpenAI() as server:
        url = server.base_url
    ended = await watch(clip, url, *args, engine_timeout_s=2)
    assert ended.code == UNDECIDED
    assert ended.ticks == []  # the file did not run away
    assert ended.said == [
        f"No server answers at {url}. Is it running? Waiting for it, at most 2 s.",
        "Nothing was decided.",
    ]


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        pytest.param(NO_PICTURES, "Use a vision model", id="200 with an error"),
        pytest.param(whole(b"<html>hello</html>", "text/html"), "Is it an OpenAI-compatible server?", id="html"),
        pytest.param(THINKS, "answers, but with no decision", id="nonsense"),
        pytest.param(says(""), "(an empty answer)", id="empty"),
        pytest.param(refuses(400, TOO_LONG), "The context is too long", id="not even one picture fits"),
        pytest.param(refuses(401, "no"), "wants a different API key", id="key"),
        pytest.param(refuses(500, "boom"), "had an internal error (500)", id="500"),
    ],
)
async def test_an_engine_that_cannot_decide_is_one_sentence_and_a_code(clip: Path, reply: Reply, sentence: str):
    async with FakeOpenAI() as server:
        server.otherwise = reply
        ended = await watch(clip, server.base_url, "--speed", "max", "--duration", "8")
    assert ended.code == UNDECIDED
    assert sentence in ended.said[0]
    assert ended.said[1:] == ["Nothing was decided."]


async def test_a_model_that_is_not_there(clip: Path):
    async with FakeOpenAI(models=()) as server:
        ended = await watch(clip, server.base_url, "--speed", "max")
    assert ended.code == UNDECIDED
    assert "has no model" in ended.said[0]
    assert len(ended.said) == 2


@pytest.mark.parametrize("listed", [True, False])
async def test_a_file_waits_for_an_engine_that_loads(clip: Path, listed: bool):
    """Some servers list their models while they load one."""
    async with FakeOpenAI() as server:
        loaded = asyncio.Event()

        def reply(request: Request) -> Reply:
            return silence() if loaded.is_set() else LOADING

        server.otherwise = reply
        if not listed:
            server.models_reply = LOADING
        heard: list[str] = []
        watching = asyncio.create_task(watch(clip, server.base_url, "--speed", "max", heard=heard))
        while not any("Waiting for it" in line for line in heard):
            assert not watching.done()
            await asyncio.sleep(0.05)
        loaded.set()
        server.models_reply = None
        ended = await watching
    assert ended.code == 0
    assert ended.decided == len(ended.ticks) == 44  # every second of it
    assert "is loading its model (503)." in ended.said[0]
    assert ended.said[0].endswith("Waiting for it, at most 600 s.")
    assert ended.said[1:] == ["The engine decides now."]


async def test_one_that_never_has_loaded_is_not_waited_for_for_ever(clip: Path):
    async with FakeOpenAI() as server:
        server.models_reply = LOADING
        ended = await watch(clip, server.base_url, "--speed", "max", engine_loading_s=3)
    assert ended.code == UNDECIDED
    assert ended.ticks == []
    assert "Waiting for it, at most 3 s." in ended.said[0]
    assert "It still loads its model after 3 s." in ended.said[1]
    assert ended.said[2:] == ["Nothing was decided."]


def shown(request: Request) -> list[Any]:
    """The turns with a picture that a request tells: those of a session grow, those of a probe do not."""
    return [message for message in request.messages if "image_url" in json.dumps(message)]


async def test_one_that_stops_deciding_half_way_is_no_success(clip: Path):
    async with FakeOpenAI() as server:
        # By what it is asked, not by how often: a slow machine asks more often before it begins.
        server.otherwise = lambda request: refuses(500, "boom") if len(shown(request)) > 6 else silence()
        ended = await watch(clip, server.base_url, "--speed", "max")
    assert ended.code == UNDECIDED
    assert ended.decided > 0
    assert "had an internal error (500)" in ended.said[0]
    assert ended.said[1:] == ["The engine no longer decides."]


async def test_a_good_engine_says_nothing(clip: Path):
    async with FakeOpenAI() as server:
        ended = await watch(clip, server.base_url, "--speed", "max", "--duration", "5")
    assert (ended.code, ended.said, ended.decided) == (0, [], 5)


@pytest.mark.parametrize(
    ("reply", "code", "sentence"),
    [
        (silence(), 0, "It decided about a picture: silent (0.00)"),
        (THINKS, 1, "joyvl: The engine openai answers, but with no decision"),
        (NO_PICTURES, 1, "Use a vision model"),
    ],
)
async def test_a_check_lets_it_decide_once(reply: Reply, code: int, sentence: str):
    async with FakeOpenAI() as server:
        server.otherwise = reply
        ended, out, err = await joyvl(server.base_url, "engine", "check", "openai", "--start")
    assert ended == code
    assert sentence in (out + err).decode()
    assert b"[info" not in out
