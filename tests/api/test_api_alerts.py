"""Alerts and hooks over REST, with a real receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fakes.patience import PATIENCE_S, until
from fakes.server.house import House, house
from fakes.webhook_receiver import WebhookReceiver, webhook_receiver
from joyvl_server.api.schemas.alerts import AlertOut, DeliveryOut, HookOut, HookTestOut, SnoozeOut
from joyvl_server.kit.ids import new_id
from joyvl_server.store.events import EventRecord


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, alerts={"allow": ["127.0.0.1"], "timeout_s": 5}) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as opened:
        yield opened


async def fire(
    h: House, text: str = "Someone is at the door.", *, camera_id: str = "cam_1", picture: bool = False
) -> dict:
    """A watch fires; its alert."""
    event = EventRecord(
        new_id("evt"), "ses_1", camera_id, "watch_fired", 1.0, h.clock.wall(), text, {"watches": ["wat_1"]},
        picture=picture,
    )  # fmt: skip
    h.registry.events.post(event)
    await h.registry.store.main.write(lambda connection: None)
    return (await h.client.get("/v1/alerts", params={"limit": 1})).json()["data"][0]


async def add(h: House, url: str, status: int = 201, **body: Any) -> dict[str, Any]:
    sent = {"name": "phone", "kind": "webhook", "options": {"url": url}, **body}
    answer = await h.client.post("/v1/hooks", json=sent)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_an_alert(h: House):
    shown = await fire(h, picture=True)
    assert set(shown) == set(AlertOut.model_fields)
    assert (shown["kind"], shown["state"], shown["camera_id"]) == ("watch_fired", "open", "cam_1")
    assert shown["picture_url"] == f"/v1/events/{shown['event_id']}/thumbnail.jpg"
    assert (await h.client.get(f"/v1/alerts/{shown['id']}")).json() == shown
    assert (await h.client.get("/v1/alerts/alr_none")).status_code == 404


async def test_filters_and_pages(h: House):
    for number in range(5):
        await fire(h, str(number), camera_id=f"cam_{number % 2}")
    page = (await h.client.get("/v1/alerts", params={"limit": 2})).json()
    assert [alert["text"] for alert in page["data"]] == ["4", "3"]
    rest = (await h.client.get("/v1/alerts", params={"after": page["next"]})).json()
    assert [alert["text"] for alert in rest["data"]] == ["2", "1", "0"]
    assert rest["next"] is None
    odd = (await h.client.get("/v1/alerts", params={"camera_id": "cam_1"})).json()["data"]
    assert [alert["text"] for alert in odd] == ["3", "1"]
    await h.client.post(f"/v1/alerts/{odd[0]['id']}/acknowledge")
    found = (await h.client.get("/v1/alerts", params={"state": "acknowledged"})).json()["data"]
    assert [alert["text"] for alert in found] == ["3"]
    assert (await h.client.get("/v1/alerts", params={"kind": "disk"})).json()["data"] == []
    assert (await h.client.get("/v1/alerts", params={"kind": "nonsense"})).status_code == 422
    assert (await h.client.get("/v1/alerts", params={"since": "2020-01-01T00:00:00Z"})).json()["data"]


async def test_all_that_are_open_are_acknowledged_at_once(h: House):
    first, seen = await fire(h), await fire(h, camera_id="cam_2")
    later = await fire(h)
    path = "/v1/alerts/acknowledge"
    assert (await h.client.post(path, json={"camera_id": "cam_3"})).json() == {"acknowledged": 0}
    assert (await h.client.post(path, json={"by": "Ann", "upto": seen["id"]})).json() == {"acknowledged": 2}
    shown = (await h.client.get("/v1/alerts")).json()["data"]
    assert [(a["id"], a["acknowledged_by"]) for a in shown] == [
        (later["id"], None), (seen["id"], "Ann"), (first["id"], "Ann"),
    ]  # fmt: skip
    assert (await h.client.post(path, json={"camera_id": "cam_1"})).json() == {"acknowledged": 1}
    await fire(h)
    assert (await h.client.post(path)).json() == {"acknowledged": 1}


async def test_acknowledge_and_snooze(h: House):
    alert = await fire(h)
    path = f"/v1/alerts/{alert['id']}"
    snoozed = (await h.client.post(f"{path}/snooze", json={"minutes": 10})).json()
    assert (snoozed["state"], snoozed["snoozed_until"][:4]) == ("snoozed", "2027")
    assert (await h.client.post(f"{path}/snooze", json={"minutes": 0})).json()["state"] == "open"
    answer = await h.client.post(f"{path}/acknowledge", json={"by": "Ann"})
    assert (answer.json()["state"], answer.json()["acknowledged_by"]) == ("acknowledged", "Ann")
    assert (await h.client.post(f"{path}/snooze", json={"minutes": 5})).status_code == 409
    for wrong in ({"minutes": -1}, {"minutes": 1e9}, {}, {"minutes": 1, "scope": "all"}):
        assert (await h.client.post(f"{path}/snooze", json=wrong)).status_code == 422
    assert (await h.client.post("/v1/alerts/alr_none/acknowledge")).status_code == 404


async def test_a_hook_from_its_creation_to_its_end(h: House, receiver: WebhookReceiver):
    hook = await add(h, receiver.url, quiet_hours=[{"from": "22:00", "to": "7:00", "days": ["sat", "fri"]}])
    assert set(hook) == set(HookOut.model_fields)
    assert hook["quiet_hours"] == [{"from": "22:00", "to": "07:00", "days": ["fri", "sat"]}]
    assert hook["options"]["secret"] == "***"
    assert "t0ps3cret" not in json.dumps(hook)
    path = f"/v1/hooks/{hook['id']}"
    assert (await h.client.get(path)).json()["name"] == "phone"
    tried = (await h.client.post(f"{path}/test")).json()
    assert set(tried) == set(HookTestOut.model_fields)
    assert (tried["ok"], tried["status"]) == (True, 200)
    secret = (await h.client.get(f"{path}/secret")).json()["secret"]
    assert secret.startswith("whsec_")
    await fire(h)
    await until(lambda: len(receiver.got) == 2)
    log = (await h.client.get(f"{path}/deliveries")).json()["data"]
    assert {delivery["reason"] for delivery in log} == {"test", "new"}
    assert {delivery["title"] for delivery in log} == {
        None,
        (await h.client.get("/v1/alerts")).json()["data"][0]["title"],
    }
    assert set(log[0]) == set(DeliveryOut.model_fields)
    changed = await h.client.patch(path, json={"name": "old phone", "enabled": False})
    assert (changed.json()["name"], changed.json()["enabled"]) == ("old phone", False)
    listed = (await h.client.get("/v1/hooks")).json()["data"]
    assert [hook["name"] for hook in listed] == ["old phone"]
    assert (await h.client.delete(path)).status_code == 204
    assert (await h.client.get(path)).status_code == 404
    assert (await h.client.get(f"{path}/deliveries")).status_code == 404


async def test_what_was_refused_is_sent_again(h: House, receiver: WebhookReceiver):
    hook = await add(h, receiver.url)
    receiver.answers = [410, 200]
    await fire(h)
    path = f"/v1/hooks/{hook['id']}/deliveries"
    log: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE_S):
        while not log or log[0]["state"] != "refused":
            log = (await h.client.get(path)).json()["data"]
    again = await h.client.post(f"{path}/{log[0]['id']}/retry")
    assert (again.status_code, again.json()["state"], set(again.json())) == (
        200,
        "waiting",
        set(DeliveryOut.model_fields),
    )
    async with asyncio.timeout(PATIENCE_S):
        while receiver.requests < 2:
            await h.clock.advance(0.1)  # the pause between two messages
    assert {message.headers["webhook-id"] for message in receiver.got} == {log[0]["id"]}
    assert (await h.client.post(f"{path}/dlv_none/retry")).status_code == 404
    async with asyncio.timeout(PATIENCE_S):
        while (await h.client.get(path)).json()["data"][0]["state"] != "sent":
            await asyncio.sleep(0)
    assert (await h.client.post(f"{path}/{log[0]['id']}/retry")).status_code == 409


async def test_snoozed_cameras_and_watches(h: House):
    alert = await fire(h)
    await h.client.post(f"/v1/alerts/{alert['id']}/snooze", json={"minutes": 10, "scope": "camera"})
    (snooze,) = (await h.client.get("/v1/snoozes")).json()["data"]
    assert set(snooze) == set(SnoozeOut.model_fields)
    assert (snooze["scope"], snooze["id"], snooze["name"]) == ("camera", "cam_1", None)
    assert (await h.client.delete("/v1/snoozes/camera/cam_1")).status_code == 204
    assert (await h.client.get("/v1/snoozes")).json()["data"] == []
    assert (await h.client.get(f"/v1/alerts/{alert['id']}")).json()["state"] == "open"
    assert (await h.client.delete("/v1/snoozes/camera/cam_1")).status_code == 404
    assert (await h.client.delete("/v1/snoozes/house/cam_1")).status_code == 422


async def test_a_test_says_what_came_back(h: House, receiver: WebhookReceiver):
    hook = await add(h, receiver.url)
    receiver.answers = [410]
    tried = (await h.client.post(f"/v1/hooks/{hook['id']}/test")).json()
    assert (tried["ok"], tried["status"]) == (False, 410)
    assert "410" in tried["message"]


async def test_options_go_back_masked_and_come_back_as_they_were(h: House, receiver: WebhookReceiver):
    hook = await add(h, receiver.url, options={"url": receiver.url, "headers": {"X-Key": "very-secret"}})
    assert hook["options"]["headers"] == {"X-Key": "***"}
    path = f"/v1/hooks/{hook['id']}"
    secret = (await h.client.get(f"{path}/secret")).json()
    same = (await h.client.patch(path, json={"options": hook["options"]})).json()
    assert (same["options"], same["notice"]) == (hook["options"], None)
    assert (await h.client.get(f"{path}/secret")).json() == secret
    await h.client.post(f"{path}/test")
    assert receiver.got[0].headers["x-key"] == "very-secret"
    moved = {**hook["options"], "url": "https://elsewhere.example/x"}
    told = (await h.client.patch(path, json={"options": moved})).json()
    assert told["options"]["headers"] == {}
    assert "X-Key" in told["notice"]


async def test_the_same_key_makes_one_hook(h: House, receiver: WebhookReceiver):
    body = {"name": "phone", "kind": "webhook", "options": {"url": receiver.url}}
    first, second = [await h.client.post("/v1/hooks", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == f"/v1/hooks/{first.json()['id']}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "pigeon"}, 422),
        ({"options": {}}, 422),
        ({"options": {"url": "file:///etc/passwd"}}, 422),
        ({"quiet_hours": [{"from": "25:00", "to": "07:00"}]}, 422),
        ({"quiet_hours": [{"from": "22:00", "to": "07:00", "days": ["someday"]}]}, 422),
        ({"events": ["nonsense"]}, 422),
        ({"cooldown_s": -1}, 422),
        ({"escalates": 100}, 422),
        ({"name": ""}, 422),
        ({"nonsense": 1}, 422),
    ],
)
async def test_what_no_hook_can_be(h: House, body: dict[str, Any], status: int):
    await add(h, "https://a.example/x", status, **body)


NEVER = [
    ({"options": {"url": "http://127.0.0.2/x"}}, "127.0.0.2 is a private address; hooks reach only those that"),
    ({"options": {"url": "http://169.254.169.254/x"}}, "169.254.169.254 is"),
    ({"kind": "mqtt", "options": {"host": "10.1.2.3"}}, "10.1.2.3 is a private address"),
    ({"kind": "apprise", "options": {"urls": ["json://10.1.2.3/x", "ntfy://topic"]}}, "10.1.2.3 is a private address"),
    ({"cameras": ["cam_none"]}, "There is no camera cam_none."),
    ({"watches": ["w1", "w2", "w3", "w4"]}, "There is no watch w1, w2, w3 …."),
    ({"quiet_hours": [{"from": "10:00", "to": "10:00"}]}, "Its quiet hours leave no minute of the week"),
]


@pytest.mark.parametrize(("body", "said"), NEVER)
async def test_a_hook_that_can_never_send_says_so(h: House, receiver: WebhookReceiver, body: dict[str, Any], said: str):
    hook = await add(h, receiver.url, **body)
    assert said in hook["notice"]
    assert (await h.client.get(f"/v1/hooks/{hook['id']}")).json()["notice"] is None
    assert said in (await h.client.patch(f"/v1/hooks/{hook['id']}", json={"name": "other"})).json()["notice"]


async def test_a_hook_for_what_there_is_needs_no_notice(h: House, receiver: WebhookReceiver):
    body = {"name": "door", "url": "rtsp://camera/1", "enabled": False, "watches": [{"text": "someone comes in"}]}
    camera = (await h.client.post("/v1/cameras", json=body)).json()
    quiet = [{"from": "10:00", "to": "10:00", "days": ["sat", "sun"]}]
    rules = {"cameras": [camera["id"]], "watches": [camera["watches"][0]["id"]], "quiet_hours": quiet}
    assert (await add(h, receiver.url, **rules))["notice"] is None


async def test_a_name_is_used_once(h: House):
    await add(h, "https://a.example/x")
    assert (await add(h, "https://a.example/x", 409))["code"] == "name_in_use"


async def test_messages_have_signed_links(tmp_path: Path, receiver: WebhookReceiver):
    groups = {"alerts": {"allow": ["127.0.0.1"]}, "server": {"public_url": "https://home.example", "auth": "off"}}
    async with house(tmp_path, **groups) as h:
        await add(h, receiver.url)
        alert = await fire(h, picture=True)
        await until(lambda: receiver.got)
        data = receiver.got[0].data
        assert data["link"] == alert["link"] == f"https://home.example/#/timeline/{alert['event_id']}"
        link = data["picture_url"]
        assert link.startswith(f"https://home.example/v1/events/{alert['event_id']}/thumbnail.jpg?expires=")
        assert data["clip_url"] is None
        answer = await h.client.get(link.removeprefix("https://home.example"))
        assert (answer.status_code, answer.json()["code"]) == (404, "no_picture")  # signed well; the file is not there


# --------------------------------------------------------------------------------------------------------------- stream


class Reader:
    """Reads the stream over ASGI: the client's own transport waits for the end of an answer."""

    def __init__(self, h: House, **headers: str) -> None:
        self.messages: list[dict[str, Any]] = []
        self.ids: list[int] = []
        self._h = h
        self._left = asyncio.Event()
        named = {"host": "127.0.0.1:8099", "accept": "text/event-stream", **headers}
        self._scope = {
            "type": "http", "method": "GET", "path": "/v1/alerts", "raw_path": b"/v1/alerts", "query_string": b"",
            "headers": [(k.encode(), v.encode()) for k, v in named.items()], "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8099), "scheme": "http", "http_version": "1.1", "root_path": "",
            "asgi": {"version": "3.0"},
        }  # fmt: skip
        self._task = asyncio.create_task(self._h.app(self._scope, self._receive, self._send))
        self._asked = False

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        for line in message.get("body", b"").decode().splitlines():
            name, _, value = line.partition(": ")
            if name == "id":
                self.ids.append(int(value))
            if name == "data" and (found := json.loads(value))["type"] != "heartbeat":
                self.messages.append(found)

    async def close(self) -> None:
        self._left.set()
        async with asyncio.timeout(PATIENCE_S):
            await self._task


