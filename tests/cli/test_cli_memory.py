"""`joyvl memory`: list, search, export and forget at a real server, and the index made again in a data folder."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.server.server import ServerProcess
from joyvl_server.cli.main import app

pytestmark = pytest.mark.processes


def memory(*args: str, url: str = ""):
    return CliRunner().invoke(app, ["memory", *args], env={"JOYVL_URL": url, "JOYVL_KEY": ""})


def test_from_the_first_fact_to_a_new_index(tmp_path: Path):
    from joyvl_server.cli.cameras import call

    server = ServerProcess(tmp_path / "data")
    server.start()
    try:
        url = server.url
        for text in ("The blue box is mine.", "药在抽屉里。", "Grandma sleeps at three."):
            call(url, None, "POST", "/v1/memories", {"text": text, "collection": "user:ann"})
        listed = memory("list", url=url)
        assert listed.exit_code == 0, listed.output
        assert [line.split("fact")[1].strip()[:5] for line in listed.output.splitlines()] == [
            "Grand",
            "药在抽屉里",
            "The b",
        ]
        assert len(json.loads(memory("list", "--limit", "1", "--json", url=url).output)) == 1
        assert memory("list", "--camera", "cam_x", url=url).output == "Nothing.\n"
        assert "blue box" in memory("search", "Whose boxes are blue?", "--limit", "1", url=url).output
        assert "抽屉" in memory("search", "抽屉", "--words", url=url).output
        exported = memory("export", str(tmp_path / "out.jsonl"), "--collection", "user:ann", url=url)
        assert exported.exit_code == 0, exported.output
        lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
        assert len(lines) == 3
        assert all("data" in line for line in lines)
        assert (tmp_path / "out.jsonl").stat().st_mode & 0o777 == 0o600
        (tmp_path / "out.jsonl").chmod(0o644)
        assert memory("export", str(tmp_path / "out.jsonl"), url=url).exit_code == 0
        assert (tmp_path / "out.jsonl").stat().st_mode & 0o777 == 0o600
        assert memory("export", "--collection", "user:ann", url=url).output.count("\n") == 3
        assert memory("list", "--since", "2020-01-01", "--until", "2020-01-01T08:00", url=url).output == "Nothing.\n"
        assert len(memory("list", "--since", "2020-01-01", url=url).output.splitlines()) == 3
        assert memory("forget", url=url).exit_code == 2
        assert memory("forget", "--all", "mem_1", "--yes", url=url).exit_code == 2
        assert memory("forget", lines[0]["id"], "--yes", url=url).output == "1 forgotten.\n"
        assert memory("forget", "mem_404", "--yes", url=url).exit_code == 1
        in_use = memory("rebuild", "--data-dir", str(tmp_path / "data"))
        assert (in_use.exit_code, "Traceback" in in_use.output) == (1, False)
    finally:
        server.stop()
    rebuilt = memory("rebuild", "--embed", "--data-dir", str(tmp_path / "data"))
    assert rebuilt.exit_code == 0, rebuilt.output
    assert rebuilt.output.splitlines()[-2:] == ["100 %", "The index of memories is complete."]
    with sqlite3.connect(tmp_path / "data" / "chroma" / "chroma.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM embeddings").fetchone()[0] == 2


def test_a_time_that_is_none_is_told_in_words():
    result = memory("list", "--since", "yesterday", url="http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "--since yesterday: write a day or a time, like 2026-11-29" in result.output


def test_where_no_server_answers():
    result = memory("export", url="http://127.0.0.1:9")
    assert (result.exit_code, "No server answers" in result.output) == (1, True)
    result = memory("list", url="http://127.0.0.1:9")
    assert (result.exit_code, "No server answers" in result.output) == (1, True)
