"""Numbers in words: English and German to ninety-nine, Chinese to 9999."""

from __future__ import annotations

import re

_UNITS_EN = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS_EN = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
_UNITS_DE = [
    "null",
    "eins",
    "zwei",
    "drei",
    "vier",
    "funf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwolf",
    "dreizehn",
    "vierzehn",
    "funfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
]
_TENS_DE = {
    "zwanzig": 20,
    "dreisig": 30,
    "vierzig": 40,
    "funfzig": 50,
    "sechzig": 60,
    "siebzig": 70,
    "achtzig": 80,
    "neunzig": 90,
}
_ORDINALS_EN = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
_ORDINALS_DE = [
    "erste",
    "zweite",
    "dritte",
    "vierte",
    "funfte",
    "sechste",
    "siebte",
    "achte",
    "neunte",
    "zehnte",
    "elfte",
    "zwolfte",
    "dreizehnte",
    "vierzehnte",
    "funfzehnte",
    "sechzehnte",
    "siebzehnte",
    "achtzehnte",
    "neunzehnte",
    "zwanzigste",
]

WORDS: dict[str, float] = {
    **{word: value for value, word in enumerate(_UNITS_EN)},
    **_TENS_EN,
    **{
        f"{ten}{join}{_UNITS_EN[unit]}": value + unit
        for ten, value in _TENS_EN.items()
        for unit in range(1, 10)
        for join in ("-", " ")
    },
    **{word: value for value, word in enumerate(_UNITS_DE)},
    **_TENS_DE,
    **{
        f"{'ein' if unit == 1 else _UNITS_DE[unit]}und{ten}": value + unit
        for ten, value in _TENS_DE.items()
        for unit in range(1, 10)
    },
    "a": 1, "an": 1, "ein": 1, "eine": 1, "einen": 1, "einem": 1, "einer": 1, "eines": 1, "zwo": 2,
    "half a": 0.5, "half an": 0.5, "half": 0.5, "a half": 0.5, "halbe": 0.5, "halben": 0.5, "halbes": 0.5,
    "einer halben": 0.5, "einem halben": 0.5, "eine halbe": 0.5, "ein halbes": 0.5, "anderthalb": 1.5,
    "eineinhalb": 1.5, "one and a half": 1.5, "an hour and a half": 1.5, "zweieinhalb": 2.5,
    "two and a half": 2.5, "three and a half": 3.5, "dreieinhalb": 3.5,
    "a quarter of an": 0.25, "quarter of an": 0.25, "three quarters of an": 0.75, "a quarter": 0.25,
    "einer viertel": 0.25, "viertel": 0.25, "dreiviertel": 0.75, "einer dreiviertel": 0.75,
    "couple of": 2, "a couple of": 2, "couple": 2, "few": 5, "a few": 5, "several": 5, "some": 5,
    "paar": 5, "ein paar": 5, "einigen": 5, "einige": 5, "wenigen": 5, "dozen": 12, "a dozen": 12,
}  # fmt: skip
ORDINALS: dict[str, int] = {
    **{word: value for value, word in enumerate(_ORDINALS_EN, 1)},
    **{word + end: value for value, word in enumerate(_ORDINALS_DE, 1) for end in ("", "r", "n", "s", "m")},
}


def _any(words: list[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


AMOUNT = rf"(?:\d{{1,4}}(?:[.,]\d)?|{_any(list(WORDS))})"
"""of a duration"""
HOUR_EN = r"(?:\d{1,2}|" + _any(_UNITS_EN[1:13]) + ")"
HOUR_DE = (
    r"(?:\d{1,2}|"
    + _any([*_UNITS_DE[1:], "ein", "zwanzig", "einundzwanzig", "zweiundzwanzig", "dreiundzwanzig", "vierundzwanzig"])
    + ")"
)
MINUTE_WORDS = _any([word for word, value in WORDS.items() if value in range(1, 60) and word not in ("a", "an")])
ORDINAL = rf"(?:\d{{1,3}}(?:st|nd|rd|th|\.)|{_any(list(ORDINALS))})"
NUMBER_ZH = "[零〇一二两俩三四五六七八九十百千廿\\d半]+"
_DIGITS_ZH = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "俩": 2}
_SCALES_ZH = {"十": 10, "百": 100, "千": 1000}


def number(text: str) -> float:
    """Of words matched by `AMOUNT` and the like."""
    text = " ".join(text.split())
    if text in WORDS:
        return WORDS[text]
    return float(text.replace(",", "."))


def ordinal(text: str) -> int:
    """Of words matched by `ORDINAL`."""
    return ORDINALS[text] if text in ORDINALS else int(re.sub(r"\D", "", text))


def number_zh(text: str) -> float | None:
    """`三十五`, `两`, `半`, `12`, `二〇二五`; None where it is no number."""
    if text == "半":
        return 0.5
    if text.isascii():
        return float(text)
    if "半" in text:
        return None
    if not set(text) & _SCALES_ZH.keys() and "廿" not in text:
        return float("".join(sign if sign.isascii() else str(_DIGITS_ZH[sign]) for sign in text))
    total, digit = 0, 0
    for sign in text.replace("廿", "二十"):
        if sign in _SCALES_ZH:
            total += (digit or 1) * _SCALES_ZH[sign]
            digit = 0
        else:
            digit = digit * 10 + (int(sign) if sign.isascii() else _DIGITS_ZH[sign])
    return float(total + digit)
