"""No test depends on the machine's pace: none waits only so long for what must come, none asserts how long it took."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.patience import PATIENCE_S

TESTS = Path(__file__).parent
LEAST_S = 1.0
"""A shorter limit is one that is meant to pass."""
WAITS = {"wait", "join", "wait_for", "timeout", "wait_procs", "run", "communicate", "recv", "urlopen", "HTTPConnection"}
CLOCKS = {"monotonic", "perf_counter", "time"}
EXCUSED = "# pace: "
"""before the reason, on the line of a wait that may end early"""


def faults(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call | ast.Assert) and EXCUSED not in lines[node.lineno - 1]:
            where = f"{path.relative_to(TESTS)}:{node.lineno}"
            if isinstance(node, ast.Call) and (limit := _limit(node)) is not None:
                yield f"{where}: waits {limit:g} s; let it wait PATIENCE_S, or until something else has come"
            if isinstance(node, ast.Assert) and _asserts_pace(node.test):
                yield f"{where}: asserts how long something took"


def _limit(call: ast.Call) -> float | None:
    """The seconds of a wait, where they are a number that a slow machine exceeds."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in WAITS or ast.unparse(call.func) == "os.path.join":
        return None
    given = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
    given += call.args[1:2] if name == "wait_for" else call.args[:1] if name in ("wait", "join", "timeout") else []
    numbers = [node.value for node in given if isinstance(node, ast.Constant) and isinstance(node.value, int | float)]
    return next((float(number) for number in numbers if LEAST_S <= number < PATIENCE_S / 2), None)


def _asserts_pace(test: ast.expr) -> bool:
    """`time.monotonic() - began < 3` and the like. That something took at least so long is no matter of pace."""
    for node in ast.walk(test):
        if isinstance(node, ast.Compare):
            for small, op in zip([node.left, *node.comparators], node.ops, strict=False):
                took = isinstance(small, ast.BinOp) and isinstance(small.op, ast.Sub) and _reads_clock(small.left)
                if took and isinstance(op, ast.Lt | ast.LtE):
                    return True
    return False


def _reads_clock(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "time"
    )


def test_no_test_depends_on_pace():
    found = [fault for path in sorted(TESTS.rglob("*.py")) for fault in faults(path)]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("thread.join(5)", "waits 5 s"),
        ("asyncio.timeout(20.0)", "waits 20 s"),
        ("asyncio.wait_for(x, 3)", "waits 3 s"),
        ("subprocess.run(command, timeout=60)", "waits 60 s"),
        ("assert time.monotonic() - began < 3", "asserts how long"),
        ("assert 1 < time.perf_counter() - began < 3", "asserts how long"),
        ("assert time.monotonic() - began > 3", None),
        ("asyncio.timeout(0.2)", None),
        ("thread.join(PATIENCE_S)", None),
        ("' '.join(words)", None),
        ("asyncio.timeout(90.0)  # pace: virtual time", None),
    ],
)
def test_what_it_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, told: str | None):
    monkeypatch.setattr("test_pace.TESTS", tmp_path)
    (tmp_path / "test_it.py").write_text(f"{line}\n")
    found = list(faults(tmp_path / "test_it.py"))
    assert bool(found) == (told is not None)
    assert told is None or told in found[0]
