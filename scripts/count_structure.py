#!/usr/bin/env python3
"""Counts how easy the package is to follow: its folders and classes, and what one tick and one request walk through.

    scripts/count_structure.py [--json]

A *call* is a function of the package that begins (a coroutine that goes on counts once more), a *crossing* is a call
from one of its files to another, *depth* the most functions of the package that are under way at once. Engine and
source are the tests' fakes, so that only our own code between them is counted.
"""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "joyvl_server"
WARM_UP_S = 8
BACKGROUND = tuple(str(PACKAGE / ring) for ring in ("notify", "memory", "timeline"))
"""rings whose own tasks belong to no tick"""


# ------------------------------------------------------------------------------------------------------------- static


@dataclass(frozen=True, slots=True)
class Constructor:
    name: str
    parameters: int


@dataclass(frozen=True, slots=True)
class Structure:
    """Figures read off the source. Paths are relative to the checkout."""

    files_per_folder: dict[str, int]
    lines_per_file: dict[str, int]
    classes_twice: dict[str, list[str]]
    """class names that stand in more than one file"""
    injected_callables: list[str]
    """constructor parameters and fields that are bare callables"""
    constructors: list[Constructor]
    """largest first"""

    @property
    def longest_file(self) -> tuple[str, int]:
        return max(self.lines_per_file.items(), key=lambda item: item[1])

    @property
    def fullest_folder(self) -> tuple[str, int]:
        return max(self.files_per_folder.items(), key=lambda item: item[1])


def read_structure(package: Path = PACKAGE) -> Structure:
    folders: Counter[str] = Counter()
    lines: dict[str, int] = {}
    classes: dict[str, list[str]] = {}
    injected: list[str] = []
    constructors: list[Constructor] = []
    for path in sorted(package.rglob("*.py")):
        name = str(path.relative_to(package.parent))
        text = path.read_text("utf-8")
        lines[name] = text.count("\n")
        if text.strip():
            folders[str(path.parent.relative_to(package.parent))] += 1
        tree = ast.parse(text)
        aliases = _callable_aliases(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, []).append(name)
                injected += [f"{name}: {node.name}.{given}" for given in _callables(node, aliases)]
                constructors += [Constructor(f"{name}: {node.name}", count) for count in _constructor(node)]
    return Structure(
        files_per_folder=dict(folders),
        lines_per_file=lines,
        classes_twice={name: where for name, where in classes.items() if len(where) > 1},
        injected_callables=injected,
        constructors=sorted(constructors, key=lambda constructor: -constructor.parameters),
    )


def _callable_aliases(tree: ast.Module) -> set[str]:
    """Names in this file that stand for `Callable[…]`."""
    found = {"Callable"}
    for node in tree.body:
        if isinstance(node, ast.Assign) and _names_callable(node.value, found):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def _names_callable(annotation: ast.expr | None, aliases: set[str]) -> bool:
    if isinstance(annotation, ast.BinOp):
        return _names_callable(annotation.left, aliases) or _names_callable(annotation.right, aliases)
    if isinstance(annotation, ast.Subscript):
        return _names_callable(annotation.value, aliases)
    return isinstance(annotation, ast.Name) and annotation.id in aliases


def _callables(node: ast.ClassDef, aliases: set[str]) -> Iterator[str]:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            arguments = item.args
            for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                if _names_callable(argument.annotation, aliases):
                    yield argument.arg
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            yield from [item.target.id] if _names_callable(item.annotation, aliases) else []


