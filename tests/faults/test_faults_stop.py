"""A real server that is told to read its settings again, and to stop, while it has work."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from fakes.server.server import ServerProcess


def test_sighup_reads_the_settings_again(tmp_path: Path):
    config = tmp_path / "joyvl.yaml"
    config.write_text("sessions: {threshold: 0.5}\n")
    with ServerProcess(tmp_path / "data", "--config", str(config)) as server:
        camera = server.camera("away", "rtsp://127.0.0.1:9/none")

        def threshold() -> float:
            return float(server.call("GET", f"/v1/sessions/{camera['session_id']}")["threshold"])

        config.write_text("sessions: {threshold: 0.25}\nserver: {max_connections: 99}\n")
        os.kill(server.pid, signal.SIGHUP)
        server.wait(lambda: threshold() == 0.25)
        server.wait(lambda: any('"server.max_connections"' in line and "need_restart" in line for line in server.log))
        config.write_text("sessions: {threshold: 7}\n")
        os.kill(server.pid, signal.SIGHUP)
        server.wait(lambda: any("nothing is changed" in line and "sessions.threshold" in line for line in server.log))
        assert threshold() == 0.25
        config.unlink()
        os.kill(server.pid, signal.SIGHUP)
        server.wait(lambda: any("nothing is changed" in line and "cannot be read" in line for line in server.log))
        assert server.call("POST", "/v1/reload", expect=422)["code"] == "config"


def test_a_stop_with_requests_and_sessions_under_way(tmp_path: Path):
    """Requests that are being answered get their answers, streams end, sessions are closed, all is in the file."""
    with ServerProcess(tmp_path, demo=True) as server:
        server.wait(lambda: server.call("GET", "/v1/sessions")["data"])
        (session,) = server.call("GET", "/v1/sessions")["data"]
        server.wait(lambda: len(server.ticks(session["id"])) >= 3)
        over, written, refused = threading.Event(), [], []

        def write() -> None:
            while not over.is_set():
                try:
                    written.append(server.call("POST", "/v1/memories", {"text": f"Number {len(written)}"})["id"])
                except (OSError, AssertionError) as error:
                    refused.append(error)
                    return

        def listen() -> None:
            seen.extend(server.updates(session["id"]))

        seen: list[dict[str, Any]] = []
        threads = [threading.Thread(target=write), threading.Thread(target=listen)]
        for thread in threads:
            thread.start()
        server.wait(lambda: len(written) > 3 and seen)
        assert server.stop() == 0
        over.set()
        for thread in threads:
            thread.join()
        assert not (tmp_path / "joyvl.db-wal").exists()  # closed in order
        assert "not everything stopped in time" not in "".join(server.log)
    with ServerProcess(tmp_path, demo=True) as server:
        kept = {memory["id"] for memory in server.call("GET", "/v1/memories?collection=shared&limit=200")["data"]}
        assert set(written[-150:]) <= kept  # whoever got an answer finds it again
        (again,) = server.call("GET", "/v1/cameras")["data"]
        assert again["session_id"] == session["id"]
        kinds = json.dumps([event["type"] for event in server.call("GET", "/v1/events?limit=100")["data"]])
        assert "session_started" in kinds or again["enabled"]
