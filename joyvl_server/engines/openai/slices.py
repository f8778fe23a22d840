"""What a session does between its ticks: warm the chunk that comes next, write texts that nobody waits for.

Warming sends the chunk's start up to a border: after a message, or after a line inside the long texts that stand at its
beginning (system prompt, video history). The server keeps what it computes, so each slice pays for its own part.
"""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.prompt.answer_parser import AnswerParser
from joyvl_server.core.prompt.turns import Chunk, Draft
from joyvl_server.core.prompt.wire_format import DELEGATION, RESPONSE, text_tokens
from joyvl_server.engines.base import Piece, Warmth
from joyvl_server.engines.openai.abilities import RequestFields
from joyvl_server.engines.openai.answers import ChatFormat, first_choice, text_of
from joyvl_server.engines.openai.conversation import (
    Conversation,
    EncodedMessage,
    MessageOptions,
    text_message,
    words_message,
)
from joyvl_server.engines.openai.server_state import ServerState, prompt_tokens


@dataclass(frozen=True, slots=True)
class WarmStep:
    """The messages of one slice. `tokens` of them are new, estimated; `done` when it reaches the end."""

    messages: tuple[EncodedMessage, ...]
    tokens: int
    turns: int
    done: bool
    whole: int
    chars: int


class WarmPlan:
    """How far a conversation is warm: `whole` messages, and `chars` of the text in the message after them."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self._whole = 0
        self._chars = 0

    @property
    def turns(self) -> int:
        """Turns that are warm, with all before them."""
        return self._turns(self._whole)

    def next(self, tokens: int) -> WarmStep | None:
        """The next slice of about `tokens`; None when all is warm. At least one line or message."""
        conversation = self.conversation
        whole, chars, spent = self._whole, self._chars, 0
        if self._done(whole, chars):
            return None
        while whole < len(conversation.messages):
            message, text = conversation.messages[whole], self._text(whole)
            cost = message.tokens - text_tokens(text[:chars])
            if spent + cost <= tokens or (spent == 0 and chars == len(text)):
                whole, chars, spent = whole + 1, 0, spent + cost
                continue
            border = _border(text, chars, tokens - spent, at_least_one=spent == 0)
            chars, spent = border, spent + text_tokens(text[chars:border])
            break
        else:
            if not conversation.turns:  # nothing but the prefix yet: it waits for the turn that it will stand in
                prefix = conversation.chunk.prefix
                border = _border(prefix, chars, tokens - spent, at_least_one=spent == 0)
                chars, spent = border, spent + text_tokens(prefix[chars:border])
        if spent == 0:
            return None
        return WarmStep(self._messages(whole, chars), spent, self._turns(whole), self._done(whole, chars), whole, chars)

    def did(self, cut: WarmStep) -> None:
        """The server has computed this slice."""
        self._whole, self._chars = cut.whole, cut.chars

    def _text(self, at: int) -> str:
        """The text in message `at` that may be cut: the system prompt, the prefix before the first turn."""
        conversation = self.conversation
        first = 1 if conversation.system else 0
        if at < first:
            return conversation.system
        return conversation.chunk.prefix if at == first else ""

    def _messages(self, whole: int, chars: int) -> tuple[EncodedMessage, ...]:
        conversation = self.conversation
        ready = tuple(conversation.messages[:whole])
        if chars == 0:
            return ready
        if whole == 0 and conversation.system:
            return (text_message("system", conversation.system[:chars]),)
        return (*ready, words_message(conversation.chunk.prefix[:chars]))

    def _done(self, whole: int, chars: int) -> bool:
        conversation = self.conversation
        if conversation.turns:  # the answer to the newest one comes with the next turn, as in the present chunk
            return whole >= len(conversation.messages) - 1
        return whole == len(conversation.messages) and chars == len(conversation.chunk.prefix)

    def _turns(self, whole: int) -> int:
        """Those whose pictures are in; their answers are a few tokens more."""
        return (max(0, whole - (1 if self.conversation.system else 0)) + 1) // 2


def _border(text: str, start: int, tokens: int, *, at_least_one: bool) -> int:
    """The end of the last line after `start` that `tokens` reach; `start` itself where not one fits."""
    border = start
    while border < len(text):
        end = text.find("\n", border) + 1 or len(text)
        cost = text_tokens(text[start:end])
        if cost > tokens and not (at_least_one and border == start):
            break
        border = end
        if cost > tokens:
            break
    return border


LEAST = 8
"""tokens of the shortest slice of writing: fewer may end inside one letter or marker, and never get on"""
_PLAIN = "Write plain text this time, not JSON."


class SliceRequests:
    """The prepared chunk and the draft being written. Each `warm` and `write` is one request.

    Cancelled, they abort it; the next one begins where this one did.
    """

    def __init__(self, server: ServerState, fields: RequestFields, options: MessageOptions) -> None:
        self._server = server
        self._fields = fields
        self._options = options
        self._warming: WarmPlan | None = None
        self._draft: _DraftPrompt | None = None

    @property
    def prepared(self) -> Conversation | None:
        return self._warming.conversation if self._warming else None

    def prepare(self, chunk: Chunk, format: ChatFormat) -> None:
        self._warming = WarmPlan(Conversation(chunk, format, self._options))

    def use_format(self, format: ChatFormat) -> None:
        """The model is spoken to otherwise from now on: what was warm is not any more."""
        if self._warming is not None and self._warming.conversation.format is not format:
            self._warming = WarmPlan(self._warming.conversation.in_format(format))

    def take(self, chunk: Chunk) -> Conversation | None:
        """The prepared conversation if it is this very chunk; no chunk is prepared after that."""
        prepared, self._warming = self.prepared, None
        return prepared if prepared is not None and prepared.holds(chunk) else None

    async def warm(self, tokens: int) -> Warmth:
        warming = self._warming
        if warming is None:
            return Warmth(turns=0, fresh=0, done=True)
        if not self._server.abilities.caches:
            return Warmth(turns=len(warming.conversation.turns), fresh=0, done=True)  # it keeps nothing warm
        cut = warming.next(tokens)
        if cut is None:
            return Warmth(turns=warming.turns, fresh=0, done=True)
        answer = await self._server.ask(cut.messages, self._fields.warm(self._server.abilities))
        warming.did(cut)
        prompt, cached = prompt_tokens(answer.get("usage"))
        return Warmth(cut.turns, prompt - cached if prompt else cut.tokens, cut.done)

    async def write(self, draft: Draft, so_far: str, tokens: int, format: ChatFormat) -> Piece:
        abilities = self._server.abilities
        script = self._draft
        if script is None or (script.id, script.format) != (draft.id, format) or not so_far:
            script = self._draft = _DraftPrompt(draft, format, self._options)
        # Opened for it, the model that knows the markers writes; else it might just be silent.
        opening = RESPONSE if abilities.mode == "scored" and draft.chunk is not None else ""
        begun = f"{opening}{so_far.rstrip()}" if abilities.prefills else ""
        # A server that cannot go on with a text writes it in one piece.
        most = max(LEAST, tokens) if abilities.prefills else draft.max_tokens
        most = min(most, max(LEAST, draft.max_tokens - script.tokens))
        messages = [*script.messages, text_message("assistant", begun)] if begun else script.messages
        answer = await self._server.ask(messages, self._fields.text(abilities, most, prefilled=bool(begun)))
        text, ended = _plain_text(text_of(answer), fresh=not begun)
        if begun and so_far[-1:].isspace():
            text = text.lstrip()
        script.tokens += most
        done = ended or first_choice(answer).get("finish_reason") != "length" or not abilities.prefills
        done = done or script.tokens >= draft.max_tokens
        if done:
            self._draft = None
        return Piece(text, done)


class _DraftPrompt:
    """The prompt of a draft, encoded once for all its slices, and how many tokens were spent on its text."""

    def __init__(self, draft: Draft, format: ChatFormat, options: MessageOptions) -> None:
        self.id = draft.id
        self.format = format
        self.tokens = 0
        self.messages: list[EncodedMessage] = []
        if draft.chunk is not None:
            conversation = Conversation(draft.chunk, format, options)
            for settled in draft.turns:
                conversation.add(settled)
            self.messages = conversation.messages
        elif draft.system:
            self.messages = [text_message("system", draft.system)]
        plain = format.marked or draft.chunk is None
        self.messages.append(words_message(draft.instruction if plain else f"{draft.instruction}\n{_PLAIN}"))


def _plain_text(text: str, *, fresh: bool) -> tuple[str, bool]:
    """The words before the first marker, and whether there was one. `fresh`: an opening marker may stand before."""
    text = text.rstrip("\ufffd")  # a letter that the limit cut in half comes whole in the next slice
    if fresh:
        text = text.lstrip().removeprefix(RESPONSE)
    parser = AnswerParser(opened=True, limit=max(1, 2 * len(text)))
    parser.feed(text)
    ended = parser.ended
    parser.finish()
    words, marker, _ = parser.take_rest().partition(DELEGATION)
    return words, ended or bool(marker)
