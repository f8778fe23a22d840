"""The labelled people, the whole way: what was asked about them is answered from what the timeline finds."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from fakes.media.footage import TOLERANCE_S, labels
from fakes.server.browser import Watched, chromium
from fakes.server.server import ServerProcess

pytestmark = [pytest.mark.clips, pytest.mark.browser]

VIDEO = "people-one-by-one.mp4"
SPEED = 4.0
ZONE = ZoneInfo("Asia/Shanghai")
HOW_MANY, THIRD = "How many people came in?", "When did the third one leave?"


def found(server: ServerProcess, camera_id: str, kind: str) -> list[dict[str, Any]]:
    """What the timeline has of this kind, oldest first."""
    page = server.call("GET", f"/v1/events?camera_id={camera_id}&type=spoke&type=watch_fired&limit=200")["data"]
    return [event for event in reversed(page) if event["kind"] == kind]


def clock(event: dict[str, Any]) -> str:
    return f"{datetime.fromisoformat(event['at'].replace('Z', '+00:00')).astimezone(ZONE):%H:%M:%S}"


def ask(server: ServerProcess, session_id: str, text: str) -> dict[str, Any]:
    path = f"/v1/sessions/{session_id}/queries"
    asked = server.call("POST", path, {"text": text})
    server.wait(lambda: server.call("GET", f"{path}/{asked['id']}")["status"] == "answered")
    answered: dict[str, Any] = server.call("GET", f"{path}/{asked['id']}")
    return answered


@pytest.fixture
def browser() -> Any:
    with chromium() as opened:
        yield opened


def test_both_questions_are_answered_from_the_timeline(clips: Path, tmp_path: Path, browser: Browser) -> None:
    want = labels(clips, VIDEO)
    env = {"JOYVL_MEDIA__FILE_ROOTS": json.dumps([str(clips)]), "JOYVL_TIME_ZONE": ZONE.key}
    with ServerProcess(tmp_path, env=env) as server:
        camera = server.camera("Hall", f"file://{clips / VIDEO}", speed=SPEED)
        camera_id, session_id = camera["id"], camera["session_id"]
        server.wait(lambda: len(found(server, camera_id, "leave")) >= 6)
        came, left = found(server, camera_id, "enter"), found(server, camera_id, "leave")
        for events, times in ((came, want.responses), (left, want.departures)):
            assert [event["t"] for event in events] == sorted(event["t"] for event in events)
            for label in times:
                assert any(abs(event["t"] - label) <= TOLERANCE_S for event in events), (label, events)

        many = ask(server, session_id, HOW_MANY)
        assert many["rests_on"] == [event["id"] for event in came]
        assert f"{len(came)} times" in many["answer"]
        noted = many["answer"].partition(" I was not")[0]
        assert re.findall(r"\d\d:\d\d:\d\d", noted) == [clock(event) for event in came]
        third = ask(server, session_id, THIRD)
        assert third["rests_on"] == [left[2]["id"]]
        assert re.findall(r"\d\d:\d\d:\d\d", third["answer"].partition(" I was not")[0]) == [clock(left[2])]

        chinese = ask(server, session_id, "第三个人什么时候走的？")
        assert clock(left[2]) in chinese["answer"]
        assert "根据我的记录" in chinese["answer"]

        watched = Watched(browser.new_context(), server.url)
        page = watched.page
        page.goto(f"{server.url}/#/live/{session_id}")
        for question, answer in ((HOW_MANY, many["answer"]), (THIRD, third["answer"])):
            page.get_by_label("Ask about what it sees").fill(question)
            page.get_by_role("button", name="Ask").click()
            expect(page.locator(".line.said.notice").filter(has_text=answer)).not_to_have_count(0)
