"""The responses that a client asked for with `response.create` and that have not come yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joyvl_server.api.realtime import events
from joyvl_server.api.realtime.client_error import ClientError
from joyvl_server.api.realtime.events import Event
from joyvl_server.kit.ids import new_id

MAX_WANTED = 16
SKIPS_THAT_PASS = ("busy", "late", "no_frame")
SENTENCES = {
    "expired": "Nothing was said to it in time.",
    "withdrawn": "The question was withdrawn.",
}


class RequestedResponses:
    """Each gets its response: what is said next, or an empty one where nothing is said."""

    def __init__(self) -> None:
        self._questions: dict[str, bool] = {}
        """open questions that wait for their response, by id"""
        self._decisions = 0
        """how often a decision was asked for, without words"""

    def __len__(self) -> int:
        return len(self._questions) + self._decisions

    def check(self) -> None:
        """Raises `ClientError` where too many wait."""
        if len(self) >= MAX_WANTED:
            raise ClientError(f"{MAX_WANTED} responses are being waited for.", "too_many_responses")

    def question(self, query_id: str) -> None:
        self._questions[query_id] = True

    def decision(self) -> None:
        self._decisions += 1

    def withdraw(self) -> list[str]:
        """The client wants none of them. Returns the questions."""
        questions = list(self._questions)
        self._questions.clear()
        self._decisions = 0
        return questions

    def take(self, type: str, data: Mapping[str, Any]) -> list[Event]:
        """What an update of the session means for them."""
        if type == "response.created":
            self._decisions = 0
        elif type == "query.closed" and self._questions.pop(data["query"]["id"], False):
            status = data["query"]["status"]
            if status in SENTENCES:
                return self._empty("failed", (status, SENTENCES[status]))
            if status != "answered":  # it became a watch, or ended one
                return self._empty("completed")
        elif self._decisions and type in ("response.listen", "response.skip"):
            skipped = data["tick"].skipped
            if skipped not in SKIPS_THAT_PASS:
                self._decisions -= 1
                error = None if skipped in (None, "still") else (str(skipped), "There was nothing to decide about.")
                return self._empty("completed" if error is None else "failed", error)
        return []

    def _empty(self, status: str, error: tuple[str, str] | None = None) -> list[Event]:
        """It stayed silent."""
        response_id = new_id("resp")
        return [
            {"type": "response.created", "response": events.empty_response(response_id, "in_progress")},
            {"type": "response.done", "response": events.empty_response(response_id, status, error)},
        ]
