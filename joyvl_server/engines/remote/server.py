"""The HTTP side of engine `remote`: one interaction server."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import httpx2

from joyvl_server.core.errors import EngineError
from joyvl_server.core.frame import Image
from joyvl_server.engines.openai.failures import Endpoint, detail_of, from_status, from_transport
from joyvl_server.engines.remote.options import WHERE, RemoteOptions
from joyvl_server.kit.net import http

MAX_BODY = 4_194_304
MAX_ERROR_BODY = 65_536


class RemoteServer:
    """All calls raise `EngineError` and its kin, and nothing else. Cancelling one aborts its request."""

    def __init__(self, options: RemoteOptions) -> None:
        self._base = options.base_url
        self._options = options
        self._secret = options.api_key.get_secret_value() if options.api_key else ""
        self._model = options.model
        self._client = http.client(
            timeout_s=options.timeout_s,
            connect_timeout_s=options.connect_timeout_s,
            # Without TLS there is nothing to verify, and loading the certificates takes tens of milliseconds.
            verify=options.base_url.startswith("https:"),
        )
        self._closed = False

    @property
    def url(self) -> str:
        return self._base

    async def models(self) -> list[str]:
        """Names of the models it lists, in its order; empty where it has no list."""
        try:
            listed = await self._ask("GET", self._base + "/models")
            return [str(model["id"]) for model in listed["data"]]
        except (KeyError, TypeError):
            return []

    async def look(
        self, session: str, image: Image, t: float, text: str, *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """One tick: the picture of model time `t` in seconds, and words where there are any. Its reply, as it came."""
        url = "data:image/jpeg;base64," + b64encode(image.jpeg).decode("ascii")
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        parts.append({"type": "image_url", "image_url": {"url": url}})
        body = {
            "model": await self._name(),
            "messages": [{"role": "user", "content": parts}],
            "user": session,
            "frame_time_ranges": [f"{max(0.0, t):.1f} seconds"],
        }
        answer = await self._ask("POST", self._base + "/chat/completions", body, session, timeout_s)
        if isinstance(answer.get("choices"), list) or isinstance(answer.get("interaction"), dict):
            return answer
        raise self._unread(json.dumps(answer).encode())

    async def reset(self, session: str) -> None:
        """It forgets the session."""
        await self._ask("POST", self._base + "/streaming/reset", {"user": session}, session)

    async def be(self, session: str, persona: str) -> None:
        """The session takes this manner on."""
        fields = {"user": session, "session_id": session, "persona": persona}
        answer = await self._ask("POST", self._base + "/streaming/persona", fields, session)
        if answer.get("status") == "unknown_persona":
            raise EngineError(
                f"{self._base} has no persona {persona}. Set `persona` in {WHERE} to one that it has, or leave it out.",
                code="engine_refused",
            )

    async def aclose(self) -> None:
        self._closed = True
        await self._client.aclose()

    # ------------------------------------------------------------------------------------------------------ requests

    async def _name(self) -> str:
        if not self._model:
            self._model = next(iter(await self.models()), "")
        return self._model

    async def _ask(
        self,
        method: str,
        url: str,
        fields: dict[str, Any] | None = None,
        session: str | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, Any]:
        if self._closed:
            raise EngineError("The engine is closed.", code="engine_closed")
        body = None if fields is None else json.dumps(fields).encode()
        try:
            response = await self._send(method, url, body, session, timeout_s)
            try:
                read = bytearray()
                async for piece in response.aiter_bytes():
                    read += piece
                    if len(read) >= (MAX_BODY if response.status_code == 200 else MAX_ERROR_BODY):
                        break
            finally:
                await response.aclose()
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise from_transport(self._endpoint, error) from error
        if response.status_code != 200:
            raise self._refused(response, bytes(read))
        return self._read(bytes(read))

    async def _send(
        self, method: str, url: str, body: bytes | None, session: str | None, timeout_s: float | None
    ) -> httpx2.Response:
        """The response with its body unread. A kept connection that the server has closed meanwhile (vLLM-Omni's does
        after each error) is no failure: the request goes over another one, once."""
        for again in (False, True):
            request = self._client.build_request(method, url, content=body, headers=self._headers(session))
            if timeout_s is not None:
                request.extensions["timeout"] = {**request.extensions["timeout"], "read": timeout_s}
            try:
                return await self._client.send(request, stream=True)
            except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
                if again:
                    raise
        raise AssertionError  # the second round returns or raises

    def _headers(self, session: str | None) -> dict[str, str]:
        headers = {"accept-encoding": "identity", "content-type": "application/json"}
        if session is not None:
            headers["x-streaming-session"] = session
        if self._options.system_prompt_key:
            headers["x-system-prompt-key"] = self._options.system_prompt_key
        if self._secret:
            headers["authorization"] = f"Bearer {self._secret}"
        return headers

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint(self._base, self._model, self._secret)

    def _read(self, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict):
            return answer
        raise self._unread(body)

    def _unread(self, body: bytes) -> EngineError:
        said = self._endpoint.quote(detail_of(body))
        return EngineError(
            f"{self._base} sent an answer that cannot be read. Is it an interaction server?"
            + (f" It says: {said}" if said else ""),
            code="engine_protocol",
        )

    def _refused(self, response: httpx2.Response, body: bytes) -> EngineError:
        error = from_status(
            self._endpoint,
            response.status_code,
            detail_of(body),
            response.headers.get("retry-after"),
            body=body.decode("utf-8", "replace"),
        )
        if "engine.options.openai" in str(error):
            return type(error)(str(error).replace("engine.options.openai", WHERE), code=error.code)
        return error
