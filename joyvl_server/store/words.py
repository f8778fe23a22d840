"""Words as FTS5 (tokenizer unicode61) finds them, in Chinese, Japanese and Korean too.

These languages are written without spaces between words. Each of their characters becomes a word of its own, so that
any piece of a sentence is found as a phrase, a single character too.
"""

from __future__ import annotations

import re
import unicodedata

MAX_TERMS = 64
"""more words than these are left out"""
_CJK = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = ("L", "N")


def spaced(text: str) -> str:
    """The text as it is indexed: a space round each Chinese, Japanese and Korean character."""
    return " ".join(_CJK.sub(r" \g<0> ", _normal(text)).split())


def match_expression(query: str) -> str | None:
    """An FTS5 expression for what somebody typed: every word of it must occur. None where there is no word in it.

    What FTS5 has operators for is only a word here (`AND`, `NEAR`), or nothing (`"`, `(`, `^`, `-`, `:`). `smok*` finds
    what begins so.
    """
    phrases = []
    for piece in _normal(query).replace('"', " ").split():
        if any(unicodedata.category(c)[0] in _WORD for c in piece):
            begins = piece.endswith("*") and not _CJK.match(piece[-2])
            phrases.append(f'"{spaced(piece)}"{"*" if begins else ""}')
    return " AND ".join(list(dict.fromkeys(phrases))[:MAX_TERMS]) or None


def _normal(text: str) -> str:
    """Full-width letters become ordinary ones; what cannot be written as UTF-8, and NUL, is left out."""
    clean = text.encode("utf-8", "ignore").decode("utf-8").replace("\0", " ")
    return unicodedata.normalize("NFKC", clean)
