"""What must not grow back: full folders, long files, names used twice, injected callables, odd names, long ways."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from count_structure import PACKAGE, read_structure, trace

ROOT = Path(__file__).parents[1]
FILES = 16
"""of a folder, `__init__.py` without a word not counted"""
LINES, LONG, FEW = 300, 400, 10
"""most files are shorter, few are longer, none is much longer"""
TABLES = {"joyvl_server/core/watches/kind_words.py"}
"""files that are one table of words"""
PARAMETERS = 7
CALLABLES = 5
"""listeners and hooks of kit and of the HTTP server"""
OLD_CLASSES = {
    "Desk", "Seat", "Grant", "Line", "Pace", "Meter", "Ladder", "Spare", "Lane", "Driver", "Attendant", "Performer",
    "Standing", "Surroundings", "CameraBook", "Opener", "Runner", "Held", "Painter", "Trail", "Flight", "Weighing",
    "Concern", "Sentences", "Remark", "Speech", "Agenda", "News", "Growing", "Passages",
}  # fmt: skip
OLD_WORDS = {
    "desk", "seat", "lane", "pen", "spare", "ladder", "room", "attendant", "performer", "painter", "surroundings",
    "agenda", "weighing", "anew",
}  # fmt: skip
"""as a part of any name, in the singular or the plural"""
DRAWS_A_ROOM = {"joyvl_server/ingest/demo.py"}
OLD_STEMS = {word.removesuffix("s") for word in OLD_WORDS}
OLD_IN_TEXT = re.compile(
    r"\b(desk|seat|ladder|attendant|performer|surroundings|agenda|deeds?)s?\b|\banew\b|\bst(and|ood)s? beside\b",
    re.IGNORECASE,
)
"""in docstrings and comments, of `web/` and `docs/` in any line"""
FILES_OF_A_SILENT_TICK, CROSSINGS, DEPTH = 26, 80, 18

STRUCTURE = read_structure()


def test_folders_are_rooms_one_can_take_in():
    assert {folder: count for folder, count in STRUCTURE.files_per_folder.items() if count > FILES} == {}


def test_so_are_those_of_the_benches():
    counts = Counter(path.parent.name for path in (ROOT / "scripts").rglob("*.py"))
    assert {folder: count for folder, count in counts.items() if count > FILES} == {}


def test_files_are_short():
    long = {name: lines for name, lines in STRUCTURE.lines_per_file.items() if lines > LINES and name not in TABLES}
    assert {name: lines for name, lines in long.items() if lines > LONG} == {}
    assert len(long) <= FEW, long


def test_a_class_name_stands_once():
    assert STRUCTURE.classes_twice == {}


def test_constructors_take_objects_with_names():
    assert len(STRUCTURE.injected_callables) <= CALLABLES, STRUCTURE.injected_callables
    largest = STRUCTURE.constructors[0]
    assert largest.parameters <= PARAMETERS, largest


def names(path: Path) -> Iterator[tuple[str, bool]]:
    """Every name that a file defines, and whether it is a class."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield node.name, True
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, False
        elif isinstance(node, ast.arg):
            yield node.arg, False
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, False
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, False


def test_the_old_names_are_gone():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, is_class in names(path):
            words = {word.lower().removesuffix("s") for word in re.findall(r"[A-Z]?[a-z]+", name)}
            if str(path.relative_to(ROOT)) in DRAWS_A_ROOM:
                words -= {"room"}
            if (is_class and name in OLD_CLASSES) or words & OLD_STEMS:
                found.append(f"{path.relative_to(ROOT)}: {name}")
    assert found == []


def remarks(text: str) -> Iterator[tuple[int, str]]:
    """Every comment and every docstring of a Python file, those of values too, with the line on which it begins."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def test_comments_docstrings_page_and_docs_do_without_the_old_words():
    found = []
    for folder in (PACKAGE, ROOT / "scripts"):
        for path in sorted(folder.rglob("*.py")):
            found += [(path, line) for line, text in remarks(path.read_text("utf-8")) if OLD_IN_TEXT.search(text)]
    for path in sorted(
        [*(ROOT / "web").glob("**/*.js"), ROOT / "docs/architecture.md", *(ROOT / "docs/reference").glob("*.md")]
    ):
        lines = path.read_text("utf-8").splitlines()
        found += [(path, number) for number, line in enumerate(lines, 1) if OLD_IN_TEXT.search(line)]
    assert [f"{path.relative_to(ROOT)}:{line}" for path, line in found] == []


async def test_a_silent_tick_goes_a_short_way():
    silent = (await trace())["silent tick"]
    assert silent.crossings > 20  # it was counted
    assert len(silent.files) <= FILES_OF_A_SILENT_TICK, silent.files
    assert silent.crossings <= CROSSINGS, silent.pairs
    assert silent.depth <= DEPTH
