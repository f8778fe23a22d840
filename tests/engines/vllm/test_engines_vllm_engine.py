"""Engine `vllm` over a program that behaves as vLLM does, under the real supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from fakes.engines import vllm
from fakes.patience import PATIENCE_S, until
from fakes.turns import chunk, turn
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import ConfigError, EngineError, EngineLoading, EngineUnavailable
from joyvl_server.engines.base import Engine, EngineSpec
from joyvl_server.engines.vllm.engine import VllmEngine
from joyvl_server.engines.vllm.process import free_port
from joyvl_server.kit import plugins
from joyvl_server.kit.clock import SystemClock

pytestmark = pytest.mark.processes


class Hurried(SystemClock):
    """The machine's clock; pauses between starts are over at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@asynccontextmanager
async def engine_with(folder: Path, *lives: str, **options: object) -> AsyncIterator[VllmEngine]:
    python = vllm.install(folder, *lives)
    given = {
        "python": str(python),
        "card_gb": 24,
        "check_every_s": 0.1,
        "check_timeout_s": 1,
        "timeout_s": 5,
        **options,
    }
    engine = VllmEngine(given, clock=Hurried())
    try:
        yield engine
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await engine.aclose()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(EngineUnavailable) as caught:
        await call
    return str(caught.value)


async def test_it_comes_through_the_same_door_as_every_engine(tmp_path: Path) -> None:
    engine = plugins.load("joyvl.engines", "vllm")({"python": str(tmp_path / "python")})  # type: ignore[operator]
    assert isinstance(engine, Engine)
    assert engine.name == "vllm"
    await engine.aclose()


async def test_nothing_runs_until_it_is_wanted(tmp_path: Path) -> None:
    async with engine_with(tmp_path) as engine:
        waiting = "vLLM is not running yet: the first session that uses it starts it."
        assert await engine.check() == waiting
        assert engine.capabilities.note.startswith(waiting)
        assert engine.process.pid is None
    assert vllm.calls(tmp_path) == []


async def test_a_probe_starts_it_and_it_decides(tmp_path: Path) -> None:
    async with engine_with(tmp_path) as engine:
        capabilities = await engine.probe()
        assert capabilities.context_tokens == 32_768
        assert capabilities.cache_tokens == 80_682, "as vLLM said itself"
        assert capabilities.parallel == 4
        assert "vLLM is" not in capabilities.note
        assert f"(process {engine.process.pid})" in await engine.check()
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk())
        await session.append(turn(0))
        assert (await session.score()) == Score(0.0)
        await session.settle("</silence>")
        await session.aclose()
        assert engine.restarts == 0
    [call] = vllm.calls(tmp_path)
    await until(lambda: is_gone(call["pid"]))


async def test_how_it_is_called(tmp_path: Path) -> None:
    async with engine_with(tmp_path, env={"HF_HOME": "/weights"}, extra_args=["--seed", "7"]) as engine:
        await engine.probe()
    [call] = vllm.calls(tmp_path)
    assert call["argv"][:4] == ["-I", "-m", "vllm.entrypoints.cli.main", "serve"]
    assert call["argv"][-2:] == ["--seed", "7"]
    assert {"--quantization", "fp8"} <= set(call["argv"])
    key = call["env"]["VLLM_API_KEY"]
    assert len(key) > 30
    assert key not in " ".join(call["argv"]), "everybody may read a command line"
    assert call["env"]["HF_HOME"] == "/weights"
    assert call["env"]["VLLM_NO_USAGE_STATS"] == "1"
    assert call["env"]["PATH"].startswith(f"{tmp_path}{os.pathsep}")


async def test_each_engine_has_a_key_of_its_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        async with engine_with(tmp_path / name) as engine:
            await engine.probe()
    [a], [b] = vllm.calls(tmp_path / "a"), vllm.calls(tmp_path / "b")
    assert a["env"]["VLLM_API_KEY"] != b["env"]["VLLM_API_KEY"]


async def test_a_slow_start_is_told_to_those_who_ask(tmp_path: Path) -> None:
    async with engine_with(tmp_path, "slow=1.5") as engine:
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk())
        await session.append(turn(0))
        await until(lambda: "40 %" in engine.capabilities.note)
        with capture_logs() as logs:
            assert "vLLM is starting: loading the weights, 40 % (" in await refused(session.score())
            assert "vLLM is starting: loading the weights, 40 % (" in await refused(engine.check())
            with pytest.raises(EngineLoading):
                await engine.check()
            await engine.probe()
        assert (await session.score()) == Score(0.0)
    told = [entry for entry in logs if entry["event"] == "vLLM is starting"]
    assert any("loading the weights, 40 %" in entry["state"] for entry in told)
    assert [entry["event"] for entry in logs].count("vLLM is ready") == 1


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGTERM])
async def test_killed_comes_back_and_is_counted(tmp_path: Path, what: signal.Signals) -> None:
    async with engine_with(tmp_path) as engine:
        await engine.probe()
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk())
        for expected in (1, 2):
            os.kill(vllm.calls(tmp_path)[-1]["pid"], what)
            await until(lambda: not engine.process.is_ready)
            await engine.probe()
            assert engine.restarts == expected
        assert "started again 2 times" in await engine.check()
        await session.append(turn(0))
        assert (await session.score()) == Score(0.0), "the same address and the same key"
    assert len(vllm.calls(tmp_path)) == 3


