"""An engine in a process of its own: answers, cancels, dies, comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import psutil
import pytest

from fakes.patience import PATIENCE_S, until
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.supervisor import Limits
from joyvl_server.speech.base import SpeechError
from joyvl_server.speech.process.process import ProcessSpec, SpeechProcess

pytestmark = pytest.mark.processes

FAST = Limits(start_timeout_s=PATIENCE_S, check_every_s=0.05, check_timeout_s=PATIENCE_S, cooldown_s=0.05)


@asynccontextmanager
async def odd(timeout_s=PATIENCE_S, stuck_s=PATIENCE_S, python=None, limits=FAST, **options):
    # The module of a test is found by the name under which our own package finds it.
    spec = ProcessSpec("odd", "odd_worker", options, timeout_s=timeout_s, stuck_s=stuck_s, python=python)
    process = SpeechProcess(spec, SystemClock(), limits)
    try:
        yield process
    finally:
        await process.aclose()


@pytest.fixture(autouse=True)
def _worker_is_found(monkeypatch, tmp_path):
    """`-I` keeps the environment's paths out, so the test's own host puts the fakes on the path first."""
    host = tmp_path / "host.py"
    fakes = Path(__file__).parents[2] / "fakes/speech"
    from joyvl_server.speech.process import host as ours

    code = (
        f"import sys, runpy; sys.path.insert(0, {str(fakes)!r}); runpy.run_path({ours.__file__!r}, run_name='__main__')"
    )
    host.write_text(code)
    monkeypatch.setattr("joyvl_server.speech.process.process.HOST", host)


async def collect(process, method, **fields):
    return [piece async for piece in process.ask(method, fields)]


async def slowly(answer):
    async for _ in answer:
        await asyncio.sleep(0.2)


async def test_it_starts_when_asked_and_answers_with_what_it_was_sent():
    async with odd() as process:
        assert process.state.status == "stopped"
        piece = await process.request("echo", {"text": "门 – door"}, b"\1\2\3")
        assert (piece.head["said"], piece.data) == ("门 – door", b"\1\2\3")
        assert piece.head["pid"] != os.getpid()
        assert process.state.status == "ready"
        assert process.info == {"voices": ["a"]}
        assert [p.head["number"] for p in await collect(process, "count", to=3)] == [0, 1, 2]


async def test_many_ask_at_once_and_each_gets_its_own():
    async with odd() as process:
        answers = await asyncio.gather(*[process.request("echo", {"text": str(n)}) for n in range(20)])
        assert [a.head["said"] for a in answers] == [str(n) for n in range(20)]


async def test_closed_early_it_stops_and_the_next_works():
    async with odd() as process:
        async with aclosing(process.ask("count", {"to": 1_000_000, "pause": 0.001})) as pieces:
            assert (await anext(pieces)).head["number"] == 0
        assert (await process.request("echo", {"text": "next"})).head["said"] == "next"
        assert process.restarts == 0


@pytest.mark.parametrize("method", ["hang", "compute"])
async def test_cancelled_while_it_waits_it_stops(method):
    async with odd() as process:
        await process.start()
        waiting = asyncio.create_task(process.request(method, {"gentle": True}))
        await asyncio.sleep(0.05)
        waiting.cancel()
        assert (await process.request("echo", {"text": "next"})).head["said"] == "next"


async def test_one_that_does_not_stop_is_started_again():
    async with odd(timeout_s=0.2, stuck_s=0.2) as process:
        await process.start()
        pid = process.pid
        with pytest.raises(SpeechError) as told:
            await process.request("hang", {})
        assert told.value.code == "timeout"
        await until(lambda: process.pid not in (None, pid) and process.state.status == "ready")


async def test_death_in_mid_answer_is_told_once_and_the_next_works():
    async with odd() as process:
        answer = process.ask("die", {})
        assert (await anext(answer)).head == {"number": 0}
        with pytest.raises(SpeechError) as told:
            await anext(answer)
        assert told.value.code == "unavailable"
        assert (await process.request("echo", {"text": "next"})).head["said"] == "next"
        assert process.restarts == 1


async def test_killed_from_outside_while_idle_the_next_works():
    async with odd() as process:
        first = (await process.request("echo", {"text": "a"})).head["pid"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: process.restarts == 1)
        second = (await process.request("echo", {"text": "b"})).head["pid"]
        assert second != first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"refuse": True}, "The voice file joe.onnx is broken"),
        ({"import": "no_such_package_here"}, "no_such_package_here cannot be imported"),
        ({"crash": True}, "killed by SIGKILL"),
    ],
)
async def test_one_that_cannot_start_says_why(options, words):
    async with odd(**options) as process:
        with pytest.raises(SpeechError, match=words) as told:
            await process.start()
        assert told.value.code == "unavailable"
        assert process.state.status in ("failed", "starting")
        assert words in (process.state.message or words)


async def test_after_failed_starts_it_answers_at_once_while_it_pauses():
    slow = Limits(start_timeout_s=PATIENCE_S, cooldown_s=1000.0, cooldown_max_s=1000.0)
    async with odd(limits=slow, refuse=True) as process:
        for _ in range(4):
            with pytest.raises(SpeechError, match="broken"):
                await process.start()


async def test_a_python_that_is_not_there():
    async with odd(python=Path("/nowhere/python")) as process:
        with pytest.raises(SpeechError, match="/nowhere/python is not there"):
            await process.start()


@pytest.mark.parametrize(
    ("method", "code", "words"),
    [
        ("fail", "no_voice", "There is no voice b"),
        ("stumble", "failed", "ZeroDivisionError"),
        ("nothing", "failed", "AttributeError"),
    ],
)
async def test_a_request_that_fails_says_why_and_the_next_works(method, code, words):
    async with odd() as process:
        with pytest.raises(SpeechError, match=words) as told:
            await collect(process, method)
        assert told.value.code == code
        assert (await process.request("echo", {"text": "next"})).head["said"] == "next"
        assert process.restarts == 0


async def test_an_endless_answer_is_bounded():
    async with odd() as process:
        with pytest.raises(SpeechError) as told:
            await slowly(process.ask("endless", {}))
        assert told.value.code == "too_long"
        assert (await process.request("echo", {"text": "next"})).head["said"] == "next"


async def test_closed_it_leaves_no_process_and_refuses():
    async with odd() as process:
        await process.start()
        pid = process.pid
        waiting = asyncio.create_task(process.request("hang", {}))
        await asyncio.sleep(0.05)
        await process.aclose()
        with pytest.raises(SpeechError):
            await waiting
        with pytest.raises(SpeechError, match="closed"):
            await process.start()
        assert not psutil.pid_exists(pid)
