"""What things cost in tokens: images exactly as the model family counts them, text as an estimate on the high side."""

from __future__ import annotations

import math
import re

from joyvl_server.core.prompt.turns import ImagePart, TextPart

PATCH = 32
"""pixels of one image token's side"""
MIN_PIXELS = 65_536
"""smaller pictures are scaled up to this: 64 tokens"""
IMAGE_MARKERS = 2
MESSAGE = 6
"""tokens the chat template puts around one message"""
_WORDS = re.compile("[A-Za-z ]+")


def image_tokens(width: int, height: int) -> int:
    """Tokens of one image of `width` x `height` pixels (both at least 1), its two markers included."""
    columns, rows = round(width / PATCH), round(height / PATCH)
    if columns * rows * PATCH * PATCH < MIN_PIXELS:
        scale = math.sqrt(MIN_PIXELS / (width * height))
        columns, rows = math.ceil(width * scale / PATCH), math.ceil(height * scale / PATCH)
    return columns * rows + IMAGE_MARKERS


def text_tokens(text: str) -> int:
    """Estimated tokens of `text`.

    The tokenizer keeps every digit apart and most punctuation; words of Latin letters take a token per three to five
    letters, other scripts a token or two per letter.
    """
    rest = _WORDS.sub("", text)
    letters, ascii_rest = len(text) - len(rest), len(rest.encode("ascii", "ignore"))
    return math.ceil(letters / 3) + ascii_rest + 2 * (len(rest) - ascii_rest)


def user_turn_tokens(parts: tuple[TextPart | ImagePart, ...]) -> int:
    """Tokens of one rendered user message."""
    return MESSAGE + sum(_part_tokens(part) for part in parts)


def answer_tokens(answer: str) -> int:
    """Tokens of one assistant message."""
    return MESSAGE + text_tokens(answer)


def _part_tokens(part: TextPart | ImagePart) -> int:
    if isinstance(part, TextPart):
        return text_tokens(part.text)
    image = part.image
    return image_tokens(image.width, image.height)
