"""What a prompt is made of: pieces with their tokens, read from chat messages as the engine `openai` encodes them.

Text is counted close to what the model's tokenizer makes of it (a word, a digit, a sign each are a token, a marker is
one), where the product's own estimate stays on the high side.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from joyvl_server.core.prompt.turns import SILENCE
from joyvl_server.core.prompt.wire_format import image_tokens

HEAD, END = 3, 2
"""tokens of the chat template before and after a message"""
GROUP = 16
MEMO = 20_000

_TOKEN = re.compile(r"</\w+>|<\|\w+\|>| ?[^\W\d_]+|\d|\n+|\s|[^\w\s]|_")
LETTERS = 8
"""letters of a word that still are one token"""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a prompt that is always there whole. `image` tokens of it go through the vision tower."""

    key: str
    tokens: int
    image: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    text: str
    begun: tuple[Piece, ...]
    """without the message's end: an answer that is to be gone on with"""
    pieces: tuple[Piece, ...]
    images: tuple[str, ...] = ()
    """names of its pictures, in order"""
    missing: tuple[str, ...] = ()
    """pictures that were only named, and are not known (any more)"""


@lru_cache(maxsize=4096)
def tokens_of(text: str) -> tuple[str, ...]:
    """`text` cut into what counts as a token each."""
    found: list[str] = []
    for word in _TOKEN.findall(text):
        step = len(word) if word[0] == "<" else LETTERS + word.startswith(" ")
        found += [word[at : at + step] for at in range(0, len(word), step)]
    return tuple(found)


def text_pieces(text: str, group: int = GROUP) -> tuple[Piece, ...]:
    """Pieces of `group` tokens; 1 for text that grows, so that what was there is found again."""
    tokens = tokens_of(text)
    groups = (tokens[at : at + group] for at in range(0, len(tokens), group))
    return tuple(Piece("".join(group), len(group)) for group in groups)


def head(role: str) -> Piece:
    return Piece(f"<{role}>", HEAD)


END_PIECE = Piece("<end>", END)
HEAD_OF_ANSWER = head("assistant")
WHOLE = 400
"""tokens up to which a turn is one piece: it is there whole or not at all"""


class Reader:
    """Reads each message once. `size_of` tells the size in pixels of a picture from its bytes; `media` pictures are
    kept, the newest used: a message that only names one not kept has it in `missing`."""

    def __init__(self, size_of: Callable[[bytes], Size], *, media: int = 690) -> None:
        self._size_of = size_of
        self._limit = media
        self._media: OrderedDict[str, Size] = OrderedDict()
        self._memo: OrderedDict[bytes, Message] = OrderedDict()

    def read(self, encoded: bytes) -> Message:
        message = self._memo.get(encoded)
        if message is None or self._missing(message) != message.missing:
            message = self._memo[encoded] = self._read(json.loads(encoded))
            if len(self._memo) > MEMO:
                self._memo.popitem(last=False)
        return message

    def forget(self) -> None:
        """As after a restart: no picture is known any more."""
        self._media.clear()

    def _missing(self, message: Message) -> tuple[str, ...]:
        if not message.images:
            return ()
        for name in message.images:
            if name in self._media:
                self._media.move_to_end(name)
        return tuple(name for name in message.images if name not in self._media)

    def _read(self, message: dict[str, Any]) -> Message:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        pieces, texts, images, missing = [head(message["role"])], [], [], []
        group = 1 if message["role"] == "assistant" else GROUP
        for part in parts:
            if part["type"] == "text":
                texts.append(part["text"])
                pieces += text_pieces(part["text"], group)
                continue
            name, size = self._image(part)
            images.append(name)
            if size is None:
                missing.append(name)
                continue
            tokens = image_tokens(*size)
            pieces.append(Piece(name, tokens, tokens))
        text, whole = "".join(texts), (*pieces, END_PIECE)
        if sum(piece.tokens for piece in whole) <= WHOLE and (images or text == SILENCE):
            whole = (_joined(whole),)
        return Message(message["role"], text, tuple(pieces), whole, tuple(images), tuple(missing))

    def _image(self, part: dict[str, Any]) -> tuple[str, Size | None]:
        given = part.get("image_url")
        if given is None:
            name = part["uuid"]
            return name, self._media.get(name)
        url = given["url"]
        name = part.get("uuid") or hashlib.sha256(url.encode()).hexdigest()
        if name not in self._media:
            self._media[name] = self._size_of(b64decode(url.partition(",")[2][:64]))
            if len(self._media) > self._limit:
                self._media.popitem(last=False)
        self._media.move_to_end(name)
        return name, self._media[name]


def prompt_of(messages: Sequence[Message], *, prefilled: bool) -> tuple[Piece, ...]:
    """The whole prompt. `prefilled`: the last message is an answer that was begun; else the answer's head follows."""
    pieces: list[Piece] = []
    for message in messages[:-1] if prefilled else messages:
        pieces += message.pieces
    pieces += messages[-1].begun if prefilled else (HEAD_OF_ANSWER,)
    return tuple(pieces)


def _joined(pieces: Sequence[Piece]) -> Piece:
    key = " ".join(piece.key for piece in pieces)
    return Piece(key, sum(piece.tokens for piece in pieces), sum(piece.image for piece in pieces))
