"""What the terminal says of where the server is to be opened."""

from __future__ import annotations

import pytest

from joyvl_server import app
from joyvl_server.api.listening import addresses
from joyvl_server.api.listening.addresses import in_the_network, on_this_machine
from joyvl_server.settings import Settings

OWN = ["192.168.1.5", "10.0.0.1", "2001:db8::5"]


@pytest.fixture(autouse=True)
def own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "host_addresses", lambda: OWN)


@pytest.mark.parametrize(
    ("url", "here", "there"),
    [
        ("http://127.0.0.1:8099", "http://127.0.0.1:8099", []),
        ("https://192.168.1.5:8099", "https://192.168.1.5:8099", []),
        ("https://0.0.0.0:8099", "https://127.0.0.1:8099", ["https://192.168.1.5:8099", "https://10.0.0.1:8099"]),
        ("http://[::]:8099", "http://[::1]:8099", ["http://[2001:db8::5]:8099"]),
    ],
)
def test_only_addresses_that_answer_are_told(url: str, here: str, there: list[str]):
    assert on_this_machine(url) == here
    assert in_the_network(url) == there


@pytest.mark.parametrize(("public_url", "lines"), [("", 2), ("https://home.example", 1)])
def test_the_start_tells_them_over_http_too(capsys: pytest.CaptureFixture[str], public_url: str, lines: int):
    app._told("http://0.0.0.0:8099", None, Settings(server={"host": "0.0.0.0", "public_url": public_url}), None)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "joyvl-server is watching at http://127.0.0.1:8099"
    assert said[1:] == ["In your network: http://192.168.1.5:8099, http://10.0.0.1:8099"][: lines - 1]
