"""Which agent gets a question, and what is read out of its answer."""

from __future__ import annotations

import threading

import pytest

from fakes.clock import ManualClock
from joyvl_server.agents.base import AgentError
from joyvl_server.agents.digest import LONGEST, digest_of
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.pool import AgentPool
from joyvl_server.core.errors import ConfigError, Conflict, NotFound
from joyvl_server.kit import plugins
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.settings import AgentSettings


def pool(tmp_path, *names, **settings):
    entries = {name: {"type": "no-such-kind"} for name in names}
    return AgentPool(AgentSettings(entries=entries, **settings), tmp_path, ManualClock(), NetPolicy())


@pytest.mark.parametrize(
    ("question", "chosen"),
    [
        ("What is this?", "code"),
        ("codex: what is this?", "codex"),
        ("Codex, what is this?", "codex"),
        ("@codex what is this?", "codex"),
        ("  @CODEX\nwhat is this?", "codex"),
        ("Ask @codex.", "codex"),
        ("Write to me@codex about it", "code"),
        ("@codex2 what?", "code"),
        ("@codex-two what?", "code"),
        ("codex is a word here", "code"),
    ],
)
def test_the_agent_that_a_question_names_gets_it(tmp_path, question, chosen):
    assert pool(tmp_path, "code", "codex").choose(None, question) == chosen


def test_wanted_comes_before_named_and_named_before_the_default(tmp_path):
    agents = pool(tmp_path, "one", "two", "three", default="three")
    assert agents.choose("two", "@one what?") == "two"
    assert agents.choose(None, "@one what?") == "one"
    assert agents.choose(None, "what?") == "three"
    with pytest.raises(NotFound, match="There are: one, two, three"):
        agents.choose("four", "what?")
    with pytest.raises(Conflict):
        pool(tmp_path).choose(None, "what?")


async def test_a_kind_that_is_not_installed_is_told(tmp_path):
    agents = pool(tmp_path, "one")
    with pytest.raises(ConfigError, match="no-such-kind"):
        agents.get("one")
    report = await agents.check("one")
    assert not report.ready
    assert "no-such-kind" in report.message
    with pytest.raises(NotFound):
        await agents.check("two")


async def test_one_agent_that_cannot_be_closed_leaves_no_other_open(tmp_path, monkeypatch):
    closed = []

    class Sticky:
        def __init__(self, context):
            self.name = context.name

        async def aclose(self):
            closed.append(self.name)
            if self.name == "one":
                raise AgentError("stuck")

    monkeypatch.setattr(plugins, "load", lambda group, name: Sticky)
    agents = pool(tmp_path, "one", "two")
    assert agents.get("one") is agents.get("one")
    agents.get("two")
    await agents.aclose()
    await agents.aclose()
    assert closed == ["one", "two"]


@pytest.mark.parametrize(
    ("answer", "digest"),
    [
        ("", ""),
        ("It is **blue**.", "It is blue."),
        ("# Title\n\n- one\n- two", "Title. one two"),
        ("See [the page](http://x/y_(z)) now", "See the page now"),
        ("![chart](a.png) Up.", "Up."),
        ("```python\nprint(1)\n```", "The answer is code or a table: it is on the page."),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", "The answer is code or a table: it is on the page."),
        ("Run it:\n```\nrm -rf /\n", "Run it:"),
        ("## Found it!\n\nHere.", "Found it! Here."),
        ("2 * 3 * 4 = 24", "2 * 3 * 4 = 24"),
        ("<b>Bold</b> move", "Bold move"),
    ],
)
def test_a_digest_is_plain_text(answer, digest):
    assert digest_of(answer) == digest


def test_a_digest_ends_with_a_sentence_and_is_bounded():
    text = "This is a sentence of some length. " * 100
    digest = digest_of(text)
    assert len(digest) <= LONGEST
    assert digest.endswith("length.")
    assert len(digest_of("word " * 1000)) <= LONGEST
    assert digest_of("x" * 5000).endswith("…")
    assert len(digest_of("好" * 300 + "。" + "好" * 600)) == 301


async def test_what_an_agent_needs_is_imported_off_the_loop(tmp_path, monkeypatch):
    """Some of it takes seconds, in which no session would tick."""
    imported_in = []
    monkeypatch.setattr(plugins, "load", lambda group, kind: imported_in.append(threading.current_thread()))
    agents = pool(tmp_path, "one")
    await agents.load("one")
    await agents.load("nobody")
    assert len(imported_in) == 1
    assert imported_in[0] is not threading.main_thread()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("How old is the dog?", "how old, is the DOG", True),
        ("Is it 5 degrees?", "Is it -5 degrees?", False),
        ("Is x < 5?", "Is x > 5?", False),
        ("是几度？", "是几度", True),
    ],
)
def test_what_makes_two_questions_one(one: str, other: str, same: bool) -> None:
    draft = TaskDraft(one)
    assert (draft.same_as("codex", one) == draft.same_as("codex", other)) is same
