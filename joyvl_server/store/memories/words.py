"""The words of a text as they are searched: stems of Latin words, each Chinese character apart.

Stems are light ones for English and German: `parcels` and `parcel`, `parked` and `parking`, `Kinder` and `Kindern` are
one. What both sides go through is only compared with itself, so a stem need not be a word.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

LONGEST_WORD = 40
CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_PIECES = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
_IS_CJK = re.compile(rf"[{CJK}]")
FIRST_CJK = "\u3040"
"""what comes before needs no closer look"""

_ENDINGS = (
    ("ies", "y"), ("ing", ""), ("edly", ""), ("ied", "y"), ("ed", ""), ("ern", "er"), ("sses", "ss"), ("es", ""),
    ("en", ""), ("em", ""), ("ly", ""), ("'s", ""), ("s", ""), ("e", ""), ("n", "n"),
)  # fmt: skip
_LEAST = 3
_IRREGULAR = {
    form: stem
    for stem, forms in {
        "com": "came come comes coming kam kamen kommt kommen gekommen komm",
        "go": "went gone goes going go ging gingen geht gehen gegangen",
        "fall": "fell fallen falls falling fall fiel fielen gefallen",
        "leav": "left leaves leaving leave liess verliess verlassen",
        "tak": "took taken takes taking take nahm nahmen genommen nimmt nehmen",
        "giv": "gave given gives giving give gab gaben gegeben gibt geben",
        "se": "saw seen sees seeing see sah sahen gesehen sieht sehen",
        "say": "said says saying say sagte sagten gesagt sagt sagen",
        "bring": "brought brings bringing bring brachte brachten gebracht bringt bringen",
        "sleep": "slept sleeps sleeping sleep schlief schliefen geschlafen schlaft schlafen",
        "run": "ran runs running run rannte rannten gerannt rennt rennen",
        "eat": "ate eaten eats eating eat ass assen gegessen isst essen",
        "break": "broke broken breaks breaking break zerbrach zerbrochen",
        "find": "found finds finding find fand fanden gefunden findet finden",
        "los": "lost loses losing lose verlor verloren verliert",
        "hold": "held holds holding hold hielt hielten gehalten halt halten",
        "mak": "made makes making make machte gemacht macht machen",
        "put": "puts putting put stellte gestellt stellt stellen legte gelegt legt legen",
        "buy": "bought buys buying buy kaufte gekauft kauft kaufen",
        "child": "children child kind kinder kindern",
        "man": "men man mann manner mannern",
        "woman": "women woman frau frauen",
        "foot": "feet foot", "mouse": "mice mouse", "knif": "knives knife", "wolf": "wolves wolf",
    }.items()
    for form in forms.split()
}  # fmt: skip

_ENGLISH = """
    a about after all also am an and any anyone anybody anything are as at be been before being but by can could did do
    does done for from had has have he her here hers him his how i if in into is it its just me my no not of on or our
    out she so some someone somebody something than that the their them then there these they this those time to today
    tomorrow up us was we were what when where which while who whom whose why will with would yesterday you your last
    ever morning evening afternoon night"""
_GERMAN = """
    aber als am an auch auf aus bei bin bis da das dass dein dem den der des die dir dort du ein eine einem einen einer
    eines er es etwas gestern haben hat hatte heute ich ihr im in ist ja jemand kein keine man mein meine mich mir mit
    nach nicht noch nur oder ob sein seine sich sie sind so uber um und uns unser vom von vor wann war waren warum was
    wem wen wenn wer werden wie wir wird wo wurde zu zum zur"""
_CHINESE = "的了吗呢吧啊在是有没我你他她它们这那个和也都就过着把被给到从来去上下什么谁哪几怎为请问不很会能"
_CHINESE += "要里时候今昨天早晚多少一"
STOP = frozenset((*_ENGLISH.split(), *_GERMAN.split(), *_CHINESE))
"""words that every question has; they find nothing"""


def fold(text: str) -> str:
    """Small letters without accents, wide forms as ordinary ones."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


def words(text: str) -> list[str]:
    """All of them in their order, stems and single Chinese characters, those of `STOP` too."""
    return [piece if is_cjk(piece) else stem(piece[:LONGEST_WORD]) for piece in _PIECES.findall(fold(text))]


def is_cjk(word: str) -> bool:
    return word >= FIRST_CJK and _IS_CJK.match(word) is not None


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Of a folded word."""
    if (known := _IRREGULAR.get(word)) is not None:
        return known
    if word in STOP:
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST:
            word = word[: -len(ending)] + instead
            break
    if len(word) > _LEAST and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > _LEAST and word.endswith("y") else word


def terms(text: str, most: int) -> list[tuple[str, ...]]:
    """What a question is searched by, without words of `STOP` and without repeats, at most `most`: words one by one,
    Chinese ones as pairs of characters that follow one another, or one alone where its neighbours are in `STOP`."""
    found: dict[tuple[str, ...], None] = {}
    for run in _runs(text):
        if not is_cjk(run[0]):
            if run[0] not in STOP and stem(run[0]) not in STOP:
                found[(run[0],)] = None
            continue
        for pair in pairwise(run) if len(run) > 1 else [tuple(run)]:
            if own := tuple(character for character in pair if character not in STOP):
                found[own] = None
    return list(found)[:most]


def phrases(text: str, most: int) -> list[tuple[str, ...]]:
    """What all must be in a text that is looked for by words: words one by one, Chinese ones as they follow one
    another. Beyond `most` they are left out."""
    return list(dict.fromkeys(tuple(run) for run in _runs(text)))[:most]


def quoted(term: tuple[str, ...]) -> str:
    """As FTS5 takes a phrase: nothing in it is an operator."""
    return '"' + " ".join(word.replace('"', '""') for word in term) + '"'


def _runs(text: str) -> list[list[str]]:
    """Words that stand for themselves, and runs of Chinese characters."""
    found: list[list[str]] = []
    end = -1
    folded = fold(text)
    for match in _PIECES.finditer(folded):
        piece = match.group()
        if not is_cjk(piece):
            found.append([stem(piece[:LONGEST_WORD])])
            end = -1
        elif match.start() == end:
            found[-1].append(piece)
            end = match.end()
        else:
            found.append([piece])
            end = match.end()
    return found
