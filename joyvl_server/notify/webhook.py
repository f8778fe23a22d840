"""Webhooks: a POST with a JSON body, signed as Standard Webhooks says (standardwebhooks.com)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import re
import secrets
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from joyvl_server.core.errors import NotAllowed
from joyvl_server.kit.masking import (
    MASK,
    address_secrets,
    is_masked,
    mask_secrets,
    mask_text,
    mask_url,
    place_of,
    restore_url,
)
from joyvl_server.kit.net import http
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.notify.base import Delivery, DeliveryFailed, HookContext, Sender, Sent
from joyvl_server.notify.messages import message_json
from joyvl_server.notify.options import origin, restored

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32
READ = 2048
"""bytes of an answer that are read"""
NEVER = (400, 405, 406, 410, 411, 413, 414, 415, 417, 422, 426, 428, 431, 451)
"""answers after which trying again is of no use"""
LONGEST_RETRY_AFTER_S = 3600.0
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS = ("host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent")


class WebhookOptions(BaseModel):
    """`url`: where to. `headers`: sent along, like an authorization. `picture`: the JPEG in the body, as base64."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(max_length=2048)
    secret: str = ""
    secret_generated: bool = False
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    picture: bool = False

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url.strip())
            port = parts.port
        except ValueError:
            raise ValueError("it is not a URL; write it like https://home.example/alerts") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError("it must be an http or https URL, like https://home.example/alerts")
        if any(c.isspace() or not c.isprintable() or c == "\\" for c in url.strip()):
            raise ValueError("it holds a space, a backslash or a control character")
        if MASK in parts.netloc or is_masked(url.strip()):
            raise ValueError("it contains *** in place of a secret; write the secret itself")
        return url.strip()

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, secret: str) -> str:
        if secret and not 24 <= len(_key(secret)) <= 64:
            raise ValueError("it must be whsec_ and 24 to 64 bytes in base64; leave it out and one is generated")
        return secret

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS or name.lower().startswith("webhook-"):
                raise ValueError("there is a name in it that cannot be set")
            if len(value) > 4096 or not value.isascii() or not value.isprintable():
                raise ValueError("there is a value in it that is not printable ASCII, or too long")
        return headers


class WebhookSender(Sender):
    """One message at a time, over a connection that is kept open. No redirect is followed."""

    def __init__(self, context: HookContext) -> None:
        self._options = validated(WebhookOptions, context.options, "options")
        self.wants_picture = self._options.picture
        self._context = context
        self._client = http.client(timeout_s=context.timeout_s, max_connections=2)

    @classmethod
    def checked(cls, given: Mapping[str, Any], stored: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], str]:
        """See `Sender.checked`."""
        options, words = dict(given), ""
        options.pop("secret_generated", None)
        before = dict(stored or {})
        if before and isinstance(options.get("url"), str):
            with contextlib.suppress(NotAllowed):
                options["url"] = restore_url(options["url"], before["url"])
        moved = bool(before) and origin(options.get("url")) != origin(before["url"])
        options, dropped = restored(options, before, "headers", keep=not moved)
        if dropped:
            words = (
                "The address is another one, so these headers were not kept: "
                f"{', '.join(sorted(dropped))}. Write their values again."
            )
        if before and options.get("secret") in (None, "", MASK):
            options["secret"], options["secret_generated"] = before["secret"], before.get("secret_generated", False)
        elif options.get("secret") in (None, ""):
            key = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
            options["secret"], options["secret_generated"] = SECRET_PREFIX + key, True
        return validated(WebhookOptions, options, "options").model_dump(), words

    @classmethod
    def masked(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """See `Sender.masked`."""
        headers = dict.fromkeys(options.get("headers", {}), MASK)
        return {**options, "url": mask_url(str(options["url"])), "secret": MASK, "headers": headers}

    @classmethod
    def hosts(cls, options: Mapping[str, Any]) -> list[str]:
        """See `Sender.hosts`."""
        return [urlsplit(str(options["url"])).hostname or ""]

    async def send(self, delivery: Delivery) -> Sent:
        """See `Sender.send`."""
        picture = delivery.picture if self._options.picture else b""
        body = message_json(delivery, picture).encode()
        now = int(self._context.clock.wall())
        headers = {
            **self._options.headers,
            "content-type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(self._options.secret, delivery.id, now, body),
        }
        try:
            async with asyncio.timeout(self._context.timeout_s):
                return await self._post(body, headers)
        except NotAllowed as error:
            raise DeliveryFailed(str(error)) from None
        except TimeoutError:
            raise DeliveryFailed(f"No answer within {self._context.timeout_s:g} s.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, OSError, ValueError) as error:
            raise DeliveryFailed(f"It cannot be reached: {self._words(str(error)) or type(error).__name__}.") from None

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _post(self, body: bytes, headers: dict[str, str]) -> Sent:
        url = httpx2.URL(self._options.url)
        address = await self._context.net.address(url.host)
        # The name stays in Host and in the certificate's check; the connection goes to the address that was checked.
        request = self._client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={**headers, "host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host} if url.scheme == "https" else {},
        )
        answer = await self._client.send(request, stream=True)
        try:
            return await self._judged(answer)
        finally:
            await answer.aclose()

    async def _judged(self, answer: httpx2.Response) -> Sent:
        """What the status means; the words of an answer that never ends are not waited for."""
        status = answer.status_code
        words = self._words(await _first_bytes(answer, min(2.0, self._context.timeout_s / 2)))
        if 200 <= status < 300:
            return Sent(status, words)
        if 300 <= status < 400:
            location = self._words(place_of(answer.headers.get("location", ""))) or "another address"
            sentence = f"It answers {status} and sends us to {location}; redirects are not followed."
            raise DeliveryFailed(sentence, retry=False, status=status)
        sentence = f"It answers {status}{f': {words}' if words else '.'}"
        retry_after_s = retry_after(answer.headers.get("retry-after"), self._context.clock.wall())
        raise DeliveryFailed(sentence, retry=status not in NEVER, status=status, retry_after_s=retry_after_s)

    def _words(self, text: str) -> str:
        """On one line, without the secrets that it was given."""
        for secret in (self._options.secret, *self._options.headers.values()):
            text = text.replace(secret, MASK) if secret else text
        text = text.replace(self._options.url, place_of(self._options.url))
        text = mask_text(mask_secrets(text, address_secrets(self._options.url)))
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header of Standard Webhooks: HMAC-SHA256 over id, time (Unix seconds) and body."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def retry_after(value: str | None, wall: float) -> float | None:
    """Seconds that a receiver wants us to wait, given as a number or a date; at most an hour."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - datetime.fromtimestamp(
            wall, UTC
        ).timestamp()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_S) if seconds == seconds else None


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


async def _first_bytes(answer: httpx2.Response, wait_s: float) -> str:
    found = b""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(wait_s):
            async for piece in answer.aiter_raw():
                found += piece
                if len(found) >= READ:
                    break
    return found[:READ].decode("utf-8", "replace")
