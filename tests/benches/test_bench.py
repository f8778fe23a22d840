from __future__ import annotations

import json

import pytest
from bench.commands import report
from bench.tick import COLUMNS, bench_tick

pytestmark = pytest.mark.processes


def test_a_table_for_people_and_one_object_for_programs(capsys: pytest.CaptureFixture[str]):
    result = {"rows": [{"a": 1, "b": 2.345}, {"a": 22, "b": None}], "notes": ["A note."]}
    report(result, (("a", "A"), ("b", "long")), json_out=False)
    table = capsys.readouterr().out.splitlines()
    assert table == ["| A  | long |", "|----|------|", "| 1  | 2.35 |", "| 22 | –    |", "A note."]
    report(result, (), json_out=True)
    assert json.loads(capsys.readouterr().out) == result


def test_bench_tick_measures_every_session():
    result = bench_tick((2,), 4.0)
    (row,) = result["rows"]
    assert row["sessions"] == 2
    assert row["ticks"] + row["skipped"] >= 6
    assert 0 < row["request_p50_ms"] <= row["request_p99_ms"]
    assert row["scored_p50_ms"] > row["request_p50_ms"]  # the request is built, sent and answered in between
    assert row["main_ms"] > 0
    assert row["worker_ms"] > 0
    assert all(key in row for key, _ in COLUMNS)
