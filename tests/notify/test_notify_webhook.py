"""Webhooks to a real receiver: signed as the standard says, and with all the faults that receivers have."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from fakes.alerting import Alerting, alerting
from fakes.webhook_receiver import WebhookReceiver, webhook_receiver
from joyvl_server.core.errors import ConfigError, Conflict, NotAllowed
from joyvl_server.kit.masking import MASK
from joyvl_server.notify.base import DeliveryFailed
from joyvl_server.notify.reach import HookReach
from joyvl_server.notify.webhook import WebhookSender, retry_after
from joyvl_server.store.alerts.records import HookRecord


@pytest.fixture
async def a(tmp_path: Path) -> AsyncIterator[Alerting]:
    async with alerting(tmp_path, allow=["127.0.0.1"]) as opened:
        yield opened


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Alerting]:
    """It waits half a second for an answer: only where one is to be too late, as a busy machine may be as slow."""
    async with alerting(tmp_path, allow=["127.0.0.1"], timeout_s=0.5) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as opened:
        yield opened


async def webhook(a: Alerting, url: str, name: str = "phone", **options: Any) -> str:
    view, _ = await a.center.hooks.add(HookRecord("", name, "webhook", {"url": url, **options}))
    return view.record.id


async def test_a_message_is_signed_as_the_standard_says(a: Alerting, receiver: WebhookReceiver, monkeypatch):
    hook_id = await webhook(a, receiver.url, headers={"X-Key": "abc"}, picture=True)
    await a.fire("Someone is at the door. 有人来了")
    await a.until(lambda: receiver.got)
    got = receiver.got[0]
    then = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)  # our clock stands still
    monkeypatch.setattr(Webhook, "_Webhook__verify_timestamp", lambda self, given: then)
    got.verify(await a.center.hooks.secret(hook_id))
    with pytest.raises(WebhookVerificationError):
        got.verify("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    assert got.headers["x-key"] == "abc"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.data["text"] == "Someone is at the door. 有人来了"
    assert base64.b64decode(got.data["picture"]["base64"]) == b"jpeg"
    assert got.data["link"] == "http://here/#/alerts"


async def test_500_then_200_comes_in_order_with_the_same_id(a: Alerting, receiver: WebhookReceiver):
    receiver.answers = [500, 500, 200]
    hook_id = await webhook(a, receiver.url)
    await a.fire("one")
    await a.fire("two", watch="wat_2")
    newest, first = await a.settled(hook_id, 2)
    assert [got.data["text"] for got in receiver.got] == ["one", "two"]
    assert (first.state, first.attempts, first.status) == ("sent", 3, 200)
    assert (newest.state, newest.attempts) == ("sent", 1)
    assert first.id == receiver.got[0].id


async def test_down_for_ten_minutes_nothing_is_lost(a: Alerting, receiver: WebhookReceiver):
    await webhook(a, receiver.url)
    await receiver.stop()
    for minute in range(10):
        await a.fire(str(minute), watch=f"wat_{minute}")
        await a.pass_time(60, 20)
    assert receiver.got == []
    assert "cannot be reached" in (await a.center.hooks.list())[0].last_error
    await receiver.start()
    await a.until(lambda: len(receiver.got) == 10)
    assert [got.data["text"] for got in receiver.got] == [str(minute) for minute in range(10)]
    assert (await a.center.hooks.list())[0].ok


@pytest.mark.parametrize("fault", ["hang", "drip", "cut"])
async def test_one_that_never_answers_is_tried_again(impatient: Alerting, receiver: WebhookReceiver, fault: str):
    receiver.answers = [fault, fault, 200]
    await webhook(impatient, receiver.url)
    await impatient.fire("one")
    await impatient.until(lambda: receiver.got)
    assert receiver.requests >= 3


async def test_an_answer_without_an_end_is_an_answer(a: Alerting, receiver: WebhookReceiver):
    receiver.answers = ["endless", 200]
    hook_id = await webhook(a, receiver.url)
    await a.fire("one")
    await a.fire("two", watch="wat_2")
    newest, first = await a.settled(hook_id, 2)
    assert (newest.state, first.state, first.attempts) == ("sent", "sent", 1)
    assert receiver.requests == 2


@pytest.mark.parametrize("status", [400, 405, 410, 413, 422])
async def test_what_can_never_work_is_refused_and_noted(a: Alerting, receiver: WebhookReceiver, status: int):
    receiver.answers = [status, 200]
    hook_id = await webhook(a, receiver.url)
    await a.fire("one")
    await a.fire("two", watch="wat_2")
    newest, first = await a.settled(hook_id, 2)
    assert (first.state, first.status, first.attempts) == ("refused", status, 1)
    assert str(status) in (first.error or "")
    assert newest.state == "sent"


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 425, 429, 500, 503])
async def test_what_may_work_later_is_tried_again(a: Alerting, receiver: WebhookReceiver, status: int):
    receiver.answers = [status, 200]
    await webhook(a, receiver.url)
    await a.fire("one")
    await a.until(lambda: receiver.got)
    assert receiver.requests == 2


async def test_no_redirect_is_followed(a: Alerting, receiver: WebhookReceiver):
    async with webhook_receiver() as private:
        receiver.answers = [(302, {"location": private.url}), 200]
        hook_id = await webhook(a, receiver.url)
        await a.fire("one")
        await a.fire("two", watch="wat_2")
        first = (await a.settled(hook_id, 2))[1]
        assert private.requests == 0
    assert (first.state, first.status) == ("refused", 302)
    assert "t0ps3cret" not in (first.error or "")


async def test_retry_after_is_honoured(a: Alerting, receiver: WebhookReceiver):
    receiver.answers = [(503, {"retry-after": "120"}), 200]
    await webhook(a, receiver.url)
    await a.fire("one")
    await a.until(lambda: receiver.requests == 1)
    await a.quiet()
    await a.pass_time(110)
    assert receiver.requests == 1
    await a.pass_time(15)
    await a.until(lambda: receiver.got)


def test_retry_after_as_a_date():
    assert retry_after("Fri, 20 Nov 2026 09:30:10 GMT", 1795167000.0) == 10.0
    assert retry_after("-5", 0.0) == 0.0
    assert retry_after("1e9", 0.0) == 3600.0
    for nonsense in (None, "soon", "nan"):
        assert retry_after(nonsense, 0.0) is None


async def test_a_private_address_must_be_allowed(tmp_path: Path, receiver: WebhookReceiver):
    async with alerting(tmp_path) as a:
        hook_id = await webhook(a, receiver.url)
        found = await a.center.hooks.test(hook_id)
        assert not found.ok
        assert "alerts.allow" in found.message
        await a.fire("one")
        await a.pass_time(20, 2)
        assert receiver.requests == 0
        waiting = (await a.center.deliveries.list(hook_id))[0]
        assert waiting.state == "waiting"  # nothing is lost: somebody may allow it


@pytest.mark.parametrize(
    ("host", "allow", "ok"),
    [
        ("8.8.8.8", [], True),
        ("127.0.0.1", [], False),
        ("::1", [], False),
        ("10.1.2.3", [], False),
        ("192.168.1.5", ["192.168.1.0/24"], True),
        ("192.168.2.5", ["192.168.1.0/24"], False),
        ("::ffff:192.168.1.5", [], False),
        ("64:ff9b::a00:1", [], False),
        ("169.254.169.254", ["0.0.0.0/0"], False),
        ("169.254.169.254", ["169.254.169.254"], True),
        ("home.lan", ["*.lan"], True),
        ("home.lan", [], False),
        ("mixed.example", [], True),
    ],
)
async def test_what_hooks_may_reach(host: str, allow: list[str], ok: bool):
    names = {"home.lan": ["192.168.1.9"], "mixed.example": ["10.0.0.1", "93.184.216.34"]}
    reach = HookReach(allow, resolve=lambda name: names[name])
    if ok:
        assert await reach.address(host) == {"home.lan": "192.168.1.9", "mixed.example": "93.184.216.34"}.get(
            host, host
        )
    else:
        with pytest.raises(NotAllowed, match=r"alerts\.allow"):
            await reach.address(host)


async def test_a_name_without_an_address_may_have_one_later():
    def nobody(name: str) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(DeliveryFailed, match="no address") as error:
        await HookReach([], resolve=nobody).address("nowhere.example")
    assert error.value.retry


async def test_a_name_is_connected_to_as_it_was_checked(a: Alerting, receiver: WebhookReceiver):
    """A name server that says something else a moment later changes nothing."""
    asked: list[str] = []
    reach = a.center.hooks._house.net
    reach._resolve = lambda name: asked.append(name) or ["127.0.0.1"]
    await webhook(a, f"http://rebinding.example:{receiver.port}/x")
    asked.clear()
    await a.fire("one")
    await a.until(lambda: receiver.got)
    assert asked == ["rebinding.example"]
    assert receiver.got[0].headers["host"] == f"rebinding.example:{receiver.port}"


async def test_given_up_after_days(tmp_path: Path, receiver: WebhookReceiver):
    async with alerting(tmp_path, allow=["127.0.0.1"], give_up_h=1) as a:
        hook_id = await webhook(a, receiver.url)
        receiver.answers = [500]
        await a.fire("one")
        await a.fire("two", watch="wat_2")
        await a.until(lambda: receiver.requests > 2)
        await a.pass_time(3700, 60)
        for _ in range(200):
            await a.pass_time(60, 60)
            states = [d.state for d in await a.center.deliveries.list(hook_id)]
            if states == ["dead", "dead"]:
                break
        assert states == ["dead", "dead"]
        receiver.answers = [200]
        await a.fire("three", watch="wat_3")
        await a.until(lambda: receiver.got)


async def test_given_up_after_tries(tmp_path: Path, receiver: WebhookReceiver):
    async with alerting(tmp_path, allow=["127.0.0.1"], max_attempts=2) as a:
        hook_id = await webhook(a, receiver.url)
        receiver.answers = [500, 500, 200]
        await a.fire("one")
        await a.fire("two", watch="wat_2")
        await a.until(lambda: receiver.got)
        assert [got.data["text"] for got in receiver.got] == ["two"]
        assert (await a.center.deliveries.list(hook_id))[1].state == "dead"


# ----------------------------------------------------------------------------------------------------------- options


def test_a_secret_is_generated_and_never_shown():
    options, words = WebhookSender.checked({"url": "https://a.example/x?token=abcdefgh"})
    assert words == ""
    assert options["secret"].startswith("whsec_")
    assert len(base64.b64decode(options["secret"].removeprefix("whsec_"))) == 32
    shown = WebhookSender.masked({**options, "headers": {"Authorization": "Bearer x"}})
    assert shown["secret"] == MASK
    assert shown["headers"] == {"Authorization": MASK}
    assert "abcdefgh" not in shown["url"]


def test_masked_values_keep_what_is_stored():
    stored, _ = WebhookSender.checked({"url": "https://a.example/x?token=abcdefgh", "headers": {"X-Key": "k"}})
    again, words = WebhookSender.checked(WebhookSender.masked(stored), stored)
    assert (again, words) == (stored, "")
    assert WebhookSender.checked({"url": stored["url"]}, stored)[0] == stored


@pytest.mark.parametrize("url", ["https://b.example/x", "http://a.example/x", "https://a.example:444/x"])
def test_another_address_drops_secret_headers_and_says_so(url: str):
    stored, _ = WebhookSender.checked({"url": "https://a.example/x", "headers": {"X-Key": "k", "X-B": "b"}})
    changed, words = WebhookSender.checked({"url": url, "headers": {"X-Key": MASK, "X-B": "new"}}, stored)
    assert changed["headers"] == {"X-B": "new"}
    assert "X-Key" in words
    assert changed["secret"] == stored["secret"]
    left_out, words = WebhookSender.checked({"url": url}, stored)
    assert left_out["headers"] == {}
    assert "X-B" in words


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": "ftp://a.example"},
        {"url": "https://"},
        {"url": "https://a.example:99999"},
        {"url": "https://a b.example"},
        {"url": "https://a.example", "secret": "whsec_short"},
        {"url": "https://a.example", "secret": "not base64 at all!!"},
        {"url": "https://a.example", "headers": {"Host": "b"}},
        {"url": "https://a.example", "headers": {"webhook-id": "b"}},
        {"url": "https://a.example", "headers": {"X-A": "b\r\nX-B: c"}},
        {"url": "https://a.example", "nonsense": 1},
        {"url": 5},
    ],
)
def test_options_that_cannot_be(options: dict[str, Any]):
    with pytest.raises(ConfigError) as error:
        WebhookSender.checked(options)
    assert "whsec_short" not in str(error.value)


async def test_a_secret_that_was_given_is_never_shown(a: Alerting):
    given = "whsec_" + base64.b64encode(b"x" * 32).decode()
    hook_id = await webhook(a, "https://a.example/x", secret=given)
    with pytest.raises(Conflict):
        await a.center.hooks.secret(hook_id)


async def test_no_secret_in_what_a_receiver_says(a: Alerting, receiver: WebhookReceiver):
    receiver.answers = [(500, {}), 200]
    hook_id = await webhook(a, receiver.url.replace("127.0.0.1", "127.0.0.1."), headers={"X-Key": "very-secret-value"})
    found = await a.center.hooks.test(hook_id)
    assert (found.ok, found.status) == (False, 500)
    view = await a.center.hooks.get(hook_id)
    shown = f"{found.message} {view.options} {view.last_error}"
    assert "t0ps3cret" not in shown
    assert "very-secret-value" not in shown


async def test_no_secret_of_its_address_in_what_a_receiver_says(a: Alerting, receiver: WebhookReceiver):
    place = "/services/T00/SLACKSECRETXXXX?tok=SECRET1234"
    receiver.answers = [(302, {"location": f"https://b.example{place}"})]
    hook_id = await webhook(a, receiver.url.split("/hook")[0] + place)
    found = await a.center.hooks.test(hook_id)
    assert (found.status, "https://b.example/…" in found.message) == (302, True)
    assert "SECRET" not in found.message


@pytest.mark.parametrize("stored", [None, {"url": "https://h.example/a?token=t0ps3cret-of-mine"}])
def test_a_parameter_that_is_still_masked_is_not_stored(stored):
    """Its path is another one, so nobody can say what belongs there."""
    before = stored and WebhookSender.checked(stored)[0]
    with pytest.raises(ConfigError, match=r"contains \*\*\*"):
        WebhookSender.checked({"url": "https://h.example/b?token=***"}, before)
