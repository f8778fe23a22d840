"""The HTTP side of engine `openai`: one server, and which fields it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import structlog

from joyvl_server.core.errors import EngineError
from joyvl_server.engines.openai.conversation import request_body
from joyvl_server.engines.openai.failures import (
    Endpoint,
    detail_of,
    from_status,
    from_transport,
    from_words,
    is_too_long,
)
from joyvl_server.engines.openai.options import OpenAIOptions
from joyvl_server.engines.openai.stream import Completion, HttpCompletion
from joyvl_server.kit.net import http

MAX_ERROR_BODY = 65_536
MAX_BODY = 4_194_304
"""Bytes of an answer that is read whole: a list of models, a page of metrics, one completion."""

log = structlog.get_logger(__name__)


class Chat(Protocol):
    """A server of chat completions. Messages are JSON objects, one each; `fields` are all other fields, model included.

    All raise `EngineError` and its kin, and nothing else; code `engine_forgot` when a picture that was only named is
    not there any more. Cancelling a call aborts the request.
    """

    @property
    def endpoint(self) -> Endpoint: ...

    async def ask(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> dict[str, Any]:
        """One whole chat completion: the JSON as the server sent it."""

    async def stream(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> Completion:
        """A streamed one, once its head is there. The caller closes it."""

    async def models(self) -> list[str]:
        """Names of the models it lists, in its order."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class AcceptedFields:
    """Which fields the server takes, learnt from what it refused."""

    skips_special_tokens: bool = True
    """takes `skip_special_tokens`; without it set to false, vLLM leaves the markers out of the text"""
    new_limit: bool = False
    """wants `max_completion_tokens` where others want `max_tokens`"""
    proven: bool = False
    """it took a request with these fields, so a refusal means something else"""

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        spoken = dict(fields)
        if self.new_limit and "max_tokens" in spoken:
            spoken["max_completion_tokens"] = spoken.pop("max_tokens")
        if not self.skips_special_tokens:
            spoken.pop("skip_special_tokens", None)
        return spoken

    def after_refusal(self, status: int, detail: str) -> AcceptedFields | None:
        """What to try next when a request was refused; None when the fields are not to blame."""
        if status not in (400, 422) or is_too_long(detail):
            return None
        if "max_completion_tokens" in detail and not self.new_limit:
            return replace(self, new_limit=True, proven=False)
        if self.skips_special_tokens and (not self.proven or "skip_special_tokens" in detail):
            return replace(self, skips_special_tokens=False, proven=False)
        return None


