"""docs/threat-model.md names tests; they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_test_that_the_threat_model_names_exists():
    text = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    named = set(NAMED.findall(text))
    assert len(named) > 20
    assert text.count("::test") == len(NAMED.findall(text))
    missing = []
    for file, name in sorted(named):
        path = ROOT / file
        tree = ast.parse(path.read_text("utf-8")) if path.is_file() else ast.parse("")
        functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        if name not in {function.name for function in functions}:
            missing.append(f"{file}::{name}")
    assert missing == []


def test_every_danger_has_a_test():
    text = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
    holds = text.partition("## What holds")[2].partition("## What is left")[0]
    rows = [line for line in holds.splitlines() if line.startswith("| ") and not line.startswith("| danger")]
    assert rows
    assert [row for row in rows if not NAMED.search(row)] == []
