"""Sentences about what was told and what was not watched, in English, German and Chinese."""

from __future__ import annotations

from collections.abc import Sequence

_SENTENCES: dict[str, dict[str, str]] = {
    "en": {
        "told": "You told me: {facts}", "told_several": "You told me, the latest first: {facts}.",
        "not_told": "I remember nothing about that.",
    },
    "de": {
        "told": "Das hast du mir gesagt: {facts}",
        "told_several": "Das hast du mir gesagt, das Neueste zuerst: {facts}.",
        "not_told": "Darüber weiß ich nichts.",
    },
    "zh": {
        "told": "你告诉过我：{facts}", "told_several": "你告诉过我（最近的在前）：{facts}。",
        "not_told": "关于这个我什么都不记得。",
    },
}  # fmt: skip
_QUOTED = {"en": "“{}”", "de": "„{}“", "zh": "“{}”"}


def told(language: str, facts: Sequence[str]) -> str:
    """What somebody wanted remembered, the latest first; `language` is en, de or zh."""
    sentences = _SENTENCES[language]
    if not facts:
        return sentences["not_told"]
    if len(facts) == 1:
        return sentences["told"].format(facts=facts[0])
    quoted = [_QUOTED[language].format(fact.rstrip(" .。")) for fact in facts]
    return sentences["told_several"].format(facts=("、" if language == "zh" else ", ").join(quoted))
