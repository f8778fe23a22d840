"""The chat messages of one chunk: each is encoded once, when it joins, and a request only strings them together.

A picture stands in its message by its bytes (a data URL), or, where the server has it already, by its name alone.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joyvl_server.core.frame import Image
from joyvl_server.core.prompt.turns import Chunk, ImagePart, Part, SettledTurn, TextPart, UserTurn
from joyvl_server.core.prompt.wire_format import answer_tokens, user_parts, user_turn_tokens
from joyvl_server.engines.openai.answers import ChatFormat


class EncodedMessage:
    """One message. `images` are its pictures; `tokens` is what it costs, estimated.

    `whole` holds their bytes; `named` refers to them by name (`Image.name`), which vLLM calls uuid.
    """

    __slots__ = ("_detail", "_pieces", "_plain", "images", "named", "tokens")

    def __init__(self, pieces: Sequence[bytes | Image], tokens: int, detail: str | None = None) -> None:
        self._pieces = tuple(pieces)
        self._detail = detail
        self._plain: bytes | None = None
        self.images = tuple(piece for piece in pieces if isinstance(piece, Image))
        self.tokens = tokens
        self.named = b"".join(_named(piece) if isinstance(piece, Image) else piece for piece in pieces)

    def whole(self, known: Container[str]) -> bytes:
        """With the bytes of the pictures, each with its name, but for those that are `known` already."""
        return b"".join(
            piece
            if not isinstance(piece, Image)
            else _named(piece)
            if piece.sha256 in known
            else _bytes(piece, self._detail, name=True)
            for piece in self._pieces
        )

    def plain(self) -> bytes:
        """With the bytes of the pictures and no names, for servers that know none. Kept, for it is sent each time."""
        if self._plain is None:
            self._plain = b"".join(
                _bytes(piece, self._detail, name=False) if isinstance(piece, Image) else piece for piece in self._pieces
            )
        return self._plain

    def and_words(self, text: str) -> EncodedMessage:
        """This user message with one text more at its end: many chat templates refuse two user messages in a row."""
        *pieces, end = self._pieces
        more = _encode({"type": "text", "text": f"\n{text}"})
        return EncodedMessage([*pieces, b",", more, end], self.tokens + answer_tokens(text), self._detail)


def text_message(role: str, text: str) -> EncodedMessage:
    return EncodedMessage([_encode({"role": role, "content": text})], answer_tokens(text))


def user_message(parts: Sequence[Part], detail: str | None = None) -> EncodedMessage:
    """A user turn of text and pictures."""
    pieces: list[bytes | Image] = [b'{"role":"user","content":[']
    for at, part in enumerate(parts):
        if at:
            pieces.append(b",")
        if isinstance(part, ImagePart):
            pieces.append(part.image)
        else:
            pieces.append(_encode({"type": "text", "text": part.text}))
    return EncodedMessage([*pieces, b"]}"], user_turn_tokens(tuple(parts)), detail)


def words_message(text: str) -> EncodedMessage:
    """User text without a picture, in the shape of a turn: a server renders both alike."""
    return user_message((TextPart(text),))


def request_body(fields: Mapping[str, Any], messages: Sequence[bytes]) -> bytes:
    """One request: the messages as they are, then the other fields."""
    return b'{"messages":[' + b",".join(messages) + b"]," + _encode(fields)[1:]


def _named(image: Image) -> bytes:
    return _encode({"type": "image_url", "image_url": None, "uuid": image.name})


def _bytes(image: Image, detail: str | None, *, name: bool) -> bytes:
    url = {"url": "data:image/jpeg;base64," + b64encode(image.jpeg).decode("ascii")}
    if detail is not None:
        url["detail"] = detail
    part: dict[str, Any] = {"type": "image_url", "image_url": url}
    return _encode(part | {"uuid": image.name} if name else part)


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What all conversations of a session have in common."""

    separator: str = "\n"
    detail: str | None = None


class Conversation:
    """A chunk and the turns that settled in it, as messages."""

    def __init__(self, chunk: Chunk, format: ChatFormat, options: MessageOptions) -> None:
        self.chunk = chunk
        self.format = format
        self.system = format.system(chunk.system)
        self.messages: list[EncodedMessage] = [text_message("system", self.system)] if self.system else []
        self.turns: list[SettledTurn] = []
        self._options = options
        for settled in chunk.lead:
            self.add(settled)

    def user(self, turn: UserTurn) -> EncodedMessage:
        """The turn as it would stand next; the chunk's prefix stands in the first one only."""
        prefix = "" if self.turns else self.chunk.prefix
        return user_message(user_parts(turn, prefix=prefix, separator=self._options.separator), self._options.detail)

    def add(self, settled: SettledTurn, user: EncodedMessage | None = None) -> None:
        """A turn that settled; `user` is its message, where that is encoded already."""
        self.messages += [
            user or self.user(settled.user),
            text_message("assistant", self.format.answer(settled.answer)),
        ]
        self.turns.append(settled)

    def in_format(self, format: ChatFormat) -> Conversation:
        """The same turns for a model that is spoken to otherwise."""
        other = Conversation(self.chunk, format, self._options)
        for settled in self.turns[len(self.chunk.lead) :]:
            other.add(settled)
        return other

    def holds(self, chunk: Chunk) -> bool:
        """Is it, with all its turns, this very chunk?"""
        mine = self.chunk
        return (
            (mine.number, mine.system, mine.prefix) == (chunk.number, chunk.system, chunk.prefix)
            and len(self.turns) == len(chunk.lead)
            and all(a.user == b.user and a.answer == b.answer for a, b in zip(self.turns, chunk.lead, strict=True))
        )
