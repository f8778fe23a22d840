"""Which server commands ask that talk to one, and what they say where it is none, or the key is none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fakes.patience import PATIENCE_S
from joyvl_server.api.listening.started import told_at_start
from joyvl_server.cli.connecting.address import chosen_server, key_headers
from joyvl_server.cli.main import app
from joyvl_server.core.errors import JoyvlError
from joyvl_server.settings import Settings
from joyvl_server.store.folder import DataFolder, tell_start

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\nConnection: close\r\n\r\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "of_nobody"))
    for name in ("JOYVL_URL", "JOYVL_DATA_DIR", "JOYVL_CONFIG", "JOYVL_KEY"):
        monkeypatch.delenv(name, raising=False)


def run(*words: str, **env: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*words], env=env)
    return result.exit_code, result.output


async def test_the_server_of_the_data_folder_is_found(tmp_path: Path):
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        writer.write(ANSWER + b'{"data":[]}')
        await writer.drain()
        writer.close()

    folder = DataFolder.open(tmp_path)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        await asyncio.to_thread(tell_start, tmp_path, told_at_start(Settings(server={"host": "0.0.0.0"}), port))
        async with asyncio.timeout(PATIENCE_S):
            env: dict[str, Any] = {"JOYVL_DATA_DIR": str(tmp_path)}
            code, out = await asyncio.to_thread(run, "cameras", "list", **env)
            assert (code, out.startswith("No camera yet")) == (0, True), out
            assert asked == [b"GET /v1/cameras?limit=200 HTTP/1.1\r\n"]
            # What is named counts.
            code, out = await asyncio.to_thread(run, "cameras", "list", "--server", "http://127.0.0.1:1", **env)
            assert code == 1
            code, out = await asyncio.to_thread(run, "cameras", "list", JOYVL_URL="http://127.0.0.1:1", **env)
            assert code == 1
        assert len(asked) == 1
    finally:
        server.close()
        folder.close()


def test_nobody_at_an_address_is_told_with_where_to_name_another():
    code, out = run("cameras", "list", JOYVL_URL="http://127.0.0.1:1/")
    assert code == 1
    assert "No server answers at http://127.0.0.1:1. Is it running?" in out
    assert "JOYVL_URL" in out


def test_without_a_word_it_is_the_server_of_the_settings(tmp_path, monkeypatch):
    assert chosen_server("") == "http://127.0.0.1:8099"
    monkeypatch.setenv("JOYVL_SERVER__PORT", "8123")
    monkeypatch.setenv("JOYVL_SERVER__HOST", "::")
    assert chosen_server("") == "http://127.0.0.1:8123"
    monkeypatch.setenv("JOYVL_SERVER__PORT", "many")
    assert chosen_server("") == "http://127.0.0.1:8099"


@pytest.mark.parametrize(
    "url", ["foo", "127.0.0.1:8099", "ftp://127.0.0.1", "http://", "http://h:99999", "http://[::1"]
)
@pytest.mark.parametrize(
    "command", [("cameras", "list"), ("memory", "export"), ("hooks", "list"), ("config", "reload")]
)
def test_what_is_no_address(url, command):
    code, out = run(*command, JOYVL_URL=url)
    assert (code, out) == (
        2,
        f"joyvl: {url} is no address. Write one like http://127.0.0.1:8099 or https://joyvl.lan.\n",
    )


@pytest.mark.parametrize("command", [("cameras", "list"), ("memory", "export"), ("doctor", "port")])
@pytest.mark.parametrize("key", ["wröng", "ключ", "two\nlines"])
def test_a_key_that_no_key_can_be(command, key):
    code, out = run(*command, "--key", key)
    assert code == 1
    assert out == (
        "joyvl: This is no API key: a key has only ASCII letters, digits and signs. Look at --key, JOYVL_KEY.\n"
    )
    assert key_headers(None) == key_headers("") == {}
    with pytest.raises(JoyvlError, match="only ASCII"):
        key_headers(key)
