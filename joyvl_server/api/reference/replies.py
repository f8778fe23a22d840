"""What a client of the reference's API is answered: the decision in the wire format, and what we know besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from joyvl_server.api.http.encoding import to_json
from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.summary_log import Summary
from joyvl_server.kit.ids import new_id
from joyvl_server.store.ticks.records import TickRecord


@dataclass(frozen=True, slots=True)
class Told:
    """One decision, and what else the session has to say to its client. `said`: what the server itself said since the
    answer before. `chunk`, `tokens`, `memory`: see `MachineRunner.remembered`."""

    tick: TickRecord
    said: tuple[str, ...]
    task: dict[str, Any] | None
    session_id: str
    engine: str
    frames: int
    total_ms: float
    chunk: int = 0
    tokens: int = 0
    memory: Sequence[Summary] = field(default=())

    @property
    def text(self) -> str:
        """On one line: clients of the reference read no second one."""
        spoken = self.tick.text if self.tick.decision != "silent" else ""
        return " ".join(" ".join([*self.said, spoken]).split())

    @property
    def question(self) -> str:
        return " ".join(self.tick.question.split())

    @property
    def content(self) -> str:
        return wire_format.answer(self.text, self.question)


def completion(told: Told, model: str, created: float) -> dict[str, Any]:
    """The reply, as the reference and vLLM-Omni write it."""
    written = wire_format.text_tokens(told.content)
    return {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": int(created),
        "model": model or told.engine,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": told.content},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": told.tokens,
            "completion_tokens": written,
            "total_tokens": told.tokens + written,
        },
        "streamingharness": {
            "main_model": told.engine,
            "raw_content": told.content,
            "timing": {"adapter_total_ms": round(told.total_ms, 1), "vllm_inference_ms": told.tick.score_ms},
            "memory": _memory(told.memory),
        },
        "interaction": _interaction(told),
    }


def events(reply: dict[str, Any]) -> bytes:
    """The same reply as a stream of events: the message in one piece, since it is not written before it is decided."""
    [choice] = reply["choices"]
    common = {**{name: reply[name] for name in ("id", "created", "model")}, "object": "chat.completion.chunk"}
    spoken = {"index": 0, "delta": choice["message"], "logprobs": None, "finish_reason": None}
    last = {**spoken, "delta": {}, "finish_reason": choice["finish_reason"]}
    told = {name: reply[name] for name in ("usage", "streamingharness", "interaction")}
    chunks = (to_json({**common, "choices": [spoken]}), to_json({**common, "choices": [last], **told}), "[DONE]")
    return "".join(f"data: {chunk}\n\n" for chunk in chunks).encode()


def _interaction(told: Told) -> dict[str, Any]:
    tick = told.tick
    action = "delegate" if told.question else "response" if told.text else "silence"
    return {
        "action": action,
        "spoke": action != "silence",
        "text": told.text,
        "delegated_question": told.question or None,
        "delegation": None if told.task is None else _delegation(told.task),
        "chunk_index": told.chunk,
        "frame_index": told.frames,
        "inference_skipped": tick.skipped is not None,
        "latency_ms": round(told.total_ms, 1),
        "memory": _memory(told.memory),
        "session_id": told.session_id,
        "time": tick.t,
        "score": tick.score,
        "threshold": tick.threshold,
        "suppressed": tick.suppressed,
        "watches": list(tick.watches),
    }


def _delegation(task: dict[str, Any]) -> dict[str, Any]:
    return {"task_id": task["id"], **{name: task[name] for name in ("status", "question", "digest", "error")}}


def _memory(summaries: Sequence[Summary]) -> dict[str, Any]:
    """Blocks are the long-term memory; what is not yet part of one is a summary of its own."""
    blocks = [f"<{one.start:.1f} seconds ~ {one.end:.1f} seconds> {one.text}" for one in summaries if one.block]
    return {
        "mid_term_summaries": [
            {
                "chunk_index": one.number,
                "frame_range": f"{one.start:.1f} seconds ~ {one.end:.1f} seconds",
                "summary_text": one.text,
            }
            for one in summaries
            if not one.block
        ],
        "long_term_memory": "\n".join(blocks),
    }
