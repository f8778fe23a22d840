"""Engine `vllm` starts the real vLLM on the CPU by itself, loses it, and gets it back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs
from vllm_server import TCMALLOC, find_python

from fakes.patience import PATIENCE_S, until
from fakes.turns import chunk, turn
from joyvl_server.core.errors import EngineUnavailable
from joyvl_server.core.prompt.wire_format import system_prompt
from joyvl_server.engines.base import EngineSpec
from joyvl_server.engines.vllm.engine import VllmEngine

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

START_S = 240.0


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a user would write for this model and vLLM's CPU build."""
    python = find_python()
    if python is None:
        pytest.skip("needs vLLM's CPU build: run scripts/vllm-cpu-env, or name its Python in JOYVL_VLLM_PYTHON")
    model = tmp_path_factory.mktemp("weights") / "tiny"
    builder = Path(__file__).with_name("tiny_model.py")
    subprocess.run([python, builder, model], check=True, timeout=PATIENCE_S, capture_output=True)
    preload = [TCMALLOC, str(python.parents[1] / "lib" / "libiomp5.so")]
    return {
        "python": str(python),
        "model": str(model),
        "device": "cpu",
        "context_tokens": 8192,
        "sessions": 2,
        "mm_cache_gb": 1,
        "timeout_s": 60,
        "check_every_s": 1,
        "extra_args": ["--dtype", "float32", "--enforce-eager"],
        "env": {
            "LD_PRELOAD": ":".join(path for path in preload if Path(path).exists()),
            "HF_HUB_OFFLINE": "1",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": "2",
        },
    }


def family(pid: int | None) -> list[psutil.Process]:
    assert pid is not None
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def serving(engine: VllmEngine) -> psutil.Process:
    """vLLM's own process: the child of the one that holds its leash."""
    return psutil.Process(engine.process.pid).children()[0]


async def test_it_starts_decides_is_killed_and_comes_back(options: dict[str, object]) -> None:
    engine = VllmEngine(options)
    try:
        session = await engine.open(EngineSpec("s1"))
        await session.begin(chunk(system=system_prompt()))
        with capture_logs() as logs:
            async with asyncio.timeout(PATIENCE_S):
                capabilities = await engine.probe()
        told = [entry["state"] for entry in logs if entry["event"] == "vLLM is starting"]
        assert any("loading the weights" in state or "warming up" in state for state in told), told
        assert capabilities.mode == "scored"
        assert capabilities.priority
        assert capabilities.context_tokens == 8192
        assert (capabilities.cache_tokens or 0) > 100_000
        assert "serves tiny" in await engine.check()

        await session.append(turn(0))
        await session.score()
        await session.settle("</silence>")

        first = family(engine.process.pid)
        assert len(first) >= 4, "leash, server, engine core, worker"
        serving(engine).kill()
        await until(lambda: not engine.process.is_ready)
        with pytest.raises(EngineUnavailable, match=r"vLLM is starting|Out of memory, most likely"):
            await engine.check()
        assert psutil.wait_procs(first, timeout=PATIENCE_S)[1] == [], "its engine core would hold the card's memory"
        async with asyncio.timeout(PATIENCE_S):
            await engine.probe()
        assert engine.restarts == 1

        await session.append(turn(1))
        await session.score()
        await session.settle("</silence>")
        second = family(engine.process.pid)
        next(member for member in second if "EngineCore" in member.name()).kill()
        await until(lambda: not engine.process.is_ready)
        assert engine.process.failure.startswith("Out of memory, most likely: a part of vLLM was killed")
    finally:
        await engine.aclose()
    assert psutil.wait_procs(second, timeout=PATIENCE_S)[1] == []


async def test_memory_that_is_not_there_is_said_to_be_missing(options: dict[str, object]) -> None:
    greedy = {**options, "env": {**options["env"], "VLLM_CPU_KVCACHE_SPACE": "100000"}}  # type: ignore[dict-item]
    engine = VllmEngine(greedy)
    try:
        with pytest.raises(EngineUnavailable, match=r"^Out of memory: .* Set VLLM_CPU_KVCACHE_SPACE"):
            async with asyncio.timeout(PATIENCE_S):
                await engine.probe()
    finally:
        await engine.aclose()


def test_nothing_of_it_outlives_a_killed_server(options: dict[str, object]) -> None:
    program = textwrap.dedent(
        f"""
        import asyncio
        from joyvl_server.engines.vllm.engine import VllmEngine
        async def main():
            engine = VllmEngine({options!r})
            await engine.probe()
            print("pid", engine.process.pid, flush=True)
            await asyncio.sleep(600)
        asyncio.run(main())
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if line.startswith("pid "))
            members = family(int(line.split()[1]))
            assert len(members) >= 4
        finally:
            os.kill(server.pid, signal.SIGKILL)
    assert psutil.wait_procs(members, timeout=PATIENCE_S)[1] == []
