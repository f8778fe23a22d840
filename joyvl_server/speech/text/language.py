"""Which language a text is in, as far as a voice must know: by its letters, and between Latin ones by common words."""

from __future__ import annotations

import re
from collections import Counter

_SCRIPTS = (
    ("zh", "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"),
    ("ja", "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"),
    ("ko", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"),
    ("ru", "\u0400-\u052f"),
    ("el", "\u0370-\u03ff"),
    ("ar", "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc"),
    ("he", "\u0590-\u05ff\ufb1d-\ufb4f"),
    ("hi", "\u0900-\u097f"),
    ("th", "\u0e00-\u0e7f"),
)
_LETTERS = {language: re.compile(f"[{letters}]") for language, letters in _SCRIPTS}
_LATIN = re.compile(r"[^\W\d_]+")
_COMMON = {
    "en": "the a an is are was of and to in on at it that this there you your with has have no not from who what i he "
    "she they we two one please will can",
    "de": "der die das ein eine ist sind war und zu im in auf an es dass nicht mit hat haben kein von wer was ich er "
    "sie wir zwei bitte kann den dem",
    "fr": "le la les un une est sont et de du des en sur au il que ce ne pas avec a ont qui je elle nous vous deux",
    "es": "el la los las un una es son y de del en que no con ha han por quien yo ella nosotros dos hay se al",
    "it": "il lo la gli le un una è sono e di del in su che non con ha hanno chi io lei noi due c'è si al",
    "pt": "o a os as um uma é são e de do da em no na que não com tem têm quem eu ela nós dois há se ao",
    "nl": "de het een is zijn was en van te in op dat niet met heeft hebben geen wie wat ik hij zij wij twee er",
}
_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
HAN_WEIGHT = 2.0
"""A Chinese character says about as much as this many Latin letters."""


def base_language(tag: str) -> str:
    """`en-US` → `en`; the many names of Mandarin → `zh`."""
    base = re.split(r"[-_]", tag.lower(), maxsplit=1)[0]
    return "zh" if base in ("cmn", "zho", "chi") else base


def same_language(one: str, other: str) -> bool:
    return base_language(one) == base_language(other)


def language_of(text: str, default: str = "en") -> str:
    """A base language tag. `default` where the letters leave it open, as for digits alone or a few Latin words."""
    counts = {language: float(len(pattern.findall(text))) for language, pattern in _LETTERS.items()}
    counts["zh"] *= HAN_WEIGHT
    if counts["ja"] and counts["ja"] * 4 >= counts["zh"] / HAN_WEIGHT:
        counts["ja"] += counts.pop("zh")  # kana among Chinese characters
    words = [word for word in _LATIN.findall(text.lower()) if word[0] <= "\u024f"]
    latin = sum(map(len, words))
    language = max(counts, key=lambda name: counts[name])
    if counts[language] and counts[language] >= latin * 0.5:
        return language
    return _among_latin(words, base_language(default)) if words else base_language(default)


def _among_latin(words: list[str], default: str) -> str:
    seen = Counter({language: sum(word in common for word in words) for language, common in _WORDS.items()})
    most = max(seen.values())
    if most and seen[default] == most:
        return default
    if most and most > seen.get(default, 0) and (most > 1 or len(words) < 4):
        leaders = [language for language, count in seen.items() if count == most]
        return leaders[0] if len(leaders) == 1 or default in _LETTERS else default
    # Latin letters, but the default is written in others: English is the likeliest.
    return "en" if default in _LETTERS else default
