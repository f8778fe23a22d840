"""The running server, asked over its own API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.server import TIMEOUT_S, RunningServer

DISPENSABLE = ("ticks", "timeline", "voices", "speech recognition", "alerts", "secrets")
"""Parts without which the server watches on: see `/readyz`."""


class RunningServerCheck:
    """See `Check`."""

    name = "server"
    limit_s = 2 * TIMEOUT_S + 5

    def __init__(self, running: RunningServer) -> None:
        self._running = running

    async def run(self) -> Iterable[Finding]:
        running = self._running
        if running.pid is None:
            return [skipped("No server runs on this data folder.", "Start it: joyvl serve")]
        alive = await running.get("/healthz")
        if alive.status == 0:
            return [
                problem(
                    f"A joyvl-server (process {running.pid}) has the data folder, but {alive.text}.",
                    "It may listen elsewhere: give doctor the --config and environment of the server. Else restart it.",
                )
            ]
        ready = await running.get("/readyz")
        if ready.status in (401, 403):
            return [_asked_for_a_key(ready.status, given=running.key is not None)]
        return self._parts(ready.text) or [
            ok(f"The server at {running.url} runs (process {running.pid}), and all its parts are ready.")
        ]

    def _parts(self, body: str) -> list[Finding]:
        found = []
        for name, part in _parts_of(body).items():
            reason = part.get("reason") if isinstance(part, Mapping) else None
            if not reason:
                continue
            tell = problem if not part.get("ready") and name not in DISPENSABLE else warning
            found.append(
                tell(f"The running server says of {name}: {reason}", "docs/troubleshooting.md lists what helps.")
            )
        return found


def _asked_for_a_key(status: int, *, given: bool) -> Finding:
    if not given:
        return warning("The server runs, and asks for a key to say more.", "Give one with --key or JOYVL_KEY.")
    if status == 401:
        return warning("The server runs, and does not know this key.", "Give another one; joyvl keys add makes one.")
    return warning("The server runs, and tells this key nothing.", "Give a key with the role viewer or a higher one.")


def _parts_of(body: str) -> dict[str, Any]:
    try:
        parts = json.loads(body)["parts"]
    except (ValueError, KeyError, TypeError):
        return {}
    return parts if isinstance(parts, dict) else {}
