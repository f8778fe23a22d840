"""A backup of a real server under load, restored into an empty folder: the second server gives the same answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakes.patience import PATIENCE_S, wait_until
from fakes.server.server import ServerProcess

ALWAYS = (
    "/v1/cameras", "/v1/hooks", "/v1/tasks", "/v1/memories?collection=shared&limit=200",
    "/v1/memories?collection=shared&query=blue+box&by=meaning&limit=3",
)  # fmt: skip
CHANGING = {"state", "session", "created_by", "age_s", "score"}
"""fields that tell of now, or of how near a vector is as a number"""


STUCK = """
import sys, time
from joyvl_server.store.backup import archive

class StuckReader(archive._HashingReader):
    def read(self, size=-1):
        if self._file.name.endswith("film.mp4") and self._file.tell():
            print("stuck", flush=True)
            time.sleep(600)
        return super().read(size)

archive._HashingReader = StuckReader
from joyvl_server.cli.main import app
app(sys.argv[1:])
"""
"""a command on a disk that stops answering in the middle of one film"""


def joyvl(*args: str, env: dict[str, str] | None = None, stuck: bool = False) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JOYVL_")}
    command = [sys.executable, *(("-c", STUCK) if stuck else ("-m", "joyvl_server.cli")), *args]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**clean, **(env or {})}
    )


def done(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, out
    return out


def without(answer: Any) -> Any:
    """What does not change with time."""
    if isinstance(answer, dict):
        return {key: without(value) for key, value in answer.items() if key not in CHANGING}
    return [without(item) for item in answer] if isinstance(answer, list) else answer


def moved(answer: Any, old: Path, new: Path) -> Any:
    """The same answer of a server whose files lie elsewhere now."""
    return json.loads(json.dumps(answer).replace(old.as_uri(), new.as_uri()))


def all_events(server: ServerProcess) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = server.call("GET", "/v1/events?limit=500")["data"]
    return events


def filled(server: ServerProcess) -> None:
    camera = server.camera(
        "front", "rtsp://cam:geheim@127.0.0.1:9/x", enabled=False, threshold=0.3,
        watches=[{"text": "when someone comes in", "zones": ["door"]}],
        zones=[{"name": "door", "points": [[0, 0], [0.5, 0], [0.5, 1]]}],
    )  # fmt: skip
    hook = {"name": "Program", "kind": "webhook", "options": {"url": "http://127.0.0.1:9/x"}, "enabled": False}
    server.call("POST", "/v1/hooks", hook)
    for n in range(20):
        server.call("POST", "/v1/memories", {"text": f"Shelf {n} holds the {'blue' if n == 7 else 'grey'} box {n}."})
    server.call("POST", "/v1/memories", {"text": "The door of the front opens inwards.", "camera_id": camera["id"]})


@contextmanager
def load(server: ServerProcess) -> Iterator[list[int]]:
    """Somebody writes memories without a pause: how many so far."""
    written, over = [0], threading.Event()

    def write() -> None:
        while not over.is_set():
            server.call("POST", "/v1/memories", {"text": f"Load number {written[0]}", "collection": "user:load"})
            written[0] += 1
            time.sleep(0.01)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: written[0] > 5)
        yield written
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE_S)


def test_a_backup_under_load_restored_gives_the_same_answers(tmp_path: Path):
    (tmp_path / "backups").mkdir()
    with ServerProcess(tmp_path / "data", demo=True) as server:
        server.wait(lambda: server.call("GET", "/v1/events?type=watch_fired&type=spoke")["data"])
        (demo,) = server.call("GET", "/v1/cameras")["data"]
        server.call("POST", f"/v1/cameras/{demo['id']}/disable")
        filled(server)
        server.wait(lambda: "recording" not in [event["clip"]["state"] for event in all_events(server)])
        events = all_events(server)
        pictures = [event["id"] for event in events if event["picture_url"]][:3]
        assert pictures
        answers = {path: server.call("GET", path) for path in ALWAYS}
        files = {id: server.call("GET", f"/v1/events/{id}/thumbnail.jpg") for id in pictures}
        with load(server) as written:
            before = written[0]
            told = done(joyvl("backup", str(tmp_path / "backups"), "--data-dir", str(tmp_path / "data")))
            assert written[0] > before  # the server went on meanwhile
    (archive,) = (tmp_path / "backups").iterdir()
    assert str(archive) in told
    assert "Keep it where nobody else can read it" in told
    assert "none of the server's files" not in told  # each file of a server is known
    new = tmp_path / "new"
    assert "Start the server" in done(joyvl("restore", str(archive), "--data-dir", str(new)))
    with ServerProcess(new) as server:
        for path, answer in answers.items():
            found = server.call("GET", path)
            assert without(found) == without(moved(answer, tmp_path / "data", new)), path
        kept = {event["id"]: event for event in all_events(server)}
        assert {id: without(kept.get(id)) for id in (e["id"] for e in events)} == {e["id"]: without(e) for e in events}
        assert {id: server.call("GET", f"/v1/events/{id}/thumbnail.jpg") for id in pictures} == files
        load_kept = server.call("GET", "/v1/memories?collection=user:load&limit=200")["data"]
        assert before <= len(load_kept) or len(load_kept) == 200
    second = joyvl("restore", str(archive), "--data-dir", str(new))
    out, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 1
    assert "is not empty" in out


def backup_in_the_middle(target: Path, data: Path) -> subprocess.Popen[str]:
    """One that has written a part of its archive, and stays there however fast the machine is."""
    process = joyvl("backup", str(target / "one.tar"), "--data-dir", str(data), stuck=True)
    assert process.stdout is not None
    while (line := process.stdout.readline()) != "stuck\n":
        assert line, "it ended before"
    (written,) = target.glob(".*/one.tar")
    assert written.stat().st_size > 0
    return process


def test_signals_leave_nothing_half_written(tmp_path: Path):
    with ServerProcess(tmp_path / "data") as server:
        filled(server)
    media = tmp_path / "data" / "media" / "film.mp4"
    media.parent.mkdir(exist_ok=True)
    with media.open("wb") as file:
        file.truncate(2_000_000)
    target = tmp_path / "out"
    target.mkdir()
    for number in (signal.SIGINT, signal.SIGTERM):
        process = backup_in_the_middle(target, tmp_path / "data")
        process.send_signal(number)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, out
        assert "nothing is left" in out
        assert list(target.iterdir()) == []
    process = backup_in_the_middle(target, tmp_path / "data")
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    assert [path.name for path in target.iterdir()] == [".one.tar.unfinished"]
    media.unlink()
    done(joyvl("backup", str(target / "one.tar"), "--data-dir", str(tmp_path / "data")))
    assert [path.name for path in target.iterdir()] == ["one.tar"]
