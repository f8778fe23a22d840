"""Alerts by mail, Telegram, ntfy and what else apprise knows (extra `apprise`). Its URLs are secrets as a whole.

Only services that are asked over the network are allowed: none that runs a command, reads a file or talks to the
desktop. Every connection of theirs passes the net check and goes to the address that was checked (`direct`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.kit.masking import MASK
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.kit.threads import BoundedThreads
from joyvl_server.notify.base import Delivery, DeliveryFailed, HookContext, Sender, Sent

try:
    from apprise import Apprise, AppriseAsset, AppriseAttachment
    from apprise.attachment.memory import AttachMemory
    from apprise.manager_plugins import NotificationManager

    from joyvl_server.notify.direct import connecting, use_in
except ImportError as missing:
    raise ImportError('it needs the extra: pip install "joyvl-server[apprise]"') from missing

SERVICES = frozenset({
    "46elks", "brevo", "bulksms", "clickatell", "clicksend", "d7sms", "dingtalk", "discord", "elks", "feishu",
    "freemobile", "gchat", "ifttt", "ilert", "join", "lark", "line", "mailgun", "msgbird", "nexmo", "notifiarr",
    "onesignal", "opsgenie", "pagerduty", "pbul", "plivo", "postmark", "pover", "prowl", "psafer", "psafers", "push",
    "pushplus", "pushy", "resend", "schan", "sendgrid", "ses", "seven", "signl4", "simplepush", "sinch", "slack",
    "sns", "splunk", "spush", "telnyx", "tgram", "threema", "twilio", "twist", "victorops", "voipms", "vonage",
    "webex", "wecombot", "whatsapp", "wxpusher", "wxteams", "zoom", "zulip",
})  # fmt: skip
"""They go to one address that apprise knows."""
HOSTED = frozenset({
    "apprise", "apprises", "bark", "barks", "form", "forms", "gotify", "gotifys", "hassio", "hassios", "json",
    "jsons", "kodi", "kodis", "mailto", "mailtos", "matrix", "matrixs", "mmost", "mmosts", "nctalk", "nctalks",
    "ntfy", "ntfys", "rocket", "rockets", "signal", "signals", "synology", "synologys", "xml", "xmls",
})  # fmt: skip
"""The URL names the host."""
FORBIDDEN = {
    "template": "it names a file",
    "attach": "the picture of the alert is attached by itself",
    "redirect": "no redirect is followed",
    "pgp": "keys would be files",
    "pgppub": "keys would be files",
    "pgpprv": "keys would be files",
    "wkd": "it asks other servers for keys",
}
"""Parameters of URLs, with why not."""
MOST_URLS = 8
LONGEST_URL = 2048
WAIT_S = 60.0
"""a service may take, its own pauses between messages with it"""


def _plugins() -> Any:
    """All services, loaded here, where the caller expects an import: it takes a second."""
    manager: Any = NotificationManager
    found = manager()
    found.load_modules()
    use_in("apprise.plugins")
    return found


ASSET = AppriseAsset(app_id="joyvl-server", app_desc="joyvl-server", storage_mode="memory", http_redirects=False)
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # its words may hold tokens
logging.getLogger("urllib3").setLevel(logging.ERROR)  # so do its paths
PLUGINS: Any = _plugins()


class AppriseOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    urls: tuple[SecretStr, ...] = Field(min_length=1, max_length=MOST_URLS)


@dataclass(frozen=True, slots=True)
class _Service:
    """`shown`: its URL without secrets."""

    shown: str
    plugin: Any = field(repr=False)


class AppriseSender(Sender):
    wants_picture = True

    def __init__(self, context: HookContext) -> None:
        self._context = context
        self._services = [
            _service(url.get_secret_value(), place)
            for place, url in enumerate(validated(AppriseOptions, context.options, "options").urls)
        ]
        self._threads = BoundedThreads("apprise", limit=2, timeout_s=min(WAIT_S, context.timeout_s))
        self._taken: tuple[str, set[int]] = ("", set())
        """the message under way, and which services have taken it"""

    @classmethod
    def checked(cls, given: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """See `Sender.checked`."""
        urls = [url.get_secret_value().strip() for url in validated(AppriseOptions, given, "options").urls]
        before = [str(url) for url in (stored or {}).get("urls", ())]
        for place, url in enumerate(urls):
            if MASK in url:
                same = [old for old in (*before[place : place + 1], *before) if masked_url(old) == url]
                if not same:
                    raise ConfigError(f"options.urls.{place}: it still contains ***, and no stored URL is like it.")
                urls[place] = same[0]
                if same[0] in before:
                    before[before.index(same[0])] = ""
        for place, url in enumerate(urls):
            _service(url, place)
        return {"urls": urls}, ""

    @classmethod
    def masked(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """See `Sender.masked`."""
        return {"urls": [masked_url(str(url)) for url in options.get("urls", ())]}

    @classmethod
    def hosts(cls, options: Mapping[str, Any]) -> list[str]:
        """See `Sender.hosts`: of services with a host of one's own, where the URL names it."""
        return [host for url in options.get("urls", ()) if (host := host_of(str(url)))]

    async def send(self, delivery: Delivery) -> Sent:
        """See `Sender.send`. Services that have taken the message at an earlier try are left out."""
        if self._taken[0] != delivery.id:
            self._taken = (delivery.id, set())
        taken = self._taken[1]
        fault: DeliveryFailed | None = None
        for place, service in enumerate(self._services):
            if place not in taken:
                try:
                    await self._tell(service, delivery)
                    taken.add(place)
                except DeliveryFailed as error:
                    fault = error
        if fault is not None:
            raise fault
        return Sent(words=f"Taken by {', '.join(service.shown for service in self._services)}.")

    async def _tell(self, service: _Service, delivery: Delivery) -> None:
        loop = asyncio.get_running_loop()

        def checked(host: str) -> str:
            return asyncio.run_coroutine_threadsafe(self._context.net.address(host), loop).result(WAIT_S)

        def work() -> tuple[bool, list[JoyvlError]]:
            with connecting(checked) as refused:
                return _notify(service.plugin, delivery), refused

        try:
            took, refused = await self._threads.run(work)
        except TimeoutError:
            raise DeliveryFailed(f"{service.shown} did not answer in time.") from None
        except Exception as error:  # of a hundred services, each by somebody else; their words may hold tokens
            raise DeliveryFailed(f"{service.shown} failed: {type(error).__name__}.") from None
        if not took and refused:
            raise DeliveryFailed(str(refused[0]))
        if not took:
            raise DeliveryFailed(
                f"{service.shown} did not take the message. Check its URL, and whether it can be reached."
            )


