"""What somebody sees who has just started the server: the demo camera, and the watch that the page proposes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.server.server import ServerProcess

UNTIL_S = 26.0
"""in the demo clip somebody comes after 3 s, goes after 19, and the next one comes after 24"""


@pytest.mark.slow
def test_the_watch_that_the_page_proposes_fires_on_arrivals_only(tmp_path: Path):
    with ServerProcess(tmp_path, demo=True) as server:
        server.wait(lambda: server.call("GET", "/v1/cameras")["data"])
        (camera,) = server.call("GET", "/v1/cameras")["data"]
        session = camera["session_id"]
        watch = server.call("POST", f"/v1/sessions/{session}/watches", {"text": "Tell me when someone comes in"})
        assert watch["kinds"] == ["enter"]

        def at() -> float:
            return max((tick["t"] for tick in server.ticks(session)), default=0.0)

        server.wait(lambda: at() > UNTIL_S)
        ticks = [tick for tick in server.ticks(session) if tick["kind"]]
        fired = server.call("GET", "/v1/events?type=watch_fired")["data"]
    assert {event["data"]["kind"] for event in fired} == {"enter"}
    assert [event["watches"] for event in fired] == [[{"id": watch["id"], "name": watch["name"]}]] * len(fired)
    assert {tick["suppressed"] for tick in ticks if tick["kind"] == "leave"} == {"kind"}
    assert {tick["kind"] for tick in ticks if tick["decision"] == "speak" and tick["watches"]} == {"enter"}
