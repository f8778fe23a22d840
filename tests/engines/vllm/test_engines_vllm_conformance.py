"""What every engine must do, with engine `vllm`: its server is one that is ready already."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import test_engines_conformance as conformance

from joyvl_server.engines.base import Engine
from joyvl_server.engines.vllm.engine import VllmEngine


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with AsyncExitStack() as stack:
        engine = VllmEngine({})
        await engine.openai.aclose()
        engine.openai = await conformance.make_scored(stack)  # type: ignore[assignment]
        engine.process._started = engine.process._ready = True
        yield engine
        await engine.aclose()


for _name, _test in list(vars(conformance).items()):
    if (
        _name.startswith("test_")
        and _name != "test_it_is_an_engine_and_ready"
        and "engine" in inspect.signature(_test).parameters
    ):
        globals()[_name] = _test
