"""Makes text speakable: without Markdown, markup, emoji and control characters, numbers and units as words."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import structlog

from joyvl_server.speech.text.language import base_language, language_of

log = structlog.get_logger(__name__)

MAX_CHARACTERS = 10_000
MAX_NUMBERS = 600
"""Characters of one sentence that are looked through for numbers: it takes a hundredth of a second."""

_FENCE = re.compile(r"^\s*(?:```|~~~).*$", re.MULTILINE)
_TAG = re.compile(r"<!--.*?-->|</?[A-Za-z!?][^<>]{0,300}>", re.DOTALL)
_ENTITY = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&nbsp;": " "}
_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
_URL = re.compile(
    r"<?\b(?:https?|rtsp|ftp)://[^\s<>\"'，。！？、；）】]+>?|\bwww\.[^\s<>\"'，。！？、；）】]+", re.IGNORECASE
)
_LINE_MARKS = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?|(?:[-*_][ \t]*){3,}$)", re.MULTILINE
)
_TABLE_RULE = re.compile(r"^[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|?)+[ \t]*$", re.MULTILINE)
_EMPHASIS = re.compile(r"(\*{1,3}|~~|`{1,3})(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_UNDERSCORES = re.compile(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)", re.DOTALL)
_REPEATED = re.compile(r"([^\w\s])\1{3,}")
_LONG_RUN = re.compile(r"(\w)\1{7,}")
_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r"\s*\n\s*")
_COMMAS = re.compile(r"([,，])(?:\s*[,，])+\s*")
_COMMAS_BEHIND = re.compile(r"([.;:!?。！？；：、])(?:\s*[,，])+(?:\s+|$|(?=\w))")
_DIGIT = re.compile(r"\d")
_CLAUSE_MARKS = re.compile(r"([,;:]\s+|[.!?]+\s+|[，。！？；：、]|\s[–—-]\s)")
_WORDS = re.compile(r"[^\W\d_]{3,}")
_SILENT_CATEGORIES = {"Cc", "Cf", "Co", "Cs", "Cn", "So", "Sk"}
_KEPT = set("\n\t°€£¥$%№")
_ONE_SIGN = str.maketrans({"℃": "°C", "℉": "°F", "％": "%", "＄": "$", "￥": "¥", "\u00a0": " "})
_PLAIN_QUOTES = str.maketrans("“”‘’„", '""\'\'"')
"""The rules for numbers stumble over the others."""
_SIGNS = {
    "en": {"&": " and ", "°C": " degrees Celsius", "°F": " degrees Fahrenheit", "°": " degrees", "№": "number "},
    "zh": {"&": "和", "°C": "摄氏度", "°F": "华氏度", "№": "号"},
}


def speakable(text: str, language: str | None = None) -> str:
    """The words a voice should say; empty where there is nothing to say. At most 10,000 characters of it are read.

    `language` None: found out. Takes some milliseconds; the first text with a number in it takes 100.

    Numbers become words where the package wetext is there, which knows English and Chinese; voices read digits too.
    """
    text = unicodedata.normalize("NFC", text[:MAX_CHARACTERS])
    for written, sign in _ENTITY.items():
        text = text.replace(written, sign)
    text = _without_markup(text)
    language = base_language(language or language_of(text))
    return _with_numbers(_without_signs(text, language), language)


def _without_markup(text: str) -> str:
    text = _TABLE_RULE.sub("", _FENCE.sub("", _TAG.sub(" ", text)))
    text = _IMAGE_OR_LINK.sub(r"\1", text)
    text = _URL.sub(_site, text)
    text = _LINE_MARKS.sub("", text)
    for _ in range(3):  # bold within italics
        text = _UNDERSCORES.sub(r"\2", _EMPHASIS.sub(r"\2", text))
    text = re.sub(r"[ \t]*\|[ \t]*", ", ", text).replace("[[", "[").replace("]]", "]")
    return text.replace("`", "").replace("**", "")


def _site(found: re.Match[str]) -> str:
    """Of an address only the name is said: nobody listens to the rest of it."""
    url = found[0].strip("<>")
    rest = url[len(url.rstrip(".,;:!?)")) :]
    host = urlsplit(url if "://" in url else f"http://{url}").hostname if "[" not in url else None
    return (host or "").removeprefix("www.") + rest


def _without_signs(text: str, language: str) -> str:
    text = text.translate(_ONE_SIGN)
    for sign, words in _SIGNS.get(language, {}).items():
        text = text.replace(sign, words)
    kept = (
        character
        if character in _KEPT or unicodedata.category(character) not in _SILENT_CATEGORIES
        else ("" if unicodedata.category(character) in ("Cf", "Sk") else " ")
        for character in text
        if not _is_joiner(character)
    )
    text = _LONG_RUN.sub(r"\1\1\1", _REPEATED.sub(r"\1\1\1", "".join(kept)))
    text = _BREAKS.sub(lambda _: ", " if language != "zh" else "，", _SPACES.sub(" ", text).strip())
    text = _COMMAS.sub(r"\1 ", _COMMAS_BEHIND.sub(r"\1 ", text)).strip(" ,，|")
    return text if any(character.isalnum() for character in text) else ""


def _is_joiner(character: str) -> bool:
    """What builds one emoji of several: variation selectors, skin tones, flags, keycaps."""
    code = ord(character)
    return 0xFE00 <= code <= 0xFE0F or 0x1F3FB <= code <= 0x1F3FF or 0x1F1E6 <= code <= 0x1F1FF or code == 0x20E3


def _with_numbers(text: str, language: str) -> str:
    """Numbers as words. A result that lost a word is not taken: the rules are not made for every text."""
    if language not in ("en", "zh") or len(text) > MAX_NUMBERS or not _DIGIT.search(text):
        return text
    normalizer = _normalizer(language)
    if normalizer is None:
        return text
    # Clause by clause: across a mark the rules find ratios and prices that are none.
    parts = _CLAUSE_MARKS.split(text)
    return "".join(_clause(part, normalizer, language) if _DIGIT.search(part) else part for part in parts)


def _clause(text: str, normalizer: Any, language: str) -> str:
    spoken = ""
    with contextlib.suppress(AssertionError, IndexError, KeyError, RuntimeError, ValueError):  # as it fails on odd text
        spoken = str(normalizer.normalize(text.translate(_PLAIN_QUOTES))).strip().replace('\\"', '"')
    lost = set(_WORDS.findall(text.lower())) - set(_WORDS.findall(spoken.lower())) - _UNITS
    if not spoken or (language != "zh" and lost):
        return text
    return text[: len(text) - len(text.lstrip())] + spoken + text[len(text.rstrip()) :]


_UNITS = {
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "kmh", "mph",
    "kwh", "usd", "eur", "gbp", "min", "sec", "mhz", "ghz", "khz",
}  # fmt: skip
"""Words that stand otherwise, or elsewhere, once they are spoken."""


@cache
def _normalizer(language: str) -> Any:
    """None where the package is missing, which is told once."""
    try:
        import wetext
    except ImportError:
        log.info("numbers are left to the voices", missing="wetext")
        return None
    return wetext.Normalizer(lang=language, operator="tn", **({"remove_erhua": False} if language == "zh" else {}))
