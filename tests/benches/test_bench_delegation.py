"""`joyvl bench delegation`, in its short form: with a real agent where there is one, and with the test agent."""

from __future__ import annotations

import pytest
from bench import delegation
from bench.delegation import COLUMNS, bench_delegation

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def check(result) -> None:
    alone, beside = result["rows"]
    assert [row["sessions"] for row in result["rows"]] == [2, 2]
    for row in result["rows"]:
        assert row["ticks"] + row["lost"] >= 16
        assert 0 < row["late_p50_ms"] <= row["late_p95_ms"] <= row["late_max_ms"]
        assert all(key in row for key, _ in COLUMNS)
    assert alone["tasks"] == 0
    assert beside["tasks"] >= 1
    assert result["later_p95_ms"] == beside["late_p95_ms"] - alone["late_p95_ms"]


def test_beside_a_real_agent(agents_env):
    result = bench_delegation(2, "codex", agents_env, quick=True)
    check(result)
    assert result["real"]
    assert result["rows"][1]["agent"] == "codex"


def test_without_one_the_test_agent_works_and_that_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(delegation, "_find", lambda: None)
    result = bench_delegation(2, "codex", None, quick=True)
    check(result)
    assert not result["real"]
    assert result["rows"][1]["agent"] == "the test agent"
    assert "No real agent was measured" in result["notes"][1]
