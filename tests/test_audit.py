"""The audit of dependencies: what is known is a failure, what could not be asked is not a pass."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import audit_dependencies as audit
import pytest


@contextmanager
def database(answer: Callable[[list[dict]], object], status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            body = json.dumps(answer(asked)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/querybatch"
        finally:
            server.shutdown()


def faults_of(name: str, *ids: str) -> Callable[[list[dict]], object]:
    def answer(asked: list[dict]) -> object:
        vulns = [{"id": one} for one in ids]
        return {"results": [{"vulns": vulns} if query["package"]["name"] == name else {} for query in asked]}

    return answer


@pytest.fixture
def run(monkeypatch, capsys):
    def run(url: str) -> tuple[int, str]:
        monkeypatch.setenv("JOYVL_AUDIT_URL", url)
        return audit.main(), capsys.readouterr().out

    return run


def test_what_runs_here_is_asked_about():
    names = {name.lower() for name, _ in audit.installed()}
    assert {"fastapi", "uvicorn", "cryptography", "aiortc"} <= names
    assert "joyvl-server" not in names


def test_nothing_known_is_fine(run):
    with database(faults_of("none")) as url:
        code, said = run(url)
    assert code == audit.FINE
    assert ", 0 with known faults" in said


def test_a_known_fault_fails_and_is_named_unless_it_is_accepted(run, monkeypatch, tmp_path):
    with database(faults_of("uvicorn", "GHSA-1", "PYSEC-2")) as url:
        code, said = run(url)
        assert code == audit.FAULTS
        assert "https://osv.dev/GHSA-1, https://osv.dev/PYSEC-2" in said
        monkeypatch.setattr(audit, "ACCEPTED", tmp_path / "accepted.txt")
        audit.ACCEPTED.write_text("# why\nGHSA-1 only on Windows\n")
        code, said = run(url)
        assert code == audit.FAULTS
        assert "GHSA-1" not in said
        audit.ACCEPTED.write_text("GHSA-1\nPYSEC-2 # both\n")
        assert run(url)[0] == audit.FINE


@pytest.mark.parametrize("answer", [[], {}, {"results": []}, {"results": None}, "x"])
def test_an_answer_that_is_none_is_no_pass(run, answer):
    with database(lambda asked: answer) as url:
        assert run(url)[0] == audit.NOT_CHECKED


def test_no_database_is_no_pass(run):
    with database(faults_of("none"), status=503) as url:
        assert run(url)[0] == audit.NOT_CHECKED
    code, said = run(url)  # gone
    assert code == audit.NOT_CHECKED
    assert said.startswith("Not checked: ")
