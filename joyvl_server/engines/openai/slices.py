"""What a session does between its ticks: warm the chunk that comes next, write texts that nobody waits for."""

from __future__ import annotations

from joyvl_server.core.prompt.answer_parser import AnswerParser
from joyvl_server.core.prompt.turns import Chunk, Draft
from joyvl_server.core.prompt.wire_format import DELEGATION, RESPONSE
from joyvl_server.engines.base import Piece, Warmth
from joyvl_server.engines.openai.conversation import Conversation, Style
from joyvl_server.engines.openai.fields import Fields
from joyvl_server.engines.openai.messages import EncodedMessage, text_message, words_message
from joyvl_server.engines.openai.reading import Wire
from joyvl_server.engines.openai.scores import first_choice, text_of
from joyvl_server.engines.openai.shared import ServerState, prompt_tokens
from joyvl_server.engines.openai.warming import WarmPlan

LEAST = 8
"""tokens of the shortest slice of writing: fewer may end inside one letter or marker, and never get on"""
_PLAIN = "Write plain text this time, not JSON."


class Slices:
    """The prepared chunk and the draft being written. Each `warm` and `write` is one request."""

    def __init__(self, link: ServerState, fields: Fields, style: Style) -> None:
        self._link = link
        self._fields = fields
        self._style = style
        self._warming: WarmPlan | None = None
        self._draft: _Manuscript | None = None

    @property
    def prepared(self) -> Conversation | None:
        return self._warming.conversation if self._warming else None

    def prepare(self, chunk: Chunk, wire: Wire) -> None:
        self._warming = WarmPlan(Conversation(chunk, wire, self._style))

    def respell(self, wire: Wire) -> None:
        """The model is spoken to otherwise from now on: what was warm is not any more."""
        if self._warming is not None and self._warming.conversation.wire is not wire:
            self._warming = WarmPlan(self._warming.conversation.anew(wire))

    def take(self, chunk: Chunk) -> Conversation | None:
        """The prepared conversation if it is this very chunk; no chunk is prepared after that."""
        prepared, self._warming = self.prepared, None
        return prepared if prepared is not None and prepared.holds(chunk) else None

    async def warm(self, tokens: int) -> Warmth:
        warming = self._warming
        if warming is None:
            return Warmth(turns=0, fresh=0, done=True)
        if not self._link.abilities.caches:
            return Warmth(turns=len(warming.conversation.turns), fresh=0, done=True)  # it keeps nothing warm
        cut = warming.next(tokens)
        if cut is None:
            return Warmth(turns=warming.turns, fresh=0, done=True)
        answer = await self._link.ask(cut.messages, self._fields.warm(self._link.abilities))
        warming.did(cut)
        prompt, cached = prompt_tokens(answer.get("usage"))
        return Warmth(cut.turns, prompt - cached if prompt else cut.tokens, cut.done)

    async def write(self, draft: Draft, so_far: str, tokens: int, wire: Wire) -> Piece:
        abilities = self._link.abilities
        script = self._draft
        if script is None or (script.id, script.wire) != (draft.id, wire) or not so_far:
            script = self._draft = _Manuscript(draft, wire, self._style)
        # Opened for it, the model that knows the markers writes; else it might just be silent.
        opening = RESPONSE if abilities.mode == "scored" and draft.chunk is not None else ""
        begun = f"{opening}{so_far.rstrip()}" if abilities.prefills else ""
        # A server that cannot go on with a text writes it in one piece.
        most = max(LEAST, tokens) if abilities.prefills else draft.max_tokens
        most = min(most, max(LEAST, draft.max_tokens - script.tokens))
        messages = [*script.messages, text_message("assistant", begun)] if begun else script.messages
        answer = await self._link.ask(messages, self._fields.text(abilities, most, prefilled=bool(begun)))
        text, ended = _plain_text(text_of(answer), fresh=not begun)
        if begun and so_far[-1:].isspace():
            text = text.lstrip()
        script.tokens += most
        done = ended or first_choice(answer).get("finish_reason") != "length" or not abilities.prefills
        done = done or script.tokens >= draft.max_tokens
        if done:
            self._draft = None
        return Piece(text, done)


class _Manuscript:
    """The prompt of a draft, encoded once for all its slices, and how many tokens were spent on its text."""

    def __init__(self, draft: Draft, wire: Wire, style: Style) -> None:
        self.id = draft.id
        self.wire = wire
        self.tokens = 0
        self.messages: list[EncodedMessage] = []
        if draft.chunk is not None:
            talk = Conversation(draft.chunk, wire, style)
            for settled in draft.turns:
                talk.add(settled)
            self.messages = talk.messages
        elif draft.system:
            self.messages = [text_message("system", draft.system)]
        plain = wire.marked or draft.chunk is None
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
