"""One session's conversation with an OpenAI-compatible server.

Scored: `score` is one token whose log-probabilities tell silent from speak, and `say` is the same prompt with
`</response>` begun for the model. As text: `score` reads a streamed answer until it is certainly silent, spoken or
garbage, and `say` reads on in it. Inside a chunk the messages only grow: a prefix cache pays for the new turn.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import EngineError
from joyvl_server.core.prompt.answer_parser import AnswerParser, Verdict
from joyvl_server.core.prompt.turns import SILENCE, Chunk, Draft, SettledTurn, UserTurn
from joyvl_server.core.prompt.wire_format import RESPONSE
from joyvl_server.engines.base import EngineSpec, Piece, Warmth
from joyvl_server.engines.openai.abilities import LETTERS, RequestFields
from joyvl_server.engines.openai.answers import AnswerReader, ChatFormat, score_of_text, shares_of, text_of
from joyvl_server.engines.openai.conversation import (
    Conversation,
    EncodedMessage,
    MessageOptions,
    text_message,
    words_message,
)
from joyvl_server.engines.openai.instruct import letter_format, letter_of
from joyvl_server.engines.openai.options import OpenAIOptions
from joyvl_server.engines.openai.server_state import ServerState
from joyvl_server.engines.openai.slices import SliceRequests
from joyvl_server.engines.openai.stream import Completion
from joyvl_server.engines.openai.waiting import Waiting, now

DRAIN_S = 0.05
"""After the last word: how long its connection may take to become free for the next tick."""


class OpenAISession:
    """See `EngineSession`. It holds the messages of the chunk, the turn that waits, and the answer on its way."""

    def __init__(
        self,
        server: ServerState,
        options: OpenAIOptions,
        spec: EngineSpec,
        formats: tuple[ChatFormat, ChatFormat],
        open_sessions: set[OpenAISession],
    ) -> None:
        self._server = server
        self._options = options
        self._formats = formats
        self._open_sessions = open_sessions
        open_sessions.add(self)
        self._fields = RequestFields(options)
        self._message_options = MessageOptions(spec.separator, options.image_detail)
        self._slices = SliceRequests(server, self._fields, self._message_options)
        self._waiting = Waiting(server.url)
        self._conversation: Conversation | None = None
        self._turn: UserTurn | None = None
        self._message: EncodedMessage | None = None
        self._answer: AnswerReader | None = None
        self._scored = False
        """the turn was scored by shares: `say` begins an answer of its own"""
        self._stream: Completion | None = None

    # -------------------------------------------------------------------------------------------------------- a turn

    async def begin(self, chunk: Chunk) -> None:
        self._waiting.check_open()
        await self._forget_turn()
        format = self._format()
        self._slices.use_format(format)
        self._conversation = self._slices.take(chunk) or Conversation(chunk, format, self._message_options)

    async def append(self, turn: UserTurn) -> None:
        self._waiting.check_open()
        if self._conversation is None or self._turn is not None:
            raise _misuse("append() comes after begin(), settle() or rollback()")
        format = self._format()
        if self._conversation.format is not format:  # it turned out that the model must be spoken to otherwise
            self._conversation = self._conversation.in_format(format)
            self._slices.use_format(format)
        self._turn, self._message = turn, self._conversation.user(turn)

    async def score(self) -> Score:
        conversation, messages = self._prompt("score()")
        await self._drop()
        self._answer = None
        self._scored = conversation.format.marked and self._server.abilities.mode == "scored"
        async with self._wait(self._options.timeout_s, "decided nothing within {:g} s"):
            return await self._shares(messages) if self._scored else await self._read(conversation.format, messages)

    async def say(self) -> AsyncGenerator[str, None]:
        """Yields nothing where the turn was read as no response."""
        _, messages = self._prompt("say()")
        answer = self._answer
        if answer is None and not self._scored:
            raise _misuse("say() comes after score()")
        if answer is not None and (answer.verdict is not Verdict.RESPONSE or self._stream is None):
            return
        until = now() + self._options.answer_timeout_s
        late = "still had not ended its answer after {:g} s"
        if answer is None:
            async with self._wait(self._options.timeout_s, "began no answer within {:g} s"):
                answer = await self._begin_answer(messages)
        stream = self._stream
        try:
            while True:
                if rest := answer.take_rest():
                    yield rest
                if answer.ended or stream is None:
                    return
                async with self._wait(self._options.answer_timeout_s, late, until):
                    _read_on(answer, await stream.read())
        finally:
            if not answer.ended and self._stream is stream:
                await self._drop()

    async def choose(self, question: str, options: Sequence[str]) -> tuple[float, ...]:
        conversation, messages = self._prompt("choose()")
        letters, abilities = "".join(options), self._server.abilities
        if not abilities.chooses or not letters or not set(options) <= set(LETTERS):
            return ()
        scored = conversation.format.marked and abilities.mode == "scored"
        async with self._wait(self._options.timeout_s, "chose nothing within {:g} s"):
            if scored:
                asked = [*messages, words_message(question)]
                ids = [abilities.letters[LETTERS.index(letter)] for letter in options]
                answer = await self._server.ask(asked, self._fields.shares(abilities, ids))
                return shares_of(answer, ids, options, exact=abilities.scoring == "ids")
            asked = [*messages[:-1], messages[-1].and_words(question)]
            schema = letter_format(letters) if abilities.schemas else None
            answer = await self._server.ask(asked, self._fields.letter(abilities, schema))
        chosen = letter_of(text_of(answer), letters)
        return tuple(float(letter == chosen) for letter in options) if chosen else ()

    async def settle(self, answer: str) -> None:
        conversation, _ = self._prompt("settle()")
        assert self._turn is not None
        settled = SettledTurn(self._turn.kept(), answer)
        conversation.add(settled, self._message)
        if (prepared := self._slices.prepared) is not None:
            prepared.add(prepared.chunk.leading(settled))
        heard = self._answer
        # The end of an answer that nobody cuts short is a few milliseconds away: wait for it and keep the connection.
        whole = heard is not None and (heard.verdict is Verdict.SILENT or heard.ended)
        await self._forget_turn(drain=whole)

    async def rollback(self) -> None:
        self._waiting.check_open()
        await self._forget_turn()

    async def aclose(self) -> None:
        """Whatever another task still waits for ends at once, with an `EngineError` (code engine_closed)."""
        await self._waiting.close()
        await self._forget_turn()
        self._conversation = None
        self._open_sessions.discard(self)

    # -------------------------------------------------------------------------------------------------------- slices

    async def prepare(self, chunk: Chunk) -> None:
        self._waiting.check_open()
        self._slices.prepare(chunk, self._format())

    async def warm(self, tokens: int) -> Warmth:
        async with self._wait(self._options.timeout_s, "did not warm up within {:g} s"):
            return await self._slices.warm(tokens)

    async def write(self, draft: Draft, so_far: str, tokens: int) -> Piece:
        async with self._wait(self._options.answer_timeout_s, "wrote nothing within {:g} s"):
            return await self._slices.write(draft, so_far, tokens, self._format())

    # ------------------------------------------------------------------------------------------------------ requests

    async def _shares(self, messages: list[EncodedMessage]) -> Score:
        abilities = self._server.abilities
        assert abilities.silence_id is not None
        assert abilities.response_id is not None
        ids = (abilities.silence_id, abilities.response_id)
        try:
            answer = await self._server.ask(messages, self._fields.shares(abilities, ids))
        except EngineError as error:
            if error.code == "engine_refused":
                self._server.doubt(str(error))
            raise
        shares = shares_of(answer, ids, (SILENCE, RESPONSE), exact=abilities.scoring == "ids")
        if shares:
            return Score(shares[1])
        self._server.doubt("no log-probabilities came")
        return score_of_text(answer, AnswerParser())

    async def _read(self, format: ChatFormat, messages: list[EncodedMessage]) -> Score:
        self._answer = answer = format.reader()
        stream = await self._open(
            messages, self._fields.answer(self._server.abilities) | _response_format(format, self._server)
        )
        while answer.verdict is Verdict.PENDING:
            _read_on(answer, await stream.read())
        if answer.verdict is Verdict.GARBAGE:
            await self._drop()
            return Score(0.0, garbage=answer.garbage or "(an empty answer)")
        return Score(1.0 if answer.verdict is Verdict.RESPONSE else 0.0)

    async def _begin_answer(self, messages: list[EncodedMessage]) -> AnswerReader:
        """What is said to a turn that was scored: after an opening made for it, or, where that cannot be, after its
        own, which is then dropped."""
        abilities = self._server.abilities
        prefilled = abilities.prefills
        asked = [*messages, text_message("assistant", RESPONSE)] if prefilled else messages
        self._answer = answer = AnswerParser(opened=prefilled)
        await self._open(asked, self._fields.answer(abilities, prefilled=prefilled))
        return answer

    async def _open(self, messages: Sequence[EncodedMessage], fields: Mapping[str, Any]) -> Completion:
        self._stream = stream = await self._server.stream(messages, fields)
        return stream

    @asynccontextmanager
    async def _wait(self, seconds: float, late: str, until: float | None = None) -> AsyncGenerator[None, None]:
        """A wait for the server. Whatever ends it early also aborts the request."""
        try:
            async with self._waiting.until(now() + seconds if until is None else until, late.format(seconds)):
                yield
        except BaseException:
            await self._drop()
            raise

    async def _drop(self, *, drain: bool = False) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        if drain:
            await stream.drain(DRAIN_S)
        else:
            await stream.aclose()
        self._server.usage.count(stream.usage)

    async def _forget_turn(self, *, drain: bool = False) -> None:
        self._turn = self._message = self._answer = None
        self._scored = False
        await self._drop(drain=drain)

    def _format(self) -> ChatFormat:
        markers, instruct = self._formats
        return instruct if self._server.abilities.mode == "instruct" else markers

    def _prompt(self, call: str) -> tuple[Conversation, list[EncodedMessage]]:
        self._waiting.check_open()
        if self._conversation is None or self._message is None:
            raise _misuse(f"{call} comes after append()")
        return self._conversation, [*self._conversation.messages, self._message]


def _response_format(format: ChatFormat, server: ServerState) -> dict[str, Any]:
    return {"response_format": format.response_format} if format.response_format and server.abilities.schemas else {}


def _read_on(answer: AnswerReader, text: str | None) -> None:
    if text is None:
        answer.finish()
    else:
        answer.feed(text)


def _misuse(sentence: str) -> EngineError:
    return EngineError(f"The engine was called out of order: {sentence}.", code="engine_misuse")
