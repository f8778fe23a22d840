"""A few words of a long answer: for the model's prompt and for the voice. Plain text, without Markdown."""

from __future__ import annotations

import re

LONGEST = 600
"""characters"""
_FENCE = re.compile(r"(?ms)^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)")
_IMAGE = re.compile(r"!\[[^\]\n]*\]\((?:[^()\n]|\([^()\n]*\))*\)")
_LINK = re.compile(r"\[([^\]\n]+)\]\((?:[^()\n]|\([^()\n]*\))*\)")
_HEADING = re.compile(r"(?m)^[ \t]*#{1,6}[ \t]+(.*?[^\s.!?:。！？：])[ \t#]*$")
_TABLE = re.compile(r"(?m)^[ \t]*\|.*$\n?")
_MARKS = re.compile(
    r"(?m)^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+|\d+[.)][ \t]+)|[*_`~]{1,3}(?=\S)|(?<=\S)[*_`~]{1,3}"
)
_TAG = re.compile(r"<[^<>\n]{1,200}>")
_END = re.compile(r"[.!?。！？](?=\s|$|[^\x00-\x7f])")


def digest_of(answer: str, longest: int = LONGEST) -> str:
    """Whole sentences from its start, at most `longest` characters. Code and tables are left out; where nothing else is
    there it says so."""
    text = _TAG.sub(" ", _IMAGE.sub(" ", _FENCE.sub(" ", answer[: 20 * longest])))
    text = " ".join(_MARKS.sub("", _LINK.sub(r"\1", _HEADING.sub(r"\1.", _TABLE.sub(" ", text)))).split())
    if not text:
        return "The answer is code or a table: it is on the page." if answer.strip() else ""
    if len(text) <= longest:
        return text
    ends = [match.end() for match in _END.finditer(text[:longest])]
    if ends and ends[-1] > longest // 4:
        return text[: ends[-1]]
    cut = text.rfind(" ", longest // 2, longest - 1)
    return text[: cut if cut > 0 else longest - 1].rstrip() + "…"
