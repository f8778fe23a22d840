"""Which part of a prepared chunk goes through the server's prefix cache next.

Each slice sends the chunk's start up to a border: after a message, or after a line inside the long texts that stand at
its beginning (system prompt, video history). The server keeps what it computes, so each slice pays for its own part.
"""

from __future__ import annotations

from dataclasses import dataclass

from joyvl_server.core.prompt.wire_format import text_tokens
from joyvl_server.engines.openai.conversation import Conversation
from joyvl_server.engines.openai.messages import EncodedMessage, text_message, words_message


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
        talk = self.conversation
        whole, chars, spent = self._whole, self._chars, 0
        if self._done(whole, chars):
            return None
        while whole < len(talk.messages):
            message, text = talk.messages[whole], self._text(whole)
            cost = message.tokens - text_tokens(text[:chars])
            if spent + cost <= tokens or (spent == 0 and chars == len(text)):
                whole, chars, spent = whole + 1, 0, spent + cost
                continue
            border = _border(text, chars, tokens - spent, at_least_one=spent == 0)
            chars, spent = border, spent + text_tokens(text[chars:border])
            break
        else:
            if not talk.turns:  # nothing but the prefix yet: it waits for the turn that it will stand in
                prefix = talk.chunk.prefix
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
        talk = self.conversation
        first = 1 if talk.system else 0
        if at < first:
            return talk.system
        return talk.chunk.prefix if at == first else ""

    def _messages(self, whole: int, chars: int) -> tuple[EncodedMessage, ...]:
        talk = self.conversation
        ready = tuple(talk.messages[:whole])
        if chars == 0:
            return ready
        if whole == 0 and talk.system:
            return (text_message("system", talk.system[:chars]),)
        return (*ready, words_message(talk.chunk.prefix[:chars]))

    def _done(self, whole: int, chars: int) -> bool:
        talk = self.conversation
        if talk.turns:  # the answer to the newest one comes with the next turn, as in the present chunk
            return whole >= len(talk.messages) - 1
        return whole == len(talk.messages) and chars == len(talk.chunk.prefix)

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
