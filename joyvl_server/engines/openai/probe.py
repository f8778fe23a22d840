"""Finds out what a server and its model can do, by asking: nothing is assumed because of a name.

What is refused or ignored has a fallback; each is told in `Abilities.note` and logged once by the engine. The first
request with log-probabilities makes vLLM compile for about 20 s: after a probe it is warm.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from joyvl_server.core.errors import EngineError, EngineUnavailable
from joyvl_server.core.frame import Image
from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.answer_parser import AnswerParser, Verdict
from joyvl_server.core.prompt.turns import SILENCE
from joyvl_server.core.prompt.wire_format import RESPONSE
from joyvl_server.engines.openai import instruct
from joyvl_server.engines.openai.abilities import LETTERS, Abilities, RequestFields, Scoring, unknown
from joyvl_server.engines.openai.answers import shares_of, text_of
from joyvl_server.engines.openai.instruct import letter_of
from joyvl_server.engines.openai.options import OpenAIOptions
from joyvl_server.engines.openai.server import ChatServer
from joyvl_server.kit.jpeg import encode

NO_MARKERS = (
    "The model does not know the interaction protocol: it gets instructions in plain words and answers in JSON. "
    "Its decisions are yes or no, not scores."
)
NO_SCORES = "The server reports no probabilities of the markers: decisions are yes or no, not scores."
NO_PREFILL = "The server does not continue a begun answer: each remark costs a second prompt."
NO_UUIDS = "The server accepts no names for pictures: every request sends all pictures of its chunk."
NO_PRIORITY = "The server does not order by priority. vLLM: start it with --scheduling-policy priority."
NOT_GROWING = (
    "The model's chat template changes earlier turns when new ones come, so the server computes the whole prompt at "
    "each tick. vLLM: give it a template that only appends (--chat-template)."
)
_NO = ("engine_refused", "engine_protocol", "engine_context", "engine_forgot", "engine_not_found")
"""codes of a server that does not take a request, and is well"""
_BLOCKS = re.compile(r"^vllm:cache_config_info\{(.*)\}", re.MULTILINE)

Messages = list[dict[str, Any]]


class Probe:
    """One probe of one server. Raises `EngineError` and its kin when there is no answer to find anything out from.

    Cancelled, it aborts the request that is on its way.
    """

    def __init__(self, server: ChatServer, options: OpenAIOptions) -> None:
        self._server = server
        self._options = options
        self._fields = RequestFields(options)
        self._model = ""
        self._image = _picture()

    async def run(self) -> Abilities:
        entry = await self._entry()
        self._model = str(entry["id"])
        found = replace(unknown(self._options), context_tokens=_positive(entry.get("max_model_len")))
        markers = await self._tokens(SILENCE), await self._tokens(RESPONSE)
        if self._options.protocol != "instruct" and len(markers[0]) == len(markers[1]) == 1:
            letters = [await self._tokens(letter) for letter in LETTERS]
            ids = tuple(tokens[0] for tokens in letters if len(tokens) == 1)
            found = replace(
                found,
                vllm=True,
                silence_id=markers[0][0],
                response_id=markers[1][0],
                letters=ids if len(ids) == len(LETTERS) else (),
            )
            return await self._told_apart(await self._scored(found))
        found = replace(found, vllm=bool(markers[0]))
        if self._options.protocol == "markers" or (self._options.protocol == "auto" and await self._marks(found)):
            return await self._told_apart(replace(found, mode="markers"))
        return await self._instructed(replace(found, mode="instruct"))

    # ------------------------------------------------------------------------------------------------------ the modes

    async def _scored(self, found: Abilities) -> Abilities:
        assert found.silence_id is not None
        assert found.response_id is not None
        ids = (found.silence_id, found.response_id)
        ways: tuple[Scoring, ...] = ("ids", "allowed", "top")
        for scoring in ways:
            trial = replace(found, mode="scored", scoring=scoring)
            fields = self._fields.shares(trial, ids)
            answer = await self._try(self._turn(), fields)
            if answer is not None and shares_of(answer, ids, (SILENCE, RESPONSE), exact=scoring == "ids"):
                break
        else:
            return replace(found, mode="markers")
        found = replace(trial, chooses=bool(trial.letters))
        return replace(
            found,
            prefills=await self._prefills(fields, _prompt_tokens(answer)),
            uuids=await self._names_pictures(found),
            caches=await self._caches(),
            cache_tokens=await self._cache_tokens(),
            priority=self._options.priority and await self._orders(fields),
            grows=await self._grows(),
        )

    async def _instructed(self, found: Abilities) -> Abilities:
        delegation = self._options.delegation
        messages = self._turn(system=instruct.system_prompt("", delegation=delegation))
        fields = {**self._plain(found), "max_tokens": 64}
        schema = {"response_format": instruct.decision_format(delegation=delegation)}
        schemas = await self._try(messages, fields | schema) is not None
        return replace(
            found,
            schemas=schemas,
            chooses=True,
            uuids=await self._names_pictures(found),
            caches=await self._caches(),
            cache_tokens=await self._cache_tokens(),
            note=NO_MARKERS,
        )

    async def _told_apart(self, found: Abilities) -> Abilities:
        """With a note of what is missing."""
        if found.mode == "markers":
            return replace(
                found,
                chooses=await self._names_letters(found),
                uuids=await self._names_pictures(found),
                caches=await self._caches(),
                note=NO_SCORES,
            )
        missing = {
            NO_PREFILL: not found.prefills,
            NO_UUIDS: not found.uuids,
            NO_PRIORITY: self._options.priority and not found.priority,
            NOT_GROWING: not found.grows,
        }
        return replace(found, note=" ".join(note for note, is_missing in missing.items() if is_missing))

    # --------------------------------------------------------------------------------------------------- single facts

    async def _entry(self) -> dict[str, Any]:
        """The model's entry in the server's list."""
        models, wanted = await self._server.listing(), self._options.model
        for model in models:
            if not wanted or model["id"] == wanted:
                return model
        raise EngineError(f"{self._server.endpoint.url} has no model {wanted!r}.", code="engine_model")

    async def _tokens(self, text: str) -> list[int]:
        """The ids of `text`; empty where the server has no tokenizer to ask."""
        return await self._tokenize({"prompt": text, "add_special_tokens": False})

    async def _tokenize(self, what: Mapping[str, Any]) -> list[int]:
        try:
            body = await self._server.beside("/tokenize", {"model": self._model, **what})
            tokens = json.loads(body)["tokens"] if body else []
        except EngineUnavailable:
            raise
        except (EngineError, ValueError, RecursionError, TypeError, KeyError):
            return []
        good = isinstance(tokens, list) and all(isinstance(token, int) for token in tokens)
        return tokens if good else []

    async def _marks(self, found: Abilities) -> bool:
        """Does its answer to a picture begin with a marker?"""
        answer = await self._try(self._turn(), {**self._plain(found), "max_tokens": 16})
        parser = AnswerParser()
        parser.feed(text_of(answer or {}))
        return parser.verdict in (Verdict.SILENT, Verdict.RESPONSE)

    async def _names_letters(self, found: Abilities) -> bool:
        question = "Which colour has the picture?\nA: grey\nB: red\nAnswer with one letter."
        *before, turn = self._turn()
        asked = {**turn, "content": [*turn["content"], {"type": "text", "text": f"\n{question}"}]}
        answer = await self._try([*before, asked], self._fields.letter(found, None))
        return bool(letter_of(text_of(answer or {}), "AB"))

    async def _prefills(self, fields: Mapping[str, Any], before: int) -> bool:
        """A server that ignores what it does not know would close the message and begin another: that is longer."""
        messages = [*self._turn(), {"role": "assistant", "content": RESPONSE}]
        opened = {"continue_final_message": True, "add_generation_prompt": False}
        answer = await self._try(messages, {**fields, **opened})
        return answer is not None and before > 0 and _prompt_tokens(answer) == before + 1

    async def _names_pictures(self, found: Abilities) -> bool:
        """When it has had a picture by its bytes and its name, is the name alone the same?"""
        fields = {**self._plain(found), "max_tokens": 1}
        sent = await self._try(self._turn(uuid=True), fields)
        named = await self._try(self._turn(uuid=True, named=True), fields) if sent is not None else None
        if named is None or not 0 < _prompt_tokens(named) == _prompt_tokens(sent or {}):
            return False
        # A server that always tells the same number has said nothing: it may not have seen the picture at all.
        *before, turn = self._turn()
        bare = await self._try([*before, {**turn, "content": turn["content"][:1]}], fields)
        return _prompt_tokens(bare or {}) < _prompt_tokens(named)

    async def _orders(self, fields: Mapping[str, Any]) -> bool:
        return await self._try(self._turn(), {**fields, "priority": 1}) is not None

    async def _grows(self) -> bool:
        """Is the prompt of some turns, with the answer, the start of the prompt of one turn more?"""
        turns: Messages = [{"role": "system", "content": "You watch."}, _user("<0.0 seconds>")]
        before = await self._tokenize({"messages": turns, "add_generation_prompt": True})
        for answer in (SILENCE, f"{RESPONSE} hello", SILENCE):
            turns += [{"role": "assistant", "content": answer}, _user("<1.0 seconds>")]
            after = await self._tokenize({"messages": turns, "add_generation_prompt": True})
            if not before or after[: len(before)] != before:
                return not before  # where it cannot be asked, nothing is known against it
            before = after
        return True

    async def _caches(self) -> bool:
        """Asked the same twice, does it tell of cached tokens? The text is long enough to fill its blocks."""
        words = " ".join(str(number) for number in range(300))
        messages: Messages = [{"role": "user", "content": words}]
        for _ in range(2):
            answer = await self._try(messages, {"max_tokens": 1, "temperature": 0.0})
        details = _dict(_dict((answer or {}).get("usage")).get("prompt_tokens_details"))
        if _positive(details.get("cached_tokens")):
            return True
        return 'enable_prefix_caching="True"' in await self._cache_config()

    async def _cache_tokens(self) -> int | None:
        config = dict(re.findall(r'(\w+)="([^"]*)"', await self._cache_config()))
        blocks, size = config.get("num_gpu_blocks", ""), config.get("block_size", "")
        return int(blocks) * int(size) or None if blocks.isdigit() and size.isdigit() else None

    async def _cache_config(self) -> str:
        """vLLM's own words on its prefix cache, from its metrics."""
        try:
            page = (await self._server.beside("/metrics")).decode("utf-8", "replace")
        except EngineUnavailable:
            raise
        except EngineError:
            return ""
        match = _BLOCKS.search(page)
        return match.group(1) if match else ""

    # ------------------------------------------------------------------------------------------------------- requests

    async def _try(self, messages: Sequence[Mapping[str, Any]], fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer; None where the server is well and does not take this."""
        encoded = [json.dumps(message).encode() for message in messages]
        try:
            return await self._server.ask(
                encoded, {"model": self._model, **fields}, timeout_s=self._options.probe_timeout_s
            )
        except EngineUnavailable as error:
            if error.code != "engine_unavailable":
                raise
            await self._server.listing()  # some servers fail inside over a field they do not know, and are well
            return None
        except EngineError as error:
            if error.code in _NO:
                return None
            raise

    def _plain(self, found: Abilities) -> dict[str, Any]:
        return self._fields.text(found, 16, prefilled=False)

    def _turn(self, *, system: str | None = None, uuid: bool = False, named: bool = False) -> Messages:
        """A first turn with a small picture, by its bytes, its bytes and name, or its name alone."""
        url = None if named else {"url": self._data_url()}
        image = {"type": "image_url", "image_url": url} | ({"uuid": self._image.name} if uuid else {})
        text = {"type": "text", "text": f"{wire_format.time_tag(0.0)}\n"}
        system = wire_format.system_prompt() if system is None else system
        return [{"role": "system", "content": system}, {"role": "user", "content": [text, image]}]

    def _data_url(self) -> str:
        return "data:image/jpeg;base64," + b64encode(self._image.jpeg).decode("ascii")


def _picture() -> Image:
    """A grey ramp of 256x256: 64 image tokens."""
    ramp = np.linspace(0, 255, 256, dtype=np.uint8)
    return encode(np.repeat(np.repeat(ramp[None, :, None], 256, axis=0), 3, axis=2))


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def _prompt_tokens(answer: Mapping[str, Any]) -> int:
    return _positive(_dict(answer.get("usage")).get("prompt_tokens")) or 0


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
