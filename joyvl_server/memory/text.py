"""Texts of memories made fit to be kept and quoted: whatever a camera, a person or a client sends."""

from __future__ import annotations

import re
import unicodedata

from joyvl_server.core.texts import well_formed

MAX_CHARS = 4000
"""of one memory; the rest is cut off"""
MAX_QUESTION = 1000
"""characters of a question that count"""
_SPACE = re.compile(r"\s+")
_JOINERS = "\u200c\u200d"


def clean(text: str, most: int = MAX_CHARS) -> str:
    """One line without what nobody sees (control characters, marks that turn the direction of writing), at most `most`
    characters. Empty where nothing is left."""
    piece = well_formed(text[: 4 * most])
    shown = "".join(" " if c.isspace() else c for c in piece if c.isspace() or _is_shown(c))
    line = _SPACE.sub(" ", unicodedata.normalize("NFC", shown)).strip()
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn") or character in _JOINERS