async def test_the_stream_tells_what_happens_and_resumes(h: House):
    reader = Reader(h)
    await asyncio.sleep(0.05)
    alert = await fire(h, "one")
    await until(lambda: len(reader.messages) == 1)
    assert reader.messages[0] == {"type": "alert.created", "alert": alert}
    await h.client.post(f"/v1/alerts/{alert['id']}/acknowledge")
    await until(lambda: len(reader.messages) == 2)
    assert reader.messages[1]["type"] == "alert.updated"
    await reader.close()
    last = str(reader.ids[-1])
    await fire(h, "two")
    again = Reader(h, **{"last-event-id": last})
    await until(lambda: again.messages)
    assert [message["alert"]["text"] for message in again.messages] == ["two"]
    assert again.messages[0]["type"] == "alert.created"
    await again.close()


@pytest.mark.parametrize("unknown", ["999999", "nonsense", "-1", "9" * 100])
async def test_an_id_that_is_not_known_is_told(h: House, unknown: str):
    reader = Reader(h, **{"last-event-id": unknown})
    await until(lambda: reader.messages)
    assert reader.messages[0]["type"] == "alerts.unknown_id"
    await fire(h)
    await until(lambda: len(reader.messages) == 2)
    await reader.close()


async def test_a_hook_that_fails_for_long_is_named_but_the_server_is_ready(h: House, receiver: WebhookReceiver):
    await add(h, receiver.url)
    receiver.answers = [503]
    await fire(h)
    await until(lambda: receiver.requests)
    await asyncio.sleep(0.05)
    worker = next(iter(h.registry.alerts.hooks._workers.values()))
    await until(lambda: worker.health.since is not None)
    worker.health.since -= 1000
    answer = await h.client.get("/readyz")
    assert answer.status_code == 200
    assert "phone: It answers 503" in answer.json()["parts"]["alerts"]["reason"]
