"""Where alerts go: hooks with their state, the form for one, the test button, the log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from fakes.page.alerts import AlertBook
from fakes.page.site import Site
from fakes.server.browser import Watched

pytestmark = pytest.mark.browser


@pytest.fixture
def book(site: Site) -> AlertBook:
    return site.world.alarm


@pytest.fixture
def page(context: BrowserContext, site: Site, book: AlertBook) -> Iterator[Page]:
    watched = Watched(context, site.base, expected=("422",))
    watched.page.goto(f"{site.base}/#/alerts/hooks")
    expect(watched.page.get_by_role("link", name="Where they go")).to_have_attribute("aria-current", "true")
    yield watched.page
    assert watched.complaints == []


def test_a_webhook_is_made_tested_changed_and_deleted(page: Page, book: AlertBook) -> None:
    page.get_by_role("button", name="Add a place").click()
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill("Tablet")
    page.get_by_role("textbox", name="Address").fill("wrong://nowhere")
    page.get_by_role("button", name="Add it").click()
    expect(page.locator(".field-error")).to_have_text("It must be an http or https URL.")
    page.get_by_role("textbox", name="Address").fill("https://home.example/alerts")
    page.get_by_label("Headers").fill("Authorization Bearer x")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("alert").first).to_contain_text("has no colon")
    page.get_by_label("Headers").fill("Authorization: Bearer x:y")
    page.get_by_label("A camera is lost").check()
    page.get_by_label("Front door").check()
    page.get_by_label("It is told", exact=True).select_option("Next, if nobody acknowledges")
    page.get_by_label("After how many minutes").fill("5")
    page.get_by_label("Pause between repeats").fill("60")
    page.get_by_role("button", name="Add quiet hours").click()
    page.get_by_label("Sat").check()
    page.get_by_role("button", name="Add it").click()
    row = page.locator(".hook")
    expect(row).to_contain_text("https://home.example/alerts")
    expect(row).to_contain_text("A camera is lost · of Front door · only if nobody acknowledges within 5 min")
    expect(row).to_contain_text("quiet 22:00–07:00 (Sat)")
    expect(row).to_contain_text("Unused")
    hook = next(iter(book.hooks.values()))
    assert hook["options"]["headers"] == {"Authorization": "Bearer x:y"}
    assert hook["quiet_hours"] == [{"from": "22:00", "to": "07:00", "days": ["sat"]}]
    assert (hook["escalates"], hook["escalate_after_s"], hook["cooldown_s"]) == (1, 300, 60)
    row.get_by_role("button", name="Show the secret").click()
    expect(row).to_contain_text("whsec_c2VjcmV0")
    row.get_by_role("button", name="Change Tablet").click()
    expect(page.get_by_label("Secret")).to_have_value("")
    page.get_by_label("Send the picture along").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Change Tablet")).to_be_visible()
    assert (hook["options"]["secret"], hook["options"]["picture"]) == ("whsec_c2VjcmV0", True)
    row.get_by_role("button", name="Test Tablet").click()
    expect(row.locator(".note.good")).to_have_text("It was taken. It answered 200. It took 0.1 s.")
    book.answers["Tablet"] = {"ok": False, "status": 500, "message": "It answered 500 <b>no</b>"}
    row.get_by_role("button", name="Test Tablet").click()
    expect(row.locator(".note.bad")).to_have_text("It was not taken. It answered 500 <b>no</b>. It took 0.1 s.")
    row.get_by_role("switch", name="Send alerts to Tablet").click()
    expect(row).to_contain_text("Nothing is sent to it.")
    row.get_by_role("button", name="Delete Tablet").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Alerts go nowhere else yet")).to_be_visible()


def test_what_can_never_work_is_said_as_long_as_it_is_so(page: Page, book: AlertBook) -> None:
    page.get_by_role("button", name="Add a place").click()
    page.get_by_label("Name").fill("Tablet")
    page.get_by_role("textbox", name="Address").fill("http://10.0.0.9/alerts")
    page.get_by_role("button", name="Add it").click()
    row = page.locator(".hook")
    expect(row.locator(".note.warn")).to_have_text("10.0.0.9 is a private address.")
    row.get_by_role("switch", name="Send alerts to Tablet").click()
    expect(row).to_contain_text("Nothing is sent to it.")
    expect(row.locator(".note.warn")).to_be_visible()
    row.get_by_role("button", name="Change Tablet").click()
    page.get_by_role("textbox", name="Address").fill("https://home.example/alerts")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("https://home.example/alerts")
    expect(row.locator(".note.warn")).to_have_count(0)


def test_states_and_the_log(page: Page, book: AlertBook) -> None:
    hook = book.add_hook("Broker", "mqtt", options={"host": "broker.lan", "port": 1884, "password": "x"})
    waits = book.add_hook("Phone", "apprise", options={"urls": ["ntfy://***", "tgram://***"]})
    hook["state"].update(ok=False, last_error="broker.lan refused the connection", waiting=4, retry_in_s=38.0)
    waits["state"].update(ok=True, waiting=1)
    broker, phone = page.locator(".hook", has_text="Broker"), page.locator(".hook", has_text="Phone")
    expect(broker).to_contain_text("broker.lan:1884")
    expect(broker).to_contain_text("broker.lan refused the connection. 4 messages wait. It is tried again within 38 s.")
    expect(phone).to_contain_text("1 message waits.")
    broker.get_by_text("What was sent").click()
    expect(broker).to_contain_text("Nothing was sent to it yet.")
    book.deliver(hook["id"], "sent", status=200)
    book.deliver(hook["id"], "dead", attempts=9, error="<i>refused</i>", reason="escalation")
    book.deliver(hook["id"], "teleported", reason="whim")
    hook["state"]["waiting"] = 3
    expect(broker.locator(".deliveries li")).to_have_count(3)
    expect(broker.locator(".deliveries li").first).to_contain_text("teleported The door whim")
    expect(broker.locator(".deliveries li").nth(1)).to_contain_text("Given up The door nobody acknowledged · 9 tries")
    expect(broker.locator(".delivery-error")).to_have_text("<i>refused</i>")


def test_what_was_given_up_is_sent_again(page: Page, book: AlertBook) -> None:
    hook = book.add_hook("Broker", "mqtt", options={"host": "broker.lan"})
    book.deliver(hook["id"], "sent", status=200)
    book.deliver(hook["id"], "refused", status=410, error="gone")
    book.deliver(hook["id"], "refused", alert_id=None, reason="test")
    broker = page.locator(".hook", has_text="Broker")
    broker.get_by_text("What was sent").click()
    expect(broker.locator(".deliveries li")).to_have_count(3)
    broker.get_by_role("button", name="Send again").click()
    expect(broker.locator(".deliveries li").nth(1)).to_contain_text("Waits")
    assert [one["state"] for one in book.deliveries[hook["id"]]] == ["refused", "waiting", "sent"]


def test_other_kinds_and_what_no_field_shows(page: Page, book: AlertBook) -> None:
    page.get_by_role("button", name="Add a place").click()
    page.get_by_text("Tells a broker").click()
    page.get_by_role("textbox", name="Broker").fill("broker.lan")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Add it").click()
    expect(page.locator(".hook h2")).to_have_text("MQTT, Home Assistant")
    hook = next(iter(book.hooks.values()))
    assert hook["options"] == {"host": "broker.lan", "password": "secret", "tls": False, "discovery": True}
    hook["options"]["ca"] = "-----BEGIN"
    page.reload()
    page.get_by_role("button", name="Change MQTT").click()
    page.get_by_label("Port").fill("1884")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".hook")).to_contain_text("broker.lan:1884")
    assert hook["options"]["ca"] == "-----BEGIN"
    assert hook["options"]["password"] == "secret"
    siren = book.add_hook("Siren", "siren", options={"loud": 3})
    page.get_by_role("button", name="Change Siren").click()
    page.get_by_label("Options").fill('{"loud": 4}')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Change Siren")).to_be_visible()
    assert siren["options"] == {"loud": 4}
