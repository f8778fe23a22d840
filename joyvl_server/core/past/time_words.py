"""When does a text mean? English, German and Chinese: "yesterday evening", "gestern gegen acht", "昨天下午三点到四点".

Its words of time are found one by one, the longest first; those that stand together are a point or a stretch of time.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from joyvl_server.core.past import chinese, english, german
from joyvl_server.core.past.atoms import Found, NoTime
from joyvl_server.core.past.spans import Calendar, Moment, Span
from joyvl_server.core.past.stretches import Stretches
from joyvl_server.core.watches.kind_words import SIMPLIFIED

MOST = 500
"""This many characters of a text are read."""

_RULES = (*english.RULES, *german.RULES, *chinese.RULES)
_HINTS = re.compile("|".join((english.HINTS, german.HINTS, chinese.HINTS)))
_GLUE = re.compile(r"[\s,;的]*(?:(?:in|of|on|the|at|um|am|im|an|it was|der|den|dem|das|die|was|zur|在|是) )*[\s,]*")
_STARTS = re.compile(r"(?<!\w)\w|(?<=[\W_])\w|[\u3400-\u9fff\d–—~～-]|\s(?=[-–])")
_UMLAUTS = str.maketrans("äöüß’", "aous'")


@dataclass(frozen=True, slots=True)
class TimeReading:
    """What a text says about when. No `spans`: nothing, or `ever`. `not_understood`: words that speak of a time which
    nobody can tell; whoever answers has to say so. `rest`: the text without its words of time."""

    spans: tuple[Span, ...] = ()
    not_understood: tuple[str, ...] = ()
    rest: str = ""
    ever: bool = False
    future: bool = False
    """all of it is still to come"""

    @property
    def span(self) -> Span | None:
        """All of `spans`, and what lies between them."""
        return Span(self.spans[0].start, self.spans[-1].end) if self.spans else None

    def contains(self, wall: float) -> bool:
        """True where nothing is said about when."""
        return not self.spans or any(span.start <= wall < span.end for span in self.spans)


def read_time(text: str, now: float, calendar: Calendar) -> TimeReading:
    """`now` in Unix seconds. Never raises, whatever the text is."""
    text = unicodedata.normalize("NFC", " ".join(text[:MOST].split()))
    moment = Moment(now, calendar)
    found = _find(plain(text), moment)
    result = Stretches(moment)
    for group in _groups(found, plain(text)):
        result.take(group)
    spans = result.spans()
    used = sorted(result.used, key=lambda item: item.start)
    rest = _without(text, used)
    unknown = [item.atom.text for item in used if isinstance(item.atom, NoTime)]
    unknown += [words for start, end in _hinted(plain(text), used) if (words := text[start:end].strip())]
    future = bool(spans) and all(span.start >= now for span in spans)
    return TimeReading(spans, tuple(dict.fromkeys(unknown)), rest, result.ever, future)


def plain(text: str) -> str:
    """Lower case, umlauts without dots, simplified characters; as long as `text`."""
    lower = "".join(sign.lower() if len(sign.lower()) == 1 else sign for sign in unicodedata.normalize("NFC", text))
    return lower.translate(_UMLAUTS).translate(SIMPLIFIED)


def _find(text: str, moment: Moment) -> list[Found]:
    """Left to right, at each place the longest."""
    found: list[Found] = []
    place = 0
    while (start := _STARTS.search(text, place)) is not None:
        at = start.start()
        best: Found | None = None
        for pattern, make in _RULES:
            match = pattern.match(text, at)
            if match is None or not match[0].strip() or (best is not None and match.end() <= best.end):
                continue
            atom = make(match, moment)
            if atom is not None:
                best = Found(atom, at, match.end())
        if best is None:
            place = at + 1
        else:
            found.append(best)
            place = best.end
    return found


def _groups(found: list[Found], text: str) -> list[list[Found]]:
    """Those that stand together."""
    groups: list[list[Found]] = []
    for item in found:
        if groups and _GLUE.fullmatch(text[groups[-1][-1].end : item.start] + " "):
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _without(text: str, used: list[Found]) -> str:
    kept, place = "", 0
    for item in used:
        kept += text[place : item.start] + " "
        place = max(place, item.end)
    return " ".join((kept + text[place:]).split())


def _hinted(text: str, used: list[Found]) -> list[tuple[int, int]]:
    blanked = text
    for item in used:
        blanked = blanked[: item.start] + "\0" * (item.end - item.start) + blanked[item.end :]
    places = []
    for match in _HINTS.finditer(blanked):
        before = match[0].split("\0")[0]
        places.append((match.start(), match.start() + len(before)))
    return places
