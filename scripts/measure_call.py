#!/usr/bin/env python
"""How old a webcam's picture is at the engine, and how long a newcomer waits for the first decision.

    .venv/bin/python scripts/measure_call.py age --size 1280x720 --seconds 60
    .venv/bin/python scripts/measure_call.py age --size 1280x720 --seconds 60 --webcam fake
    .venv/bin/python scripts/measure_call.py first --rounds 10

Real Chromium, the real server, and an engine behind `openai` that answers at once. Run it on a machine at rest.

`age`: the page's webcam is a canvas that draws the time into each picture as black and white fields; the engine reads
it out of the JPEG it gets. So it is the whole way, with the browser's encoder: from drawn to the request read. Beside
it stands what the server counts itself, which cannot see what happened before the picture's packets came.
With `--webcam fake` it is Chromium's own fake webcam, which takes less of the processor; then there is only the latter.

`first`: Chromium's own fake webcam. From the start of loading the page to the first decision shown there; the button is
clicked as soon as it can be.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from fakes.server.browser import chromium, start_call, stop_call  # noqa: E402
from fakes.server.server import ServerProcess  # noqa: E402

MODELS = b'{"object": "list", "data": [{"id": "instant", "object": "model"}]}'
SILENT = (
    b'data: {"choices": [{"index": 0, "delta": {"content": "</silence>"}, "finish_reason": "stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
BITS = 24
WARM_UP_S = 8.0
WEBCAM = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=fps=30")

SIZED = """
const media = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = ({ video }) =>
  media({ video: { ...video, width: { exact: SIZE[0] }, height: { exact: SIZE[1] } } });
"""

CANVAS = """
navigator.mediaDevices.getUserMedia = async ({ video }) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = SIZE;
  const [w, h, pen] = [canvas.width, canvas.height, canvas.getContext("2d")];
  const draw = () => {
    const now = Math.floor(performance.timeOrigin + performance.now()) % 2 ** BITS;
    pen.fillStyle = "#68a";
    pen.fillRect(0, 0, w, h);
    for (let n = 0; n < 12; n += 1) {
      pen.fillStyle = `hsl(${n * 30} 60% 50%)`;
      pen.fillRect((n * 97 + now / (4 + n)) % w, h / 4 + n * h / 18, w / 10, h / 12);
    }
    for (let bit = 0; bit < BITS; bit += 1) {
      pen.fillStyle = Math.floor(now / 2 ** bit) % 2 ? "#fff" : "#000";
      pen.fillRect(bit * w / BITS, 0, w / BITS, h / 10);
    }
    stream.getVideoTracks()[0].requestFrame();
  };
  const stream = canvas.captureStream(0);
  setInterval(draw, 1000 / (video.frameRate?.ideal ?? 30));
  return stream;
};
"""

STAMPS = """
window.stamps = {};
const stamp = (name) => (window.stamps[name] ??= performance.now());
const media = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const got = await media(wanted);
  stamp("webcam");
  return got;
};
const reach = window.fetch;
window.fetch = async (...asked) => {
  const dials = String(asked[0]).endsWith("/realtime/calls");
  if (dials) stamp("offered");
  const answer = await reach(...asked);
  if (dials) stamp("answered");
  return answer;
};
const look = () => {
  const button = [...document.querySelectorAll("button.primary")].find((b) => b.textContent === "Use this webcam");
  if (button && !window.stamps.clicked) { stamp("clicked"); button.click(); }
  if (document.querySelector(".live[data-call=connected]")) stamp("connected");
  const marks = document.querySelector(".strip-marks");
  if (marks && marks.dataset.silent !== "0") stamp("decided");
};
new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
"""


class Engine:
    """Answers everything with silence. `ages`: milliseconds from drawn to read, of each request's newest picture."""

    def __init__(self) -> None:
        self.ages: list[float] = []
        self.unread = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = next((int(x[15:]) for x in head.split("\r\n") if x.startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                now = time.time()
                posted = head.startswith("post")
                kind, reply = ("text/event-stream", SILENT) if posted else ("application/json", MODELS)
                writer.write(
                    f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(reply)}\r\n\r\n".encode()
                )
                writer.write(reply)
                await writer.drain()
                if posted:
                    self.note(body, now)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def note(self, body: bytes, now: float) -> None:
        begin = body.rfind(b"data:image/jpeg;base64,")
        if begin < 0:
            return
        encoded = body[begin + 23 : body.index(b'"', begin)]
        grey = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_GRAYSCALE)
        height, width = grey.shape
        drawn = 0
        for bit in range(BITS):
            field = grey[height // 40 : height // 20, int((bit + 0.3) * width / BITS) : int((bit + 0.7) * width / BITS)]
            drawn |= int(field.mean() > 127) << bit
        age = (int(now * 1000) - drawn) % 2**BITS
        if age < 5000:
            self.ages.append(age)
        else:
            self.unread += 1

    async def serve(self, ready: threading.Event, port: list[int]) -> None:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0, limit=2**24)
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()


