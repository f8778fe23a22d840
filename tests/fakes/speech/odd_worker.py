"""An engine in a child process that does what a test tells it to."""

from __future__ import annotations

import os
import signal
import threading
import time

from joyvl_server.speech.process.worker import EngineFault


def load(options):
    if options.get("refuse"):
        raise EngineFault("The voice file joe.onnx is broken.", "no_voice")
    if name := options.get("import"):
        __import__(name)
    if options.get("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    return OddEngine()


class OddEngine:
    info = {"voices": ["a"]}

    def echo(self, request):
        yield {"said": request.fields.get("text"), "pid": os.getpid()}, request.data

    def count(self, request):
        for number in range(request.fields["to"]):
            yield {"number": number}, b"\0" * request.fields.get("size", 0)
            time.sleep(request.fields.get("pause", 0))

    def hang(self, request):
        while not (request.cancelled and request.fields.get("gentle")):
            time.sleep(0.01)
        yield from ()

    def compute(self, request):
        """Looks at nothing until it is told to stop."""
        stopped = threading.Event()
        request.stop = stopped.set
        stopped.wait()
        yield from ()

    def die(self, request):
        yield {"number": 0}, b""
        os.kill(os.getpid(), signal.SIGKILL)

    def fail(self, request):
        yield {"number": 0}, b""
        raise EngineFault("There is no voice b.", "no_voice")

    def stumble(self, request):
        raise ZeroDivisionError("by zero")

    def endless(self, request):
        while True:
            yield {}, b"\0" * (1 << 20)
