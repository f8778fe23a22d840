"""`joyvl models get` and `list`, against a hub of the test's own."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from joyvl_server.cli.main import app
from joyvl_server.speech.asr.whisper.options import TURN_FILE, installed_models

COMMIT = "a" * 40
ONNX = {"Xenova/multilingual-e5-small": {"onnx/model_quantized.onnx": b"e5", "onnx/model.onnx": b"larger e5"}}
"""one folder deeper"""
FILES = {
    "Systran/faster-whisper-tiny": {"model.bin": b"weights" * 1000, "config.json": b"{}", "tokenizer.json": b"{1}",
                                    "vocabulary.txt": b"a\nb\n", "README.md": b"read me"},
    "Systran/faster-whisper-base": {"model.bin": b"other weights", "config.json": b"{}", "tokenizer.json": b"{1}"},
    "Systran/faster-whisper-small": {"config.json": b"{}"},
    "pipecat-ai/smart-turn-v3": {"smart-turn-v3.2-cpu.onnx": b"turn", "smart-turn-v3.2-gpu.onnx": b"large"},
    "Xenova/multilingual-e5-small": {"tokenizer.json": b"{2}"},
}  # fmt: skip


class Hub(BaseHTTPRequestHandler):
    """As the Hugging Face Hub lists and sends files: large ones with their SHA-256, small ones with their blob id."""

    def do_GET(self):
        self.server.asked.append(self.path)
        parts = self.path.strip("/").split("/")
        at = 2 if parts[0] == "api" else 0
        files = FILES.get("/".join(parts[at : at + 2]))
        if files is None:
            self._send(404, b"")
        elif parts[0] != "api":
            self._send(200, (files | ONNX.get("/".join(parts[:2]), {}))["/".join(parts[4:])])
        elif parts[4] == "revision":
            self._send(200, json.dumps({"sha": COMMIT}).encode())
        else:
            files = ONNX.get("/".join(parts[2:4]), {}) if parts[-1] == "onnx" else files
            self._send(200, json.dumps([self._entry(name, data) for name, data in files.items()]).encode())

    def _entry(self, name, data):
        entry = {"type": "file", "path": name, "size": len(data), "oid": blob_id(data)}
        if name.endswith((".bin", ".onnx")):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
        return entry

    def _send(self, status, data):
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def blob_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def joyvl(tmp_path, monkeypatch):
    monkeypatch.delenv("JOYVL_CONFIG", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)

    def run(*arguments):
        return CliRunner().invoke(app, ["models", *arguments, "--data-dir", str(tmp_path)])

    return run


def test_models_are_fetched_once_and_listed(hub, joyvl, tmp_path, monkeypatch):
    result = joyvl("get", "whisper-tiny", "smart-turn", "--mirror", hub.url)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "models/whisper-tiny"
    assert {path.name for path in folder.iterdir()} == {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt"}
    assert (folder / "model.bin").read_bytes() == FILES["Systran/faster-whisper-tiny"]["model.bin"]
    assert (tmp_path / "models" / TURN_FILE).read_bytes() == b"turn"
    assert installed_models(tmp_path / "models") == ["tiny"]
    assert "model.bin: 100 %" in result.output
    assert f"/Systran/faster-whisper-tiny/resolve/{COMMIT}/model.bin" in hub.asked
    hub.asked.clear()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    again = joyvl("get", "whisper-tiny")
    assert "there already" in again.output
    assert not [path for path in hub.asked if "/resolve/" in path]
    listed = joyvl("list").output.splitlines()
    assert [line.split()[1] for line in listed if line.startswith("* ")] == ["whisper-tiny", "smart-turn"]


def test_weights_of_the_memory_are_fetched_too(hub, joyvl, tmp_path):
    result = joyvl("get", "e5", "--mirror", hub.url)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "models/e5"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "tokenizer.json": b"{2}", "model_quantized.onnx": b"e5"
    }  # fmt: skip
    assert "* e5 " in joyvl("list").output
    assert joyvl("get", "minilm", "--mirror", hub.url).exit_code == 1


def test_another_file_than_the_one_we_know_is_not_fetched(hub, joyvl, tmp_path):
    result = joyvl("get", "whisper-base", "--mirror", hub.url)
    assert (result.exit_code, "another model.bin" in result.output) == (1, True)
    assert installed_models(tmp_path / "models") == []


def test_what_the_hub_does_not_have_is_told(hub, joyvl):
    result = joyvl("get", "whisper-small", "--mirror", hub.url)
    assert (result.exit_code, "no longer has model.bin, tokenizer.json" in result.output) == (1, True)
    assert joyvl("get", "whisper-tiny.en", "--mirror", hub.url).exit_code == 1


def test_an_unknown_name_is_answered_with_the_names_there_are(joyvl):
    result = joyvl("get", "whisper-huge")
    assert (result.exit_code, "whisper-base" in result.output) == (2, True)
