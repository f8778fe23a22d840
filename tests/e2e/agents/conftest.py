"""Real agents compete with everything else that the machine does while tests run."""

from __future__ import annotations

import pytest

from joyvl_server.agents.acp import program, watch


@pytest.fixture(autouse=True)
def with_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their processes are as nice as ever, but not their sessions: on a machine full of tests they would take for ever
    to start. For the ticks beside them that is the harder case."""
    monkeypatch.setattr(program, "_NICENESS", ("--nice", str(program.NICE)))
    monkeypatch.setattr(watch, "SESSION_NICE", 0)