def masked_url(url: str) -> str:
    """`tgram://***`, `gotify://HOST/***`: all but where it goes."""
    scheme = url.partition("://")[0].lower()
    if scheme not in HOSTED:
        return f"{scheme}://{MASK}" if scheme in SERVICES else MASK
    try:
        place = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        place = MASK
    topic_only = scheme.startswith("ntfy") and not urlsplit(url).path.strip("/")
    return f"{scheme}://{MASK}" if topic_only else f"{scheme}://{place}/{MASK}"


def host_of(url: str) -> str:
    """The host of one's own that a URL names; empty where it names none, or where it cannot be told."""
    scheme = url.partition("://")[0].lower()
    if scheme not in HOSTED or scheme.startswith(("mailto", "ntfy", "signal")):  # a domain, a topic or a host
        return ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _service(url: str, place: int) -> _Service:
    """Raises `ConfigError` in words without the URL."""
    where = f"options.urls.{place}"
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator or len(url) > LONGEST_URL or not url.isprintable():
        raise ConfigError(f"{where}: it must be a URL of apprise, like tgram://TOKEN/CHAT.")
    if scheme not in SERVICES | HOSTED:
        known = scheme[:40] if scheme.isalnum() else "this"
        raise ConfigError(f"{where}: {known}:// is not allowed. There are: {', '.join(sorted(SERVICES | HOSTED))}.")
    try:
        parsed = PLUGINS[scheme].parse_url(url)
        refused = next((name for name in (parsed or {}).get("qsd", {}) if name.lower() in FORBIDDEN), None)
        if refused is not None:
            raise ConfigError(f"{where}: its parameter {refused} is not allowed: {FORBIDDEN[refused.lower()]}.")
        plugin = Apprise.instantiate(url, asset=ASSET, suppress_exceptions=True)
    except (ValueError, TypeError, LookupError, AttributeError):
        plugin = None
    if plugin is None:
        raise ConfigError(f"{where}: apprise cannot read this {scheme}:// URL: see https://appriseit.com/services/.")
    plugin.redirects = False
    if hasattr(plugin, "discovery"):
        plugin.discovery = False  # a matrix server could name any other one
    return _Service(masked_url(url), plugin)


def _notify(plugin: Any, delivery: Delivery) -> bool:
    """Blocks."""
    alert, links = delivery.alert, delivery.links
    attachments = None
    lines = [alert.text]
    if delivery.picture and plugin.attachment_support:
        attachments = AppriseAttachment(asset=ASSET)
        memory: Any = AttachMemory
        attachments.add(memory(content=delivery.picture, name=f"{alert.id}.jpg", mimetype="image/jpeg"))
    elif links.picture:
        lines.append(links.picture)
    if links.page:
        lines.append(links.page)
    return bool(
        plugin.notify(body="\n".join(filter(None, lines)) or alert.title, title=alert.title, attach=attachments)
    )
