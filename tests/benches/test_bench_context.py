"""`joyvl bench context`: the real session beside the reference's scheme. Bounds are wide: the goals are in the docs."""

from __future__ import annotations

import json

import pytest
from bench.context import COLUMNS, bench_context
from typer.testing import CliRunner

from joyvl_server.cli.main import app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result():
    return bench_context(seconds=900, replies=(25, 60))


def test_the_keys_stand_for_us_and_for_the_reference(result):
    for key in ("seconds_without_decision", "slowest_tick_s", "bytes_per_tick_ratio", "fresh_tokens_per_s"):
        for run in (result, result["replies"]["60"]):
            assert isinstance(run[key], int | float)
            assert isinstance(run["reference"][key], int | float)
    assert json.loads(json.dumps(result)) == result
    assert [row["reply_tokens"] for row in result["rows"]] == [25, 25, 25, 60, 60, 60]
    assert all(key in row for row in result["rows"] for key, _ in COLUMNS)
    assert "Calculated" in result["notes"][0]


def test_a_question_leaves_what_was_sent_before_in_the_cache(result):
    assert result["queries"] == {"answered": 3}
    assert result["question_own_tokens"] < result["question_fresh_max"] < 300
    assert result["reference"]["question_fresh"] > 20 * result["question_fresh"]


def test_ours_is_fast_and_sends_little(result):
    assert result["seconds_without_decision"] <= 10
    assert result["silent"]["count"] > 850
    assert result["silent"]["p99_s"] < 0.6
    assert result["cached_share"] > 0.95
    assert result["bytes_per_tick_ratio"] < 0.05
    assert result["longest_prompt"] <= 24_000
    assert result["reference"]["seconds_without_decision"] > 10 * result["seconds_without_decision"]
    assert result["reference_summaries_in_time"]["seconds_without_decision"] > result["seconds_without_decision"]


def test_the_command_prints_a_table():
    done = CliRunner().invoke(app, ["bench", "context", "--seconds", "400"])
    assert done.exit_code == 0, done.output
    assert "seconds without a decision" in done.output
    assert "reference, summaries in time" in done.output
