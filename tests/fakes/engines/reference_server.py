"""A scripted server with the reference's session API, for what a real one does only on bad days.

Completions are scripted as those of `FakeOpenAI`; `resets` and `personas` are what else it was asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fakes.engines.openai_server import FakeOpenAI, Reply, Request, whole


class FakeReference(FakeOpenAI):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.resets: list[str] = []
        """names of the sessions that were reset, in order"""
        self.personas: list[tuple[str, str]] = []
        self.reset_reply: Reply = _json({"status": "reset"})
        self.persona_reply: Reply = _json({"status": "ok"})

    @property
    def sessions(self) -> list[str]:
        """Whose pictures came, in order."""
        return [request.headers["x-streaming-session"] for request in self.completions]

    def _reply(self, request: Request) -> Reply:
        if request.path == "/v1/streaming/reset":
            self.resets.append(request.headers["x-streaming-session"])
            return self.reset_reply
        if request.path == "/v1/streaming/persona":
            self.personas.append((request.headers["x-streaming-session"], request.body["persona"]))
            return self.persona_reply
        return super()._reply(request)


def texts(request: Request) -> list[str]:
    """The words that came with a picture."""
    return [part["text"] for part in request.messages[-1]["content"] if part["type"] == "text"]


def interacts(
    action: str, text: str = "", question: str | None = None, *, content: str = "</silence>", seen: object = None
) -> Reply:
    """A reply as vLLM-Omni's server writes it; `content` is what its message says, `seen` its count of pictures."""
    told = {"action": action, "spoke": action != "silence", "text": text, "delegated_question": question}
    told |= {} if seen is None else {"frame_index": seen}
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return _json({"object": "chat.completion", "choices": [choice], "usage": None, "interaction": told})


def _json(body: Mapping[str, Any]) -> Reply:
    return whole(json.dumps(body).encode(), "application/json")