class ChatServer:
    """One OpenAI-compatible server: see `Chat`. `listing` and `beside` are for a probe; they too abort their request
    when they are cancelled."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._base = options.base_url
        self._secret = options.api_key.get_secret_value() if options.api_key else ""
        self._accepted = AcceptedFields()
        self._client = http.client(
            timeout_s=options.timeout_s,
            connect_timeout_s=options.connect_timeout_s,
            # Without TLS there is nothing to verify, and loading the certificates takes tens of milliseconds.
            verify=options.base_url.startswith("https:"),
        )
        self._closed = False

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self._base, "", self._secret)

    async def models(self) -> list[str]:
        return [str(model["id"]) for model in await self.listing()]

    async def listing(self) -> list[dict[str, Any]]:
        """The models as it lists them; each has an `id`."""
        response = await self._send("GET", self._base + "/models")
        body = await self._body(response, MAX_BODY)
        if response.status_code != 200:
            raise from_status(self.endpoint, response.status_code, detail_of(body))
        try:
            models = json.loads(body)["data"]
            return [{**model, "id": model["id"]} for model in models]
        except (ValueError, RecursionError, TypeError, KeyError):
            raise EngineError(
                f"{self.endpoint.url}/models returns no list of models. Is it an OpenAI-compatible server?",
                code="engine_protocol",
            ) from None

    async def ask(
        self, messages: Sequence[bytes], fields: Mapping[str, Any], *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """`timeout_s` bounds each wait for bytes of this answer, where it may take longer than usual."""
        response = await self._complete(messages, fields, timeout_s)
        body = await self._body(response, MAX_BODY)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and isinstance(answer.get("choices"), list):
            return answer
        raise self._no_answer(body, "sent an answer that cannot be read")

    async def stream(self, messages: Sequence[bytes], fields: Mapping[str, Any]) -> Completion:
        response = await self._complete(messages, {**fields, "stream": True}, None)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            return HttpCompletion(response, self.endpoint)
        raise self._no_answer(await self._body(response, MAX_ERROR_BODY), "did not stream its answer")

    def _no_answer(self, body: bytes, what: str) -> EngineError:
        """The error for a body that is no answer: as the server says it where that is known, else `what` it did."""
        detail = detail_of(body)
        if (told := from_words(self.endpoint, detail, body.decode("utf-8", "replace"))) is not None:
            return told
        said = self.endpoint.quote(detail)
        return EngineError(
            f"{self.endpoint.url} {what}. Is it an OpenAI-compatible server?" + (f" It says: {said}" if said else ""),
            code="engine_protocol",
        )

    async def beside(self, path: str, data: Mapping[str, Any] | None = None) -> bytes:
        """What vLLM has outside the API, at the root of the server: `/tokenize`, `/metrics`. Empty where it has not."""
        parts = urlsplit(self._base)
        url = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/v1')}{path}"
        body = None if data is None else json.dumps(data).encode()
        response = await self._send("GET" if body is None else "POST", url, body)
        text = await self._body(response, MAX_BODY)
        return text if response.status_code == 200 else b""

    async def aclose(self) -> None:
        self._closed = True
        await self._client.aclose()

    async def _complete(
        self, messages: Sequence[bytes], fields: Mapping[str, Any], timeout_s: float | None
    ) -> httpx2.Response:
        """The response to a request that was taken."""
        accepted = self._accepted
        while True:
            body = request_body(accepted.fields(fields), messages)
            response = await self._send("POST", self._base + "/chat/completions", body, timeout_s)
            if response.status_code == 200:
                self._learn(accepted)
                return response
            refusal = await self._body(response, MAX_ERROR_BODY)
            detail = detail_of(refusal)
            endpoint = replace(self.endpoint, model=str(fields.get("model", "")))
            wait = response.headers.get("retry-after")
            error = from_status(endpoint, response.status_code, detail, wait, body=refusal.decode("utf-8", "replace"))
            other = accepted.after_refusal(response.status_code, detail) if error.code == "engine_refused" else None
            if other is None:
                raise error
            accepted = other

    async def _send(
        self, method: str, url: str, body: bytes | None = None, timeout_s: float | None = None
    ) -> httpx2.Response:
        """The response with its body unread."""
        if self._closed:
            raise EngineError("The engine is closed.", code="engine_closed")
        headers = {"accept-encoding": "identity"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self._secret:
            headers["authorization"] = f"Bearer {self._secret}"
        try:
            request = self._client.build_request(method, url, content=body, headers=headers)
            if timeout_s is not None:
                request.extensions["timeout"] = {**request.extensions["timeout"], "read": timeout_s}
            return await self._client.send(request, stream=True)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise from_transport(self.endpoint, error) from error

    async def _body(self, response: httpx2.Response, limit: int) -> bytes:
        """The start of a body, at most `limit` bytes; the response is closed."""
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= limit:
                    break
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise from_transport(self.endpoint, error) from error
        finally:
            await response.aclose()
        return bytes(body[:limit])

    def _learn(self, accepted: AcceptedFields) -> None:
        """A request with these fields was taken."""
        learnt = replace(accepted, proven=True)
        if learnt != replace(self._accepted, proven=True):
            log.info(
                "the server refuses some fields",
                server=self.endpoint.url,
                skip_special_tokens=learnt.skips_special_tokens,
                limit="max_completion_tokens" if learnt.new_limit else "max_tokens",
            )
        self._accepted = learnt
