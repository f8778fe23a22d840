"""The HTTP side of engine `openai`: one server, its model, and which fields it takes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import structlog

from joyvl_server.core.errors import EngineError
from joyvl_server.engines.openai_failures import Peer, detail_of, from_status, from_transport, is_too_long
from joyvl_server.engines.openai_messages import request_body
from joyvl_server.engines.openai_options import OpenAIOptions
from joyvl_server.engines.openai_stream import Completion
from joyvl_server.kit import http

MAX_ERROR_BODY = 65_536
MAX_LIST_BODY = 1_048_576

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which fields the server takes, learnt from what it refused."""

    skips_special_tokens: bool = True
    """takes `skip_special_tokens`; without it set to false, vLLM leaves the markers out of the text"""
    new_limit: bool = False
    """wants `max_completion_tokens` where others want `max_tokens`"""
    proven: bool = False
    """it took a request in this dialect, so a refusal means something else"""

    def fields(self, options: OpenAIOptions, model: str) -> dict[str, Any]:
        fields: dict[str, Any] = {"model": model, "stream": True}
        fields["max_completion_tokens" if self.new_limit else "max_tokens"] = options.max_tokens
        for name in ("temperature", "top_p"):
            if (value := getattr(options, name)) is not None:
                fields[name] = value
        if self.skips_special_tokens:
            fields["skip_special_tokens"] = False
        return fields | options.extra_body

    def after_refusal(self, status: int, detail: str) -> Dialect | None:
        """What to try next when a request was refused; None when the fields are not to blame."""
        if status not in (400, 422) or is_too_long(detail):
            return None
        if "max_completion_tokens" in detail and not self.new_limit:
            return replace(self, new_limit=True, proven=False)
        if self.skips_special_tokens and (not self.proven or "skip_special_tokens" in detail):
            return replace(self, skips_special_tokens=False, proven=False)
        return None


class ChatServer:
    """One OpenAI-compatible server. All methods raise `EngineError` and its kin, and nothing else."""

    def __init__(self, options: OpenAIOptions) -> None:
        self._options = options
        self._secret = options.api_key.get_secret_value() if options.api_key else ""
        self._dialect = Dialect()
        self._found_model = ""
        self._client = http.client(
            timeout_s=options.timeout_s,
            connect_timeout_s=options.connect_timeout_s,
            # Without TLS there is nothing to verify, and loading the certificates takes tens of milliseconds.
            verify=options.base_url.startswith("https:"),
        )
        self._closed = False

    @property
    def peer(self) -> Peer:
        return Peer(self._options.base_url, self._options.model or self._found_model, self._secret)

    async def models(self) -> list[str]:
        """Names of the models it lists, in its order."""
        response = await self._send("GET", "/models")
        body = await self._body(response, MAX_LIST_BODY)
        if response.status_code != 200:
            raise from_status(self.peer, response.status_code, detail_of(body))
        try:
            return [str(model["id"]) for model in json.loads(body)["data"]]
        except (ValueError, RecursionError, TypeError, KeyError):
            raise EngineError(
                f"{self.peer.url}/models is no list of models. Is it an OpenAI-compatible server?",
                code="engine_protocol",
            ) from None

    async def complete(self, messages: list[bytes]) -> Completion:
        """Start an answer to the messages. The caller closes it."""
        model = self._options.model or await self._first_model()
        dialect = self._dialect
        while True:
            body = request_body(dialect.fields(self._options, model), messages)
            response = await self._send("POST", "/chat/completions", body)
            if response.status_code == 200:
                self._learn(dialect)
                return await self._stream(response)
            detail = detail_of(await self._body(response, MAX_ERROR_BODY))
            other = dialect.after_refusal(response.status_code, detail)
            if other is None:
                error = from_status(self.peer, response.status_code, detail, response.headers.get("retry-after"))
                if error.code == "engine_model":
                    self._found_model = ""  # it may have been started anew with another one
                raise error
            dialect = other

    async def aclose(self) -> None:
        self._closed = True
        await self._client.aclose()

    async def _first_model(self) -> str:
        if not self._found_model:
            names = await self.models()
            if not names:
                raise EngineError(f"{self.peer.url} lists no model. Load one, or set `model`.", code="engine_model")
            self._found_model = names[0]
        return self._found_model

    async def _send(self, method: str, path: str, body: bytes | None = None) -> httpx2.Response:
        """The response with its body unread."""
        if self._closed:
            raise EngineError("The engine is closed.", code="engine_closed")
        headers = {"accept-encoding": "identity"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self._secret:
            headers["authorization"] = f"Bearer {self._secret}"
        try:
            request = self._client.build_request(method, self._options.base_url + path, content=body, headers=headers)
            return await self._client.send(request, stream=True)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise from_transport(self.peer, error) from error

    async def _stream(self, response: httpx2.Response) -> Completion:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            return Completion(response, self.peer)
        said = self.peer.quote(detail_of(await self._body(response, MAX_ERROR_BODY)))
        raise EngineError(
            f"{self.peer.url} did not stream its answer. Is it an OpenAI-compatible server?"
            + (f" It says: {said}" if said else ""),
            code="engine_protocol",
        )

    async def _body(self, response: httpx2.Response, limit: int) -> bytes:
        """The start of a body, at most `limit` bytes and a chunk; the response is closed."""
        body = b""
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= limit:
                    break
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise from_transport(self.peer, error) from error
        finally:
            await response.aclose()
        return body[:limit]

    def _learn(self, dialect: Dialect) -> None:
        """A request in this dialect was taken."""
        learnt = replace(dialect, proven=True)
        if learnt != replace(self._dialect, proven=True):
            log.info(
                "the server does not take every field",
                server=self.peer.url,
                takes=sorted(learnt.fields(self._options, "")),
            )
        self._dialect = learnt
