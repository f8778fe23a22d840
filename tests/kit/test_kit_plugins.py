import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from joyvl_server.core.errors import ConfigError
from joyvl_server.core.frame import Frame, Image
from joyvl_server.core.prompt.turns import Chunk, UserTurn
from joyvl_server.engines.base import Engine, EngineSession, EngineSpec
from joyvl_server.kit import plugins

ECHO = Path(__file__).parent.parent / "fakes" / "out_of_tree_engine"


def install(site: Path, name: str, version: str, entry_points: dict[str, dict[str, str]], sources: dict[str, str]):
    """What an installer leaves in site-packages: the modules and a dist-info folder."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in entry_points.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for module, text in sources.items():
        (site / module).write_text(text)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def install_echo(site):
    project = tomllib.loads((ECHO / "pyproject.toml").read_text())["project"]
    source = (ECHO / "joyvl_echo_engine.py").read_text()
    install(site, project["name"], project["version"], project["entry-points"], {"joyvl_echo_engine.py": source})


async def test_an_engine_of_another_distribution_is_found_opened_and_speaks(site):
    assert "echo-test" not in plugins.names("joyvl.engines")
    install_echo(site)
    assert "echo-test" in plugins.names("joyvl.engines")

    factory = plugins.load("joyvl.engines", "echo-test")
    engine = factory({"greeting": "you asked: "})
    assert isinstance(engine, Engine)
    session = await engine.open(EngineSpec("ses_1"))
    assert isinstance(session, EngineSession)
    frame = Frame(0.0, 0.0, Image(b"", "", 1, 1), np.zeros((1, 1), np.uint8))
    await session.begin(Chunk(1, "system"))
    await session.append(UserTurn(1, 0.0, frame))
    assert (await session.score()).value == 0.0
    await session.append(UserTurn(2, 1.0, frame, query="who is there?"))
    assert (await session.score()).value == 1.0
    assert "".join([delta async for delta in session.say()]) == "you asked: who is there?"
    await session.settle("</response> you asked: who is there?")
    await session.aclose()
    await engine.aclose()


def test_our_own_engines_come_through_the_same_door():
    assert {"motion", "openai"} <= set(plugins.names("joyvl.engines"))


def test_a_name_that_is_not_there_says_what_is(site):
    install_echo(site)
    with pytest.raises(ConfigError, match=r"no 'motoin' in joyvl\.engines\. Installed: echo-test, motion, openai"):
        plugins.load("joyvl.engines", "motoin")
    with pytest.raises(ConfigError, match=r"joyvl\.memory\. Installed: none"):
        plugins.load("joyvl.memory", "chroma")
    with pytest.raises(ConfigError, match=r"no group 'joyvl\.engine'"):
        plugins.names("joyvl.engine")


@pytest.mark.parametrize(
    ("value", "source", "reason"),
    [
        (
            "broken_one:Engine",
            "import a_module_nobody_has",
            "ModuleNotFoundError: No module named 'a_module_nobody_has'",
        ),
        ("broken_one:Engine", "x = 1", "AttributeError"),
        ("broken_one:Engine", "raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("broken_one:Engine", "def f(:", "SyntaxError"),
        ("not_there:Engine", "", "ModuleNotFoundError"),
    ],
)
def test_a_broken_part_gives_its_name_and_the_reason(site, value, source, reason):
    install(site, "broken-package", "1", {"joyvl.engines": {"broken": value}}, {"broken_one.py": source})
    with pytest.raises(ConfigError) as caught:
        plugins.load("joyvl.engines", "broken")
    assert "'broken' in joyvl.engines" in str(caught.value)
    assert "broken-package" in str(caught.value)
    assert reason in str(caught.value)
    assert caught.value.__cause__ is not None


def test_two_packages_that_offer_one_name_are_refused(site):
    install(site, "one", "1", {"joyvl.engines": {"same": "a:A"}}, {})
    install(site, "other", "1", {"joyvl.engines": {"same": "b:B"}}, {})
    with pytest.raises(ConfigError, match="more than one package: one, other"):
        plugins.load("joyvl.engines", "same")


def test_every_group_is_described():
    assert all(group.startswith("joyvl.") and what for group, what in plugins.GROUPS.items())
    for group in plugins.GROUPS:
        plugins.names(group)