def _constructor(node: ast.ClassDef) -> Iterator[int]:
    """How many parameters `__init__` takes beside `self`. Values (dataclasses, models) have fields, not parameters."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            arguments = item.args
            yield len((*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)) - 1


# -------------------------------------------------------------------------------------------------------------- walks


@dataclass(slots=True)
class Walk:
    """What one thing that happens goes through."""

    calls: int = 0
    crossings: int = 0
    depth: int = 0
    files: Counter[str] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, frame: FrameType, event: str, argument: object) -> None:
        """A profile function, see `sys.setprofile`."""
        here = _file_of(frame)
        if event != "call" or here is None or _in_background():
            return
        depth, caller, above = 1, None, frame.f_back
        while above is not None:
            file = _file_of(above)
            if file is not None:
                depth += 1
                caller = caller or file
            above = above.f_back
        self.calls += 1
        self.files[here] += 1
        self.depth = max(self.depth, depth)
        if caller is not None and caller != here:
            self.crossings += 1
            self.pairs[caller, here] += 1


def _in_background() -> bool:
    """Does a task run now that looks after something of its own, at moments of its own: alerts, memory, files?"""
    task = asyncio.current_task()
    code = getattr(task.get_coro(), "cr_code", None) if task is not None else None
    return code is not None and code.co_filename.startswith(BACKGROUND)


def _file_of(frame: FrameType) -> str | None:
    name = frame.f_code.co_filename
    return name[len(str(PACKAGE)) + 1 :] if name.startswith(str(PACKAGE)) else None


async def _walked(what: Callable[[], Awaitable[object]]) -> Walk:
    walk = Walk()
    sys.setprofile(walk.take)
    try:
        await what()
    finally:
        sys.setprofile(None)
    return walk


async def trace() -> dict[str, Walk]:
    """The walks of a silent tick, of one that speaks about a watch, and of `POST …/watches`."""
    from httpx2 import ASGITransport, AsyncClient

    from fakes.media.media import picture
    from fakes.server.sessions import open_house
    from joyvl_server.app import create_app
    from joyvl_server.core.decisions import Score
    from joyvl_server.engines.base import Capabilities
    from joyvl_server.sessions.cameras import CameraDraft
    from joyvl_server.sessions.watch_list import WatchDraft

    watches = (WatchDraft("Tell me when someone comes in."), WatchDraft("Tell me when someone falls."))
    draft = CameraDraft(name="door", url="rtsp://192.168.1.20/1", watches=watches)
    with tempfile.TemporaryDirectory() as folder:
        async with open_house(Path(folder)) as house:
            house.engine.capabilities = Capabilities(scores=True, prefills=True, uuids=True, mode="scored")
            view = await house.registry.cameras.add(draft)
            source = house.media.sources[view.record.id]
            shades = iter(range(60, 200))

            async def second() -> None:
                source.show(picture(house.clock.monotonic() - 1000, shade=next(shades)))
                await house.clock.advance(1.0)

            for _ in range(WARM_UP_S):
                await second()
            await house.registry.store.main.write(lambda connection: None)  # what the start left to write
            await house.clock.settle()
            silent = await _walked(second)
            house.engine.script = lambda turn: (Score(0.9), [" Someone is", " at the door."])
            spoken = await _walked(second)
            house.engine.script = lambda turn: Score(0.1)
            await second()
            app = create_app(house.registry.settings, house.registry)
            url = f"/v1/sessions/{view.record.session_id}/watches"
            async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:

                async def post() -> None:
                    answer = await client.post(url, json={"text": "Tell me when the light goes out."})
                    assert answer.status_code == 201, answer.text

                watch = await _walked(post)
    return {"silent tick": silent, "spoken tick": spoken, "POST watch": watch}


def run_trace() -> dict[str, Walk]:
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    logging.disable(logging.ERROR)
    return asyncio.run(trace())


# ------------------------------------------------------------------------------------------------------------- report


def main() -> None:
    structure, walks = read_structure(), run_trace()
    if "--json" in sys.argv:
        print(json.dumps(_as_json(structure, walks), indent=1))
        return
    print("| walk | calls | files | crossings | depth |\n|---|---|---|---|---|")
    for name, walk in walks.items():
        print(f"| {name} | {walk.calls} | {len(walk.files)} | {walk.crossings} | {walk.depth} |")
    largest = structure.constructors[0]
    print(f"\nclass names used twice: {len(structure.classes_twice)}")
    print(f"injected callables: {len(structure.injected_callables)}")
    print(f"largest constructor: {largest.name}, {largest.parameters} parameters")
    print("longest file: {}, {} lines".format(*structure.longest_file))
    print("fullest folder: {}, {} files".format(*structure.fullest_folder))
    if "--walks" in sys.argv:
        for name, walk in walks.items():
            print(f"\n{name}")
            for file, count in walk.files.most_common():
                print(f"{count:5} {file}")
            for (caller, called), count in walk.pairs.most_common():
                print(f"{count:5} {caller} → {called}")


def _as_json(structure: Structure, walks: dict[str, Walk]) -> dict[str, Any]:
    shown = {
        name: {"calls": walk.calls, "files": len(walk.files), "crossings": walk.crossings, "depth": walk.depth}
        for name, walk in walks.items()
    }
    return {"walks": shown, "structure": asdict(structure)}


if __name__ == "__main__":
    main()
