"""Texts of others, without what makes them look other than they are: control characters, hidden ones, turned
directions. A terminal would obey some of these, and people or models would not see the rest."""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\u200c\u200d"
_BREAKS = re.compile("\r\n|[\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")
_UNSEEN = "\u115f\u1160\u2800\u3164\uffa0"
"""letters and signs that are drawn as nothing"""
_HIDDEN = ("Cc", "Cf", "Cs", "Co")


def visible(text: str, *, instead: str = "\N{REPLACEMENT CHARACTER}", joiners: bool = False) -> str:
    """`instead` stands where something was hidden; tabs stay, and line breaks of every kind are one kind.

    `joiners`: the two invisible characters stay that some scripts, and emoji, are written with.
    """
    kept = "\n\t" + (_JOINERS if joiners else "")
    text = _BREAKS.sub("\n", text)
    hidden = {ord(c): instead for c in set(text) if c not in kept and unicodedata.category(c) in _HIDDEN}
    return text.translate(hidden) if hidden else text


def one_line(text: str, *, joiners: bool = False) -> str:
    """The same with single spaces in place of all white space."""
    return " ".join(visible(text, joiners=joiners).split())


def looks_empty(line: str) -> bool:
    """Is there nothing in it that anybody could see?"""
    return not line.translate(dict.fromkeys(map(ord, _UNSEEN))).strip()
