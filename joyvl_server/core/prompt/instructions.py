"""What the model is asked to write for later: the summary of a stretch of video, and one account of several."""

from __future__ import annotations

import re
from collections.abc import Sequence

from joyvl_server.core.prompt.prefix import share
from joyvl_server.core.prompt.wire_format import clean, text_tokens

WATCHES_TOKENS = 200
"""tokens of the watches in an instruction"""

_LANGUAGES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nb": "Norwegian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "zh": "Chinese",
}
_REFUSAL = re.compile(
    r"(?:(?:i'?m |i am )?(?:very |so )?sorry|i (?:can'?t|can ?not|am unable|am not able|won'?t|do not|don'?t)|"
    r"i'm (?:unable|not able)|as an ai|unfortunately|(?:es )?tut mir leid|leider|"
    r"ich kann (?:das|dir|euch|ihnen|dabei|leider|nicht|kein)|there (?:is|are) no (?:video|frames?|images?))",
    re.IGNORECASE,
)
_SHORT = 160


def summary_instruction(language: str, watches: Sequence[str], tokens: int) -> str:
    """Asks for the summary of all frames so far, in at most `tokens` tokens."""
    lines = [
        "This is not a frame, so do not answer it with any action. The frames above will soon be gone. Write down what "
        "you will need to know about them later: what the scene is and what has not changed; then what changed or "
        "happened, in order, each with the time from its tag; then what will help to recognise people, objects, places "
        "or readable words later. Write only what the frames show. If nothing happened, one sentence is enough.",
    ]
    if watches:
        lines.append("Above all keep what concerns these instructions:")
        lines += [f"- {line}" for line in share(watches, WATCHES_TOKENS)]
    lines.append(_manner(language, tokens))
    return "\n".join(lines)


def condense_system() -> str:
    return "You keep the log of a long video. You write down exactly and in few words what older notes say."


def condense_instruction(notes: Sequence[str], language: str, watches: Sequence[str], tokens: int) -> str:
    """Asks for one account of `notes`, oldest first, in at most `tokens` tokens."""
    lines = [
        "These notes on a video are too long to keep. Write one summary of these, in order: what has not changed, what "
        "happened and when, and who or what has to be recognised later. Leave out all that was only repeated.",
        *notes,
    ]
    if watches:
        lines.append("Above all keep what concerns these instructions:")
        lines += [f"- {line}" for line in share(watches, WATCHES_TOKENS)]
    lines.append(_manner(language, tokens))
    return "\n".join(lines)


def _manner(language: str, tokens: int) -> str:
    name = _LANGUAGES.get(language.partition("-")[0].lower(), f"the language with the tag {clean(language, 20)}")
    return f"Answer in {name}, in plain sentences, at most {max(10, tokens // 2)} words, without headings or markers."


def usable(text: str, tokens: int) -> str | None:
    """What was written, on one line and without markers; None where it is empty, a refusal or garbage.

    At most about `tokens` tokens are kept, cut at the end. Brackets become round: headers of the prompt have square
    ones, and what a camera saw must not look like one.
    """
    line = clean(text, 8 * tokens).replace("[", "(").replace("]", ")")
    letters = sum(char.isalpha() for char in line)
    words = line.lower().split()
    repeats = len(words) >= 24 and len(set(words)) * 6 < len(words)
    if letters < 4 or letters * 2 < len(line.replace(" ", "")) or len(set(line)) < 4 or repeats:
        return None
    if len(line) < _SHORT and _REFUSAL.match(line):
        return None
    return _cut(line, tokens)


def _cut(line: str, tokens: int) -> str:
    """`line` without the sentence that does not fit, where it has several."""
    if text_tokens(line) <= tokens:
        return line
    while line and text_tokens(line) > tokens - 2:
        line = line[: min(len(line) - 1, len(line) * tokens // text_tokens(line))]
    whole = max(line.rfind(end) for end in (". ", "! ", "? ", "。"))
    return line[: whole + 1] if whole > len(line) // 2 else line.rstrip() + "…"
