"""A model on loopback that does as scripted, in the three dialects that agents speak: chat completions, responses, and
Anthropic's messages. Asked for the first time in a turn it calls the agent's tool for shell commands; told what came of
that, it gives its answer.

`python model_server.py COMMAND` prints its address, and ends with stdin.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SHELLS = ("bash", "Bash", "shell", "shell_command", "exec_command", "exec", "local_shell", "run_shell_command")
ANSWER = "It is a red van. Its plate says AB 123."


class ScriptedModel:
    """`command`: what it has the shell do; None: it answers at once. `requests`: the bodies of what it was asked.
    A context manager: it listens inside."""

    def __init__(self, command: str | None = None, answer: str = ANSWER) -> None:
        self.command = command
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.model = self  # type: ignore[attr-defined]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> ScriptedModel:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def tool_call(self, tools: dict[str, dict[str, Any]]) -> tuple[str, dict[str, Any]] | None:
        """Name and arguments, as the schema of the agent's own tool wants them."""
        name = next((shell for shell in SHELLS if shell in tools), None)
        if self.command is None or name is None:
            return None
        schema = tools[name] or {}
        arguments: dict[str, Any] = {}
        for key, about in (schema.get("properties") or {}).items():
            if key in ("command", "cmd"):
                listed = about.get("type") == "array"
                arguments[key] = ["bash", "-c", self.command] if listed else self.command
            elif key in schema.get("required", ()):
                arguments[key] = "run it" if about.get("type") == "string" else 0
        return name, arguments


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._json({})

    def do_GET(self) -> None:
        self._json({"object": "list", "data": [{"id": "scripted", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        path = self.path.split("?")[0]
        model: ScriptedModel = self.server.model  # type: ignore[attr-defined]
        model.requests.append({"path": path, **body})
        try:
            if path.endswith("/chat/completions"):
                self._reply(body, _chat_whole(model, body), _chat_events(model, body))
            elif path.endswith("/responses"):
                self._reply({"stream": True}, {}, _response_events(model, body))
            elif path.endswith("/messages"):
                self._reply(body, _message(model, body), _message_events(model, body))
            else:
                self._json({"input_tokens": 10})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _reply(self, body: dict[str, Any], whole: dict[str, Any], events: Iterator[dict[str, Any] | str]) -> None:
        if not body.get("stream"):
            self._json(whole)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in events:
            name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
            data = event if isinstance(event, str) else json.dumps(event)
            self.wfile.write(f"{name}data: {data}\n\n".encode())
            self.wfile.flush()
        self.close_connection = True

    def _json(self, value: dict[str, Any]) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


# --------------------------------------------------------------------------------------------------- chat completions


def _chat_call(model: ScriptedModel, body: dict[str, Any]) -> dict[str, Any]:
    """The message of the model."""
    tools = {tool["function"]["name"]: tool["function"].get("parameters") for tool in body.get("tools") or []}
    roles = [message["role"] for message in body["messages"]]
    since = roles[len(roles) - roles[::-1].index("assistant") :] if "assistant" in roles else []
    told = "tool" in since  # some agents add words of their own after it
    call = None if told else model.tool_call(tools)
    if call is None:
        return {"role": "assistant", "content": model.answer}
    function = {"name": call[0], "arguments": json.dumps(call[1])}
    calls = [{"index": 0, "id": f"call_{len(body['messages'])}", "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _chat_whole(model: ScriptedModel, body: dict[str, Any]) -> dict[str, Any]:
    message = _chat_call(model, body)
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "chat", "object": "chat.completion", "created": 1, "model": "scripted", "choices": [choice]}


def _chat_events(model: ScriptedModel, body: dict[str, Any]) -> Iterator[dict[str, Any] | str]:
    choice = _chat_whole(model, body)["choices"][0]
    base = {"id": "chat", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    yield {**base, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}]}
    yield {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}
    yield {**base, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
    yield "[DONE]"


# ---------------------------------------------------------------------------------------------------------- responses


def _response_events(model: ScriptedModel, body: dict[str, Any]) -> Iterator[dict[str, Any] | str]:
    given = body.get("input") or []
    told = bool(given) and str(given[-1].get("type", "")).endswith("_output")
    tools = {tool.get("name") or tool["type"]: tool.get("parameters") or {} for tool in body.get("tools") or []}
    call = None if told else model.tool_call(tools)
    shell = {"id": "response", "object": "response", "model": "scripted", "status": "in_progress", "output": []}
    yield {"type": "response.created", "response": shell}
    if call is None:
        text = {"type": "output_text", "text": model.answer, "annotations": []}
        item: dict[str, Any] = {"type": "message", "id": "item", "role": "assistant", "content": [text]}
        yield {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}}
        delta = {"item_id": "item", "output_index": 0, "content_index": 0, "delta": model.answer}
        yield {"type": "response.output_text.delta", **delta}
    else:
        item = {"type": "function_call", "id": "item", "call_id": f"call_{len(given)}", "name": call[0]}
        item["arguments"] = json.dumps(call[1])
    item["status"] = "completed"
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    yield {"type": "response.completed", "response": {**shell, "status": "completed", "output": [item], "usage": usage}}


# ----------------------------------------------------------------------------------------------------------- messages


def _message(model: ScriptedModel, body: dict[str, Any]) -> dict[str, Any]:
    content = body["messages"][-1]["content"]
    told = isinstance(content, list) and any(block.get("type") == "tool_result" for block in content)
    tools = {tool["name"]: tool.get("input_schema") or {} for tool in body.get("tools") or [] if "name" in tool}
    call = None if told else model.tool_call(tools)
    block: dict[str, Any] = {"type": "text", "text": model.answer}
    if call is not None:
        block = {"type": "tool_use", "id": f"toolu_{len(body['messages'])}", "name": call[0], "input": call[1]}
    return {
        "id": "msg", "type": "message", "role": "assistant", "model": "scripted", "content": [block],
        "stop_reason": "end_turn" if call is None else "tool_use", "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }  # fmt: skip


def _message_events(model: ScriptedModel, body: dict[str, Any]) -> Iterator[dict[str, Any] | str]:
    message = _message(model, body)
    [block] = message["content"]
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
    if block["type"] == "text":
        empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


if __name__ == "__main__":
    with ScriptedModel(sys.argv[1]) as scripted:
        print(scripted.url, flush=True)
        sys.stdin.read()
