"""What tests share: one real vLLM for all that need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from vllm_server import VllmServer, find_python


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    python = find_python()
    if python is None:
        pytest.skip("needs vLLM's CPU build: run scripts/vllm-cpu-env, or name its Python in JOYVL_VLLM_PYTHON")
    server = VllmServer(python, tmp_path_factory.mktemp("vllm"))
    try:
        server.start()
        yield server
    finally:
        left = server.stop()
    assert left == []
