"""Agent `openai`: it asks a chat server and streams the answer. It offers no tools, so it asks for no permission."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from joyvl_server.agents.base import (
    AgentContext,
    AgentError,
    AgentEvent,
    AgentProgress,
    AgentReport,
    AnswerDelta,
    AskPermission,
    Finished,
    TaskBundle,
)
from joyvl_server.agents.openai.failures import ServerWords, refuses_pictures
from joyvl_server.agents.openai.options import OpenAIAgentOptions
from joyvl_server.agents.openai.wire import ReplyPart, chat_body, chat_piece, responses_body, responses_piece
from joyvl_server.agents.prompt import prompt_of
from joyvl_server.core.errors import NotAllowed, SourceError
from joyvl_server.kit.net import http
from joyvl_server.kit.net.option_checks import read_key, validated

MAX_BODY = 4_194_304
MAX_ERROR_BODY = 65_536
MAX_EVENT = 1_048_576
MAX_WITHOUT_TEXT = 200_000
"""events that bring no text, after which nobody waits for more"""
SANDBOX = "Nothing of it runs here. A server that has tools of its own uses them where it runs, and asks nobody here."
UNSEEN = "\nThere are pictures of the scene, but they cannot be shown to you. Say so if the question needs them.\n"
CUT = "\n\n… (The server ended the answer here: {reason}.)"


class OpenAIAgent:
    def __init__(self, context: AgentContext) -> None:
        """Raises `ConfigError` for wrong options."""
        self.name = context.name
        where = f"agents.entries.{context.name}.options"
        self._options = options = validated(OpenAIAgentOptions, context.options, where)
        key = read_key(options.api_key, options.api_key_file, where)
        headers = {name: value.get_secret_value() for name, value in options.headers.items()}
        self._secrets = tuple(secret for secret in (key, *headers.values()) if secret)
        if key:
            headers["authorization"] = f"Bearer {key}"
        # The address is the owner's own choice; what is refused for everybody stays refused (net.deny, metadata).
        self._policy = replace(context.policy, schemes=("http", "https"))
        self._sees = options.pictures
        self._client = http.client(
            timeout_s=options.silence_s, connect_timeout_s=options.connect_timeout_s, headers=headers
        )

    async def check(self) -> AgentReport:
        """See `Agent.check`: it asks for the list of models."""
        try:
            models = await self._models()
        except AgentError as error:
            return AgentReport(False, str(error))
        url, wanted = self._options.base_url, self._options.model
        if wanted and models and wanted not in models:
            some = ", ".join(models[:10])
            return AgentReport(False, f"{url} has no model {wanted!r}. Set `model` to one of: {some}.")
        model = wanted or (models[0] if models else "")
        if not model:
            return AgentReport(False, f"{url} lists no model. Set `model` of the agent {self.name}.")
        return AgentReport(True, f"{url} answers; the model is {model}.", sandbox=SANDBOX)

    async def run(self, bundle: TaskBundle, folder: Path, ask: AskPermission) -> AsyncGenerator[AgentEvent, None]:
        """See `Agent.run`. Closed early, the request is aborted."""
        options = self._options
        model = options.model or next(iter(await self._models()), "")
        if not model:
            raise AgentError(
                f"{options.base_url} lists no model. Set `model` of the agent {self.name}.", code="refused"
            )
        words = self._words(model)
        pictures = self._sees and bool(bundle.frames)
        previous = bundle.agent_session if options.api == "responses" else None
        while True:
            async with self._asked(self._body(bundle, model, pictures, previous), words) as answer:
                if answer.status_code == 200:
                    async with aclosing(self._read(answer, words)) as events:
                        async for event in events:
                            yield event
                    return
                refusal = await self._whole(answer, MAX_ERROR_BODY, words)
            if pictures and refuses_pictures(answer.status_code, refusal):
                pictures = self._sees = False
                yield AgentProgress("The model takes no pictures, so it is asked without them.")
            elif previous is not None and answer.status_code in (400, 404):
                previous = None  # the server has forgotten that answer; all of it is said again
            else:
                raise words.refused(answer.status_code, refusal)

    async def aclose(self) -> None:
        """Close the connections. Idempotent. Cancelled, they are closed all the same."""
        await self._client.aclose()

    # ----------------------------------------------------------------------------------------------------- requests

    def _words(self, model: str = "") -> ServerWords:
        return ServerWords(self.name, self._options.base_url, model, self._secrets)

    def _body(self, bundle: TaskBundle, model: str, pictures: bool, previous: str | None) -> dict[str, Any]:
        shown = bundle if pictures else replace(bundle, frames=())
        if previous is not None:
            shown = replace(shown, earlier=())  # the server has it
        prompt = prompt_of(shown, files=False)
        if bundle.frames and not pictures:
            prompt += UNSEEN
        if self._options.api == "chat":
            body = chat_body(model, prompt, shown.frames)
        else:
            body = responses_body(model, prompt, shown.frames, previous)
        return {**self._options.extra_body, **body}

    async def _models(self) -> list[str]:
        words = self._words()
        async with self._open("GET", "/models", None, words) as answer:
            body = await self._whole(answer, MAX_BODY, words)
        if answer.status_code != 200:
            raise words.refused(answer.status_code, body)
        try:
            return [str(model["id"]) for model in json.loads(body)["data"]]
        except (ValueError, RecursionError, TypeError, KeyError):
            raise words.nonsense("no list of models") from None

    def _asked(self, body: dict[str, Any], words: ServerWords) -> AbstractAsyncContextManager[httpx2.Response]:
        return self._open("POST", "/chat/completions" if self._options.api == "chat" else "/responses", body, words)

    @asynccontextmanager
    async def _open(
        self, method: str, path: str, body: dict[str, Any] | None, words: ServerWords
    ) -> AsyncIterator[httpx2.Response]:
        """A response with its body unread. Raises `AgentError`. Left early, the request is aborted."""
        try:
            await asyncio.to_thread(self._policy.check, self._options.base_url)
        except NotAllowed as error:
            raise AgentError(f"The agent {self.name} may not reach its server. {error}", code="refused") from None
        except SourceError as error:
            raise AgentError(str(error), code="unavailable") from None
        # Compressed answers could be far larger than what is read of them.
        request = self._client.build_request(
            method, self._options.base_url + path, json=body, headers={"accept-encoding": "identity"}
        )
        try:
            answer = await self._client.send(request, stream=True)
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise words.lost(error, self._options.silence_s, began=False) from None
        try:
            yield answer
        finally:
            await answer.aclose()

    async def _whole(self, answer: httpx2.Response, limit: int, words: ServerWords) -> bytes:
        """The start of a body, at most `limit` bytes."""
        body = bytearray()
        try:
            async for data in answer.aiter_bytes():
                body += data
                if len(body) >= limit:
                    break
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise words.lost(error, self._options.silence_s, began=True) from None
        return bytes(body[:limit])

    # ------------------------------------------------------------------------------------------------------ answers

    async def _read(self, answer: httpx2.Response, words: ServerWords) -> AsyncGenerator[AgentEvent, None]:
        written: list[str] = []
        length = silent = 0
        async with aclosing(self._heard(answer, words)) as pieces:
            async for piece in pieces:
                if piece.failed is not None:
                    raise AgentError(f"{words.url} gave up.{words.quote(piece.failed)}", code="died")
                silent = 0 if piece.text else silent + 1
                length += len(piece.text)
                if length > self._options.max_characters or silent > MAX_WITHOUT_TEXT:
                    raise AgentError(
                        f"{words.url} writes without an end: more than {self._options.max_characters} characters "
                        f"(max_characters of the agent {self.name}).",
                        code="too_much",
                    )
                if piece.text:
                    written.append(piece.text)
                    yield AnswerDelta(piece.text)
                elif piece.thinks and silent == 1:
                    yield AgentProgress("It thinks.")
                if piece.ended:
                    yield self._finished("".join(written), piece, words)
                    return
        raise words.lost(httpx2.ReadError("no end"), self._options.silence_s, began=True)

    def _finished(self, written: str, last: ReplyPart, words: ServerWords) -> Finished:
        if not written.strip():
            why = f" It ended with {last.reason[:60]!r}." if last.reason else ""
            raise AgentError(f"{words.url} gave an empty answer.{why}", code="refused")
        if last.reason:
            written += CUT.format(reason=last.reason[:60])
        return Finished(written, last.response_id)

    async def _heard(self, answer: httpx2.Response, words: ServerWords) -> AsyncGenerator[ReplyPart, None]:
        """The pieces. What only keeps the connection open is no sign of life: comments, events without a word.

        Raises `AgentError` (silent).
        """
        loop, silence_s = asyncio.get_running_loop(), self._options.silence_s
        heard_at = loop.time()
        async with aclosing(self._pieces(answer, words)) as pieces:
            while True:
                try:
                    async with asyncio.timeout_at(heard_at + silence_s):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise words.lost(httpx2.ReadTimeout("no word"), silence_s, began=True) from None
                if piece is None:
                    return
                if piece.text or piece.thinks:
                    heard_at = loop.time()
                yield piece

    async def _pieces(self, answer: httpx2.Response, words: ServerWords) -> AsyncGenerator[ReplyPart, None]:
        """What the answer says, event by event, or all at once where the server does not stream."""
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            piece = self._piece((await self._whole(answer, MAX_BODY, words)).decode("utf-8", "replace"), words)
            if not piece.ended and piece.failed is None:
                raise words.nonsense("no answer")
            yield piece
            return
        try:
            async for event in httpx2.EventSource(answer, max_event_size=MAX_EVENT):
                if event.data.strip() == "[DONE]":
                    yield ReplyPart(ended=True)
                    return
                if event.data.strip():
                    yield self._piece(event.data, words)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise words.lost(error, self._options.silence_s, began=True) from None

    def _piece(self, data: str, words: ServerWords) -> ReplyPart:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            raise words.nonsense("something that is no JSON of an answer")
        return chat_piece(event) if self._options.api == "chat" else responses_piece(event)
