"""Sentences about what was told and what was not watched, in English, German and Chinese."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from joyvl_server.core.past.spans import Span
from joyvl_server.sessions.memory.known.unwatched import Unwatched

MOST_SPANS = 4

_SENTENCES: dict[str, dict[str, str]] = {
    "en": {
        "told": "You told me: {facts}", "told_several": "You told me, the latest first: {facts}.",
        "not_told": "I remember nothing about that.",
        "unwanted": "I can't tell when {what}: no watch is for that now, so it is not noted.",
        "late": "Whether {that} before {since}, I can't tell: no watch was for that until then.",
        "whole": "I was not watching at that time.", "part": "I was not watching {spans}.",
        "span": "from {start} to {end}", "more": " and {count} more times",
        "since": "I have watched only since {since}.",
        "day": "Nobody watched.", "day_part": "Not watched: {spans}.",
    },
    "de": {
        "told": "Das hast du mir gesagt: {facts}",
        "told_several": "Das hast du mir gesagt, das Neueste zuerst: {facts}.",
        "not_told": "Darüber weiß ich nichts.",
        "unwanted": "Ich kann nicht sagen, wann es so war: {what}. Jetzt achtet keine Überwachung darauf, also wird es "
        "nicht notiert.",
        "late": "Ob vor {since} {that}, kann ich nicht sagen: Bis dahin achtete keine Überwachung darauf.",
        "whole": "In dieser Zeit habe ich nicht beobachtet.", "part": "Nicht beobachtet habe ich {spans}.",
        "span": "von {start} bis {end}", "more": " und noch {count}-mal",
        "since": "Ich beobachte erst seit {since}.",
        "day": "Nicht beobachtet.", "day_part": "Nicht beobachtet: {spans}.",
    },
    "zh": {
        "told": "你告诉过我：{facts}", "told_several": "你告诉过我（最近的在前）：{facts}。",
        "not_told": "关于这个我什么都不记得。",
        "unwanted": "我说不出什么时候{what}：现在没有监视任务关注这个，所以没有记录。",
        "late": "{since}之前是否{that}，我说不出：那时还没有监视任务关注这个。",
        "whole": "那段时间我没有在看。", "part": "我没有在看的时间：{spans}。",
        "span": "{start}到{end}", "more": "，还有{count}次", "since": "我从{since}才开始看。",
        "day": "没有在看。", "day_part": "没有在看：{spans}。",
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


def not_wanted(language: str, what: str) -> str:
    """`what` no watch is for."""
    return _SENTENCES[language]["unwanted"].format(what=what)


def not_yet_wanted(language: str, that: str, since: str) -> str:
    """`that` (as it stands after "that") no watch was for before the moment `since`, in words."""
    return _SENTENCES[language]["late"].format(that=that, since=since)


def not_watched(language: str, away: Unwatched, moment: Callable[[float], str], *, since: bool = True) -> str:
    """Which part of the asked time was not watched; empty where there is none. `moment`: Unix seconds in words.
    `since`: tell when the watching began, too."""
    sentences = _SENTENCES[language]
    said = [sentences["whole"]] if away.whole else []
    if away.spans and not away.whole:
        said.append(sentences["part"].format(spans=_spans(language, away.spans, moment)))
    if away.since is not None and (since or away.whole):
        said.append(sentences["since"].format(since=moment(away.since)))
    return ("" if language == "zh" else " ").join(said)


def day_not_watched(language: str, away: Unwatched, spans: Sequence[Span], moment: Callable[[float], str]) -> str:
    """The same of a day; `spans`: all that was not watched of it."""
    sentences = _SENTENCES[language]
    if away.whole:
        return sentences["day"]
    if not spans:
        return ""
    listed = ("、" if language == "zh" else ", ").join(
        f"{moment(s.start)}–{moment(s.end)}" for s in spans[-MOST_SPANS:]
    )
    more = len(spans) - MOST_SPANS
    return sentences["day_part"].format(spans=listed + (sentences["more"].format(count=more) if more > 0 else ""))


def _spans(language: str, spans: Sequence[Span], moment: Callable[[float], str]) -> str:
    """The latest, in order."""
    sentences = _SENTENCES[language]
    shown = [sentences["span"].format(start=moment(s.start), end=moment(s.end)) for s in spans[-MOST_SPANS:]]
    more = len(spans) - len(shown)
    joined = ("、" if language == "zh" else ", ").join(shown)
    return joined + (sentences["more"].format(count=more) if more else "")
