"""The child's side: `python -I host.py FD MODULE` loads one engine and answers requests, one after the other.

MODULE is a module of ours with `load(options) -> engine`. An engine has methods that take a request and yield pieces:

    def speak(self, request: Request) -> Pieces

and may have `info`, a dict that the server's side gets when it is ready. Between two pieces it is stopped where the
request was cancelled; where a piece takes long, it looks at `request.cancelled`. To fail with words it raises
`EngineFault`. Heavy packages are imported in MODULE alone, and only in this process.

Modules of ours are found without the server's environment: nothing but our own files is put on the path.
"""

from __future__ import annotations

import importlib
import os
import queue
import socket
import sys
import threading
import traceback
import types
from pathlib import Path
from typing import Any


def find_package() -> None:
    """Make `joyvl_server` importable, alone: the packages in the folder around it are none of this environment's."""
    if "joyvl_server" not in sys.modules:
        package = types.ModuleType("joyvl_server")
        package.__path__ = [str(Path(__file__).resolve().parents[2])]
        sys.modules["joyvl_server"] = package


if __name__ == "__main__":
    find_package()

from joyvl_server.kit.processes.messages import ServerConnection  # noqa: E402
from joyvl_server.speech.process.frames import FORMAT  # noqa: E402
from joyvl_server.speech.process.worker import EngineFault, Pieces, Request  # noqa: E402

MAX_WAITING = 64


class EngineHost:
    """One thread reads, so that a ping and a cancel come through while the engine works; the main thread works."""

    def __init__(self, connection: ServerConnection, module: str) -> None:
        self._connection = connection
        self._module = module
        self._work: queue.Queue[Request] = queue.Queue(MAX_WAITING)
        self._open: dict[int, Request] = {}

    def run(self) -> None:
        started = self._connection.receive()
        if started is None:
            return
        engine = self._load(started[0]["options"])
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        self._connection.send({"event": "ready", "info": getattr(engine, "info", {})})
        while True:
            request = self._work.get()
            self._answer(engine, request)
            self._open.pop(request.id, None)

    def _load(self, options: dict[str, Any]) -> Any:  # an engine is whatever the module makes
        try:
            return importlib.import_module(self._module).load(options)
        except EngineFault as fault:
            self._fail(fault)
        except ImportError as error:
            missing = (error.name or "a package").partition(".")[0]
            self._fail(EngineFault(f"The Python package {missing} cannot be imported ({error}).", "unavailable"))
        except Exception as error:  # the edge of a process: whatever an engine raises, people need the reason
            traceback.print_exc()
            self._fail(EngineFault(f"It cannot be loaded: {type(error).__name__}: {error}", "unavailable"))

    def _fail(self, fault: EngineFault) -> None:
        self._connection.send({"event": "failed", "code": fault.code, "message": str(fault)})
        sys.exit(3)

    def _read(self) -> None:
        while (received := self._connection.receive()) is not None:
            head, data = received
            if head["op"] == "ping":
                self._connection.send({"event": "pong"})
            elif head["op"] == "cancel":
                if (request := self._open.get(head["id"])) is not None:
                    request.cancel()
            else:
                self._enqueue(Request(head, data))
        os._exit(0)

    def _enqueue(self, request: Request) -> None:
        try:
            self._open[request.id] = request
            self._work.put_nowait(request)
        except queue.Full:
            self._open.pop(request.id)
            self._connection.send({"id": request.id, "error": {"code": "busy", "message": "Too much waits already."}})

    def _answer(self, engine: object, request: Request) -> None:
        try:
            if not request.cancelled:
                self._send_pieces(getattr(engine, request.method)(request), request)
            self._connection.send({"id": request.id, "end": True})
        except EngineFault as fault:
            self._connection.send({"id": request.id, "error": {"code": fault.code, "message": str(fault)}})
        except Exception as error:  # one request that fails must not end the engine
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}"[:300]
            self._connection.send({"id": request.id, "error": {"code": "failed", "message": message}})

    def _send_pieces(self, pieces: Pieces, request: Request) -> None:
        for head, data in pieces:
            if request.cancelled:
                close = getattr(pieces, "close", None)
                if close is not None:
                    close()
                return
            self._connection.send({"id": request.id, "piece": head}, data)


def main(fd: int, module: str) -> None:
    EngineHost(ServerConnection(socket.socket(fileno=fd), FORMAT), module).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