async def test_what_killed_it_from_outside_was_most_likely_memory(tmp_path: Path) -> None:
    async with engine_with(tmp_path, "", "hang") as engine:
        await engine.probe()
        os.kill(vllm.calls(tmp_path)[-1]["pid"], signal.SIGKILL)
        await until(lambda: len(vllm.calls(tmp_path)) == 2)
        assert "Before that: Out of memory, most likely: vLLM was killed" in await refused(engine.check())


@pytest.mark.parametrize(
    ("life", "sentence"),
    [
        ("oom", "Out of memory: Lower context_tokens or sessions in engine.options.vllm"),
        ("kv", "Lower context_tokens in engine.options.vllm to at most 15488"),
        ("crash", "It said: OddError: the moon is full"),
    ],
)
async def test_a_start_that_fails_says_why_and_is_tried_again(tmp_path: Path, life: str, sentence: str) -> None:
    async with engine_with(tmp_path, life, life, "") as engine:
        assert sentence in await refused(engine.probe())
        await until(lambda: engine.process.is_ready)
        assert engine.restarts == 0, "nothing was lost: none of them had been ready"
        assert engine.process.failure == ""
    assert len(vllm.calls(tmp_path)) == 3


async def test_between_two_starts_the_reason_stays(tmp_path: Path) -> None:
    python = vllm.install(tmp_path, "oom")
    engine = VllmEngine({"python": str(python), "card_gb": 24})  # real pauses: two seconds and more
    try:
        await refused(engine.probe())
        await refused(engine.probe())
        said = await refused(engine.check())
        assert said.startswith("Out of memory: Lower")
        assert said.endswith("It is started again after a pause.")
        assert engine.capabilities.note.startswith("Out of memory")
    finally:
        await engine.aclose()


@pytest.mark.parametrize("life", ["hang", "deaf"])
async def test_a_start_that_hangs_is_ended(tmp_path: Path, life: str) -> None:
    async with engine_with(tmp_path, life, "", start_timeout_s=1.5) as engine:
        assert "it was not ready within 1.5 s" in await refused(engine.probe())
        await until(lambda: engine.process.is_ready)


async def test_a_server_that_is_sick_is_replaced(tmp_path: Path) -> None:
    async with engine_with(tmp_path, "sick=1", "") as engine:
        await engine.probe()
        await until(lambda: engine.restarts == 1)
    assert len(vllm.calls(tmp_path)) == 2


async def test_without_an_environment_it_says_how_to_make_one(tmp_path: Path) -> None:
    engine = VllmEngine({"environments_dir": str(tmp_path)})
    try:
        session = await engine.open(EngineSpec("s1"))
        assert "Run: joyvl engine install vllm" in await refused(engine.probe())
        await session.begin(chunk())
        await session.append(turn(0))
        assert "Run: joyvl engine install vllm" in await refused(session.score())
    finally:
        await engine.aclose()


async def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with engine_with(tmp_path, port=port) as engine:
        assert f"Port {port} is taken" in await refused(engine.probe())
        other.close()
        await other.wait_closed()
        await until(lambda: engine.process.is_ready)


async def test_a_card_too_small_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    async with engine_with(tmp_path, card_gb=8) as engine:
        assert "8.0 GiB are too small" in await refused(engine.probe())
    assert vllm.calls(tmp_path) == []


async def test_weights_in_a_folder_are_looked_at(tmp_path: Path) -> None:
    model = tmp_path / "weights"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "awq", "bits": 4}}))
    async with engine_with(tmp_path / "env", model=str(model)) as engine:
        await engine.probe()
    [call] = vllm.calls(tmp_path / "env")
    assert call["argv"][4] == str(model)
    assert "--quantization" not in call["argv"]


async def test_a_caller_who_gives_up_leaves_the_start_alone(tmp_path: Path) -> None:
    async with engine_with(tmp_path, "slow=1") as engine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await engine.probe()
        await until(lambda: engine.process.is_ready)
    assert len(vllm.calls(tmp_path)) == 1


async def test_closing_in_mid_start_ends_it(tmp_path: Path) -> None:
    async with engine_with(tmp_path, "hang") as engine:
        await engine.open(EngineSpec("s1"))
        await until(lambda: vllm.calls(tmp_path))
    [call] = vllm.calls(tmp_path)
    await until(lambda: is_gone(call["pid"]))


async def test_options_of_the_engine_inside_are_checked_under_our_name() -> None:
    with pytest.raises(ConfigError, match=r"engine\.options\.vllm\.timeout_s"):
        VllmEngine({"timeout_s": -1})


async def test_a_closed_session_stays_closed(tmp_path: Path) -> None:
    async with engine_with(tmp_path) as engine:
        await engine.probe()
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk())
        await session.aclose()
        with pytest.raises(EngineError) as caught:
            await session.score()
        assert caught.value.code == "engine_closed"


def test_a_free_port_is_free() -> None:
    assert 1024 < free_port() < 65536
