"""What must not grow back: full folders, long files, class names used twice, injected callables, odd names."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from count_structure import PACKAGE, read_structure

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
OLD_WORDS = {"desk", "seat", "attendant", "performer", "painter", "surroundings", "agenda", "weighing"}
"""as a part of any name"""

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
            words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name)}
            if (is_class and name in OLD_CLASSES) or words & OLD_WORDS:
                found.append(f"{path.relative_to(ROOT)}: {name}")
    assert found == []
