"""The rings of the house: imports point inwards only, and adapters never import one another."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "joyvl_server"
ROOT = Path(__file__).resolve().parents[1] / PACKAGE

TOOLS = {"kit", "store"}
ADAPTERS = {"ingest", "engines", "speech", "agents", "memory", "timeline", "notify"}
EDGES = {"api", "cli", "compose", "app"}

MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    **{ring: {"core"} for ring in TOOLS},
    "settings": {"core", "kit"},
    **{ring: {"core", "settings"} | TOOLS for ring in ADAPTERS},
    "__init__": set(),
    "sessions": {"core", "settings"} | TOOLS | ADAPTERS,
    **{ring: {"core", "settings", "sessions"} | TOOLS | ADAPTERS | EDGES for ring in EDGES},
}
"""What a ring may import besides itself. The settings stand on the tools; everything further out may read them."""

CORE_MAY_USE = {"numpy"}


def ring_of(module: str) -> str:
    """`joyvl_server.core.effects` → `core`; the package itself → the empty string."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(source: str, module: str) -> Iterator[str]:
    """Every module that `source` imports, anywhere in it, relative names resolved."""
    package = module.rsplit(".", 1)[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            # `from joyvl_server import core` names a ring only in its second half
            yield from ([f"{base}.{alias.name}" for alias in node.names] if base == PACKAGE else [base])


def violations(source: str, module: str) -> list[str]:
    """What `source`, as the text of `module`, imports against the rings; one sentence each."""
    ring = ring_of(module)
    found = []
    for name in imports(source, module):
        top = name.split(".")[0]
        if top == PACKAGE:
            other = ring_of(name)
            if other not in ("", "__version__", ring) and other not in MAY_IMPORT.get(ring, set()):
                found.append(f"{module} imports {name}: {ring} must not know {other}")
        elif ring == "core" and top not in sys.stdlib_module_names | CORE_MAY_USE:
            found.append(f"{module} imports {name}: core takes nothing from outside but numpy")
    return found


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(parts), path


def test_imports_point_inwards_only() -> None:
    files = list(modules())
    assert len(files) > 20
    wrong = [line for module, path in files for line in violations(path.read_text("utf-8"), module)]
    assert not wrong, "\n".join(wrong)


def test_every_module_belongs_to_a_ring() -> None:
    unknown = {ring_of(module) for module, _ in modules()} - set(MAY_IMPORT)
    assert not unknown, f"give {unknown} a place among the rings"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.observer", "import asyncio, joyvl_server.kit.clock"),
        ("core.observer", "from joyvl_server.engines.base import Engine"),
        ("core.observer", "import pydantic"),
        ("core.observer", "def f():\n    from joyvl_server import settings"),
        ("core.observer", "from ..kit import clock"),
        ("kit.net.http", "from joyvl_server.store.cameras import Cameras"),
        ("kit.net.http", "from joyvl_server.settings import Settings"),
        ("ingest.hub", "from joyvl_server.engines.base import Engine"),
        ("engines.motion", "from ..ingest import hub"),
        ("engines.motion", "if TYPE_CHECKING:\n    import joyvl_server.sessions.session"),
        ("sessions.session", "from joyvl_server.api.cameras import router"),
        ("sessions.session", "from joyvl_server import app"),
        ("settings", "from joyvl_server.sessions.session import Session"),
        ("stray", "from joyvl_server.core import errors"),
    ],
)
def test_the_check_sees_an_import_that_points_outwards(module, source) -> None:
    assert len(violations(source, f"{PACKAGE}.{module}")) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("core.observer", "import json\nimport numpy as np\nfrom joyvl_server.core import effects"),
        ("core.observer", "from . import events\nfrom .events import Tick"),
        ("kit.net.http", "import httpx2\nfrom joyvl_server.core.errors import JoyvlError"),
        ("ingest.hub", "from joyvl_server.kit.clock import Clock\nfrom joyvl_server import __version__"),
        ("sessions.session", "from ..engines.base import Engine\nfrom joyvl_server.settings import Settings"),
        ("api.cameras", "from joyvl_server.sessions.registry import Registry"),
        ("app", "import joyvl_server.api.app, joyvl_server.sessions.registry"),
    ],
)
def test_the_check_lets_pass_what_points_inwards(module, source) -> None:
    assert violations(source, f"{PACKAGE}.{module}") == []
