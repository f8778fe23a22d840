"""Fails when the reference lags behind the code: routes, problem codes, metrics, updates, commands and their options.

One function per kind. Each also looks the other way: what the reference names must exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer.main
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from prometheus_client import CollectorRegistry, Counter
from starlette.routing import Route, WebSocketRoute

from fakes.clock import ManualClock
from joyvl_server.api.http import problems
from joyvl_server.app import create_app
from joyvl_server.cli.main import app as cli
from joyvl_server.core import errors
from joyvl_server.core.decisions import Pressure, Skip, Suppressed
from joyvl_server.sessions import endings
from joyvl_server.sessions.metrics import Metrics
from joyvl_server.sessions.sinks.updates import UPDATE_TYPES
from joyvl_server.settings import Settings
from joyvl_server.store.events import TYPES as EVENT_TYPES

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The real app; its registry is only asked for its metrics and, unused, its record."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    return create_app(
        settings, SimpleNamespace(metrics=Metrics(), store=SimpleNamespace(main=None)), clock=ManualClock()
    )


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


def first_cells(text: str, pattern: str) -> list[str]:
    """What stands in backticks in the first column of the tables."""
    return re.findall(rf"^\| `({pattern})`", text, re.MULTILINE)


def same(documented: list[str], real: set[str], where: str) -> None:
    assert not (missing := real - set(documented)), f"not in {where}: {sorted(missing)}"
    assert not (gone := set(documented) - real), f"in {where} but not in the code: {sorted(gone)}"
    assert len(documented) == len(set(documented)), f"twice in {where}"


def test_routes(app: FastAPI):
    def routes() -> Iterator[str]:
        for route in iter_route_contexts(app.routes):
            path = re.sub(r":\w+\}", "}", route.path or "")
            if isinstance(route.original_route, WebSocketRoute):
                yield f"WEBSOCKET {path}"
            elif isinstance(route.original_route, Route):
                yield from (f"{method} {path}" for method in route.methods or ())
            else:
                raise AssertionError(f"a route of an unknown kind: {route.original_route}")

    real = set(routes())
    assert len(real) > 40
    same(first_cells(page("api.md"), "[A-Z]+ /[^`]*"), real, "api.md")


def test_problem_codes():
    """Every code the API gives by itself, every class of error, and the codes the inner rings set on them."""
    codes = {c.code for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.JoyvlError)}
    codes |= {*problems.CODE_OF_STATUS.values(), *(c for by_code in problems.STATUS_OF_CODE.values() for c in by_code)}
    for ring, pattern in (
        ("api", r'(?:problem|BodyRefused)\(\s*\d+,\s*"(\w+)"|\bcode ?= ?"(\w+)"'),
        ("sessions", r'code="(\w+)"'),
    ):
        for path in (ROOT / "joyvl_server" / ring).rglob("*.py"):
            codes |= {a or b for a, b in re.findall(pattern if ring == "api" else f"{pattern}(x?)", path.read_text())}
    documented = set(re.findall(r"`(\w+)`", page("api.md").partition("## Problems")[2].partition("| status |")[2]))
    assert len(codes) > 30
    assert not (missing := codes - documented), f"problem codes not in api.md: {sorted(missing)}"


def test_event_types():
    text = page("api.md").partition("## Events")[2]
    listed = re.findall(r"`(\w+)`", text.partition("Types:")[2].partition(".")[0])
    same(listed, set(EVENT_TYPES), "api.md, Events")


def test_metrics(app: FastAPI):
    registry: CollectorRegistry = app.state.api.registry.metrics.registry
    rows = dict(re.findall(r"^\| `(joyvl_\w+)` \|([^|]*)\|", page("metrics.md"), re.MULTILINE))
    real: dict[str, set[str]] = {}
    for collector in list(registry._collector_to_names):
        (family,) = collector.describe()
        name = family.name + ("_total" if isinstance(collector, Counter) else "")
        real[name] = set(collector._labelnames)
    assert len(real) > 10
    same(list(rows), set(real), "metrics.md")
    for name, labels in real.items():
        assert name.startswith("joyvl_")
        assert set(re.findall(r"`(\w+)`", rows[name])) == labels, f"labels of {name} in metrics.md"


def test_updates():
    text = page("updates.md").partition("## Types")[2]
    same(first_cells(text, r"[a-z_.]+"), set(UPDATE_TYPES), "updates.md")


def test_codes_of_ends():
    text = page("updates.md").partition("Codes of `session.ended`:")[2].partition("\n\n")[0]
    same(re.findall(r"`(\w+)`", text.replace("`reason`", "")), {*endings.CODES.values(), "failed"}, "updates.md, ends")


def test_words_of_a_tick():
    """Why a tick took no decision, why a remark was not made, how short of time an engine may be."""
    text = page("updates.md").partition("## Tick")[2]
    for words in (Skip, Suppressed):
        assert not (missing := [w.value for w in words if w.value not in text]), missing
    steps = page("api.md").partition("`pressure` is how short")[2]
    assert re.findall(r"^\| (\d) \| (\w+) ", steps, re.MULTILINE) == [(str(p.value), p.name.lower()) for p in Pressure]


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command and group below; typer brings a click of its own, so they are told apart by what they have."""
    for child_name, child in getattr(command, "commands", {}).items():
        yield f"{name} {child_name}", child
        yield from commands(child, f"{name} {child_name}")


def test_commands_and_options():
    text = page("cli.md")
    found = list(commands(typer.main.get_command(cli), "joyvl"))
    assert len(found) > 5
    headings = {line for line in text.splitlines() if line.startswith("#")}
    for name, command in found:
        parameters = [p for p in command.params if p.name != "help"]
        if hasattr(command, "commands"):
            assert f"`{name} " in text, f"the commands of {name} are not in cli.md"
            assert not parameters, f"options of the group {name} have no place in cli.md"
            continue
        heading = next((h for h in headings if re.fullmatch(rf"#+ `{re.escape(name)}( [^`]*)?`", h)), None)
        assert heading is not None, f"{name} is not in cli.md"
        section = re.split(r"^#+ ", text.partition(heading + "\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
        for parameter in parameters:
            if parameter.param_type_name == "argument":
                shown = (parameter.metavar or parameter.name).upper().strip("[]")
                assert shown in heading, f"the argument {shown} of {name} is not in cli.md"
                continue
            for option in [*parameter.opts, *parameter.secondary_opts]:
                assert f"`{option}`" in section, f"{option} of {name} is not in cli.md"


def test_files_that_the_architecture_names():
    """The walks are read file by file: each must be where the page says."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    package = ROOT / "joyvl_server"
    modules = [f"/{path.relative_to(ROOT)}" for path in package.rglob("*.py")]
    named = set(re.findall(r"`([\w/]+\.py)(?: --\w+)?`", text))
    assert len(named) > 40
    for name in named:
        assert (ROOT / name).is_file() or any(module.endswith(f"/{name}") for module in modules), name


def test_the_architecture_shows_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {path.parent.relative_to(ROOT / "joyvl_server") for path in (ROOT / "joyvl_server").rglob("*.py")}
    missing = sorted(
        str(room) for room in rooms if f"`{room}/`" not in text and str(room) not in (".", "cli", "settings")
    )
    assert not missing, f"docs/architecture.md does not name {missing}"
