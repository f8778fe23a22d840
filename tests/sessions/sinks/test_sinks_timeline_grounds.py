"""What an answer rests on is written with it: the page links it, and forgetting it takes the answer too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from joyvl_server.sessions.query_list import QueryList
from joyvl_server.sessions.sinks.base import SinkContext
from joyvl_server.sessions.sinks.messages import QueryEnded
from joyvl_server.sessions.sinks.timeline import TimelineSink


class Written:
    """Everything around a session that the sink touches for a closed question."""

    def __init__(self) -> None:
        self.queries = QueryList()
        self.events: list[Any] = []
        deps = SimpleNamespace(
            clock=SimpleNamespace(wall=lambda: 1_800_000_000.0),
            timeline=SimpleNamespace(post=lambda event, picture: self.events.append(event)),
            clips=None,
            metrics=SimpleNamespace(events=SimpleNamespace(labels=lambda type: SimpleNamespace(inc=lambda: None))),
            ticks=None,
        )
        context = SimpleNamespace(
            record=SimpleNamespace(id="ses_1", camera_id="cam_1"),
            bus=SimpleNamespace(publish=lambda message: None),
            machine=SimpleNamespace(now=1.0),
            deps=deps,
            source=None,
            watches=None,
            queries=self.queries,
            ticks=None,
        )
        self.sink = TimelineSink(cast(SinkContext, context))

    def closed(self, *, rests_on: tuple[str, ...] = (), note: str | None = None) -> dict[str, Any]:
        view = self.queries.ask("Did anyone come?", 1_800_000_000.0)
        self.queries.rests_on(view.id, rests_on, note)
        closed = self.queries.close(view.id, "answered", "Yes.")
        assert closed is not None
        self.sink.take(QueryEnded(closed, 7))
        data: dict[str, Any] = self.events[-1].data
        assert (data["query_id"], data["reason"], data["epoch"]) == (view.id, "answered", 7)
        return data


def test_a_closed_question_tells_what_its_answer_rests_on():
    data = Written().closed(rests_on=("evt_1", "mem_2"), note="The memory did not answer in time.")
    assert data["rests_on"] == ["evt_1", "mem_2"]
    assert data["note"] == "The memory did not answer in time."


def test_one_that_rests_on_nothing_says_nothing_of_it():
    assert set(Written().closed()) == {"query_id", "reason", "epoch"}