@contextmanager
def serving() -> Iterator[tuple[Engine, ServerProcess]]:
    engine, ready, port = Engine(), threading.Event(), list[int]()
    threading.Thread(target=lambda: asyncio.run(engine.serve(ready, port)), daemon=True).start()
    ready.wait(10)
    options = {"openai": {"base_url": f"http://127.0.0.1:{port[0]}/v1", "model": "instant"}}
    env = {"JOYVL_ENGINE__NAME": "openai", "JOYVL_ENGINE__OPTIONS": json.dumps(options)}
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), env=env) as server:
        yield engine, server


def measure_age(size: str, seconds: float, webcam: str) -> dict[str, Any]:
    script, flags = (CANVAS, ()) if webcam == "canvas" else (SIZED, WEBCAM)
    script = script.replace("SIZE", json.dumps([int(n) for n in size.split("x")])).replace("BITS", str(BITS))
    with serving() as (engine, server), chromium(*flags) as browser:
        context = browser.new_context()
        context.add_init_script(script)
        page = context.new_page()
        session = start_call(page, server.url)
        page.wait_for_timeout(WARM_UP_S * 1000)
        engine.ages.clear()
        engine.unread = 0
        before = len(server.ticks(session))
        page.wait_for_timeout(seconds * 1000)
        ages, unread = list(engine.ages), engine.unread
        ticks = server.ticks(session)[before:]
        state = server.call("GET", f"/v1/sessions/{session}")["state"]
        stop_call(page)
    timings = [tick["timings"] for tick in ticks if tick["skipped"] is None]
    counted = [t["total_ms"] - t["score_ms"] for t in timings]
    return {
        "size": f"{state['width']}x{state['height']}",
        "fps": state["fps"],
        "pictures": len(ages),
        "unread": unread,
        "skipped": len(ticks) - len(timings),
        "drawn_to_engine_ms": spread(ages) if webcam == "canvas" else None,
        "counted_by_the_server_ms": spread(counted),
    }


def measure_first(rounds: int) -> dict[str, Any]:
    stamps: dict[str, list[float]] = {}
    with serving() as (_, server), chromium(*WEBCAM) as browser:
        for _ in range(rounds):
            context = browser.new_context()
            context.add_init_script(STAMPS)
            page = context.new_page()
            page.goto(server.url)
            page.wait_for_function("() => window.stamps.decided", timeout=20_000)
            for name, value in page.evaluate("window.stamps").items():
                stamps.setdefault(name, []).append(value)
            stop_call(page)
            context.close()
    return {"rounds": rounds, **{f"{name}_ms": spread(values) for name, values in stamps.items()}}


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))]) for name, share in at.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["age", "first"])
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--webcam", choices=["canvas", "fake"], default="canvas")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    result = measure_age(args.size, args.seconds, args.webcam) if args.what == "age" else measure_first(args.rounds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
