"""Cuts a sentence into clauses, so that the first sound need not wait for the last word. Plain Python, for workers."""

from __future__ import annotations

import re

_ENDS = re.compile(r"[,;:，；：、。！？.!?…—](?=\s|$|[^\x00-\x7f])|[，；：、。！？]|\s[-–—]\s")
_JOINS = re.compile(
    r"\s(?=(?:and|or|but|because|if|that|when|while|where|who|which|so|until|since|from|with|to|in|at|on|of)\s)"
    r"|(?<=时候)|(?<=[了着])(?=[\u4e00-\u9fff]{4})",
    re.IGNORECASE,
)
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef]")
WIDE = 3.0
"""A Chinese character takes about as long to say as this many Latin letters."""


def weight(text: str) -> float:
    """How long it takes to say, in Latin letters."""
    return len(text) + (WIDE - 1) * len(_WIDE.findall(text))


def ends_with_mark(text: str) -> bool:
    return _ENDS.search(text.rstrip()[-1:]) is not None


def clauses(text: str, first: float = 14.0, longest: float = 110.0, early: float | None = None) -> list[str]:
    """The text in pieces that together are the text. The first is as short as makes sense (`first`: its least weight);
    the others are joined up to `longest`. Without a mark it is cut before a joining word, at a space, or anywhere.

    `early`: the weight from which on a text is cut before a joining word already to have a short first piece; None:
    two and a half times `first`.
    """
    found: list[str] = []
    current = ""
    if weight(text) > (2.5 * first if early is None else early) and (cut := _early_cut(text, first)):
        found, text = [text[:cut]], text[cut:]
    for piece in _pieces(text, longest):
        enough = weight(current) >= (first if not found else longest / 2)
        if current and (enough or weight(current) + weight(piece) > longest):
            found.append(current)
            current = piece
        else:
            current += piece
    if current:
        found.append(current)
    return found


def _early_cut(text: str, first: float) -> int:
    """Where the first piece ends if no mark comes soon: before a word that begins a new thought; 0 for nowhere."""
    mark = _ENDS.search(text)
    for match in _JOINS.finditer(text):
        if weight(text[: match.start()]) >= first:
            sooner = mark is None or match.end() < mark.start()
            return match.end() if sooner and weight(text[match.end() :]) >= first else 0
    return 0


def _pieces(text: str, longest: float) -> list[str]:
    """Cut behind every mark; what is longer than `longest` also at spaces, or in the middle of a word."""
    pieces: list[str] = []
    begin = 0
    for match in _ENDS.finditer(text):
        pieces.append(text[begin : match.end()])
        begin = match.end()
    pieces.append(text[begin:])
    return [short for piece in pieces if piece for short in _shorten(piece, longest)]


def _shorten(piece: str, longest: float) -> list[str]:
    parts: list[str] = []
    while weight(piece) > longest:
        end = len(piece)
        while end > 1 and weight(piece[:end]) > longest:
            end = max(1, min(end - 1, int(end * longest / weight(piece[:end]))))
        space = piece.rfind(" ", end // 2, end)
        end = space + 1 if space > 0 else end
        parts.append(piece[:end])
        piece = piece[end:]
    return [*parts, piece] if piece else parts
