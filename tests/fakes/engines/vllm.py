"""A program that behaves as `vllm serve` does, for engine `vllm`: slow starts, health, deaths of several kinds.

`install(folder)` makes a Python for `engine.options.vllm.python` that runs it. Each start takes the next line of
`folder/script` (the last one stays): words of `hang`, `oom`, `kv`, `crash`, `slow=SECONDS`, `sick=SECONDS` (health
fails after so long), `deaf` (health never answers). What it was called with is appended to `folder/calls`, a JSON
object a line.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()

OOM = """\
(EngineCore pid=7) ERROR [core.py:1510] EngineCore failed to start.
(EngineCore pid=7) ERROR [core.py:1510] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 148.00 MiB.
"""
KV = """\
(EngineCore pid=7) ERROR ValueError: To serve at least one request with the model's max seq len (32768), \
(4.50 GiB KV cache is needed, which is larger than the available KV cache memory (2.13 GiB). Based on the available \
memory, the estimated maximum model length is 15488.
"""
AFTER = "RuntimeError: Engine core initialization failed. See root cause above.\n" + "  at some line\n" * 150


def install(folder: Path, *lives: str) -> Path:
    """A Python that is vLLM, whose lives go as told."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "script").write_text("\n".join(lives or ("",)))
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE} {folder} "$@"\n')
    python.chmod(0o755)
    return python


def calls(folder: Path) -> list[dict[str, Any]]:
    """What each start was called with: `argv`, `env`, `pid`."""
    path = folder / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    key = ""
    model = ""
    sick_from = float("inf")

    def do_GET(self) -> None:
        if self.path == "/health":
            self._json(200 if time.monotonic() < self.sick_from else 503, {})
        elif self.path == "/v1/models":
            self._json(200, {"object": "list", "data": [{"id": self.model, "max_model_len": 32768}]})
        else:
            self._json(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.startswith("/v1") and self.headers.get("authorization") != f"Bearer {self.key}":
            self._json(401, {"error": {"message": "Unauthorized"}})
        elif self.path != "/v1/chat/completions":
            self._json(404, {"detail": "Not Found"})
        elif body.get("stream"):
            self._stream("</silence>")
        else:
            message = {"role": "assistant", "content": "</silence>"}
            self._json(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {}})

    def _stream(self, text: str) -> None:
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        body = f"data: {json.dumps({'choices': [choice]})}\n\ndata: [DONE]\n\n".encode()
        self._send(200, "text/event-stream", body)

    def _json(self, status: int, content: Any) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def main(folder: Path, argv: list[str]) -> None:
    with (folder / "calls").open("a") as log:
        log.write(json.dumps({"argv": argv, "env": dict(os.environ), "pid": os.getpid()}) + "\n")
    script = (folder / "script").read_text().split("\n")
    number = len(calls(folder)) - 1
    life = dict(word.partition("=")[::2] for word in script[min(number, len(script) - 1)].split())
    value = {name: following for name, following in zip(argv, argv[1:], strict=False) if name.startswith("--")}

    print("(EngineCore pid=7) INFO [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: …", flush=True)
    print("(Worker pid=8) INFO [gpu_model_runner.py:5040] Starting to load model …", flush=True)
    for done in (2, 4):  # the last one has no end yet, as with real bars
        sys.stdout.write(f"\rLoading safetensors checkpoint shards:  {20 * done}% Completed | {done}/5")
    sys.stdout.flush()
    time.sleep(float(life.get("slow", 0)))
    for word, text in (("oom", OOM), ("kv", KV), ("crash", "odd.OddError: the moon is full\n")):
        if word in life:
            print(text + AFTER, flush=True)
            sys.exit(1)
    print("\n(EngineCore pid=7) INFO [kv_cache_utils.py:2327] GPU KV cache size: 80,682 tokens", flush=True)
    if "hang" in life:
        time.sleep(600)
    Answers.key, Answers.model = os.environ.get("VLLM_API_KEY", ""), value["--served-model-name"]
    Answers.sick_from = time.monotonic() + float(life.get("sick", "inf"))
    server = ThreadingHTTPServer((value["--host"], int(value["--port"])), Answers)
    if "deaf" in life:
        time.sleep(600)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"(APIServer pid=9) INFO Starting vLLM server on http://127.0.0.1:{value['--port']}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
