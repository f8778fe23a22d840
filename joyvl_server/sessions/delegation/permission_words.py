"""Whether somebody said yes or no to what an agent asks for: English, German and Chinese."""

from __future__ import annotations

import re

from joyvl_server.core.decision.repetition import normal

_YES = re.compile(
    r"(?:yes|yeah|yep|sure|ok|okay|allow(?: it)?|go ahead|do it|you may|approved?|ja|klar|erlaubt?|mach (?:es|das)"
    r"|in ordnung|是的?|好的?|可以|行|允许|同意|没问题)(?: (?:please|bitte|thanks|danke))?(?:吧)?"
)
_NO = re.compile(
    r"(?:no|nope|don t(?: do (?:it|that))?|do not|deny|denied|reject|stop|not now|nein|nicht|ablehnen|verboten"
    r"|lass (?:es|das)|不|不行|不可以|不要|不允许|拒绝|别)(?: (?:please|bitte|thanks|danke))?"
)


def said_yes(text: str) -> bool | None:
    """None: it is neither."""
    words = normal(text)[:80].strip()
    if _YES.fullmatch(words):
        return True
    return False if _NO.fullmatch(words) else None
