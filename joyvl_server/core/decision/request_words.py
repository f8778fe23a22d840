"""What kind of request somebody made, by its words alone: for engines that cannot be asked. English, German, Chinese.

On the safe side: what is not plainly an instruction from now on, or the end of one, is a question of this moment.
"""

from __future__ import annotations

import re

from joyvl_server.core.decision.choices import RequestKind
from joyvl_server.core.watches.named_kinds import fold

MOST = 500
"""This many characters of a request are read."""

_QUESTION = (
    r"^(?:what|who|whose|whom|where|why|how|which|wer|wen|wem|wo|warum|wieso|wie|welche\w*|was)\b"
    r"|^when (?:did|do|does|was|were|is|are|has|have|will)\b"
    r"|^(?:did|do|does|have|has|had|is|are|was|were)"
    r" (?:you|we|i|they|he|she|it|there|the|an?|this|that|some\w+|any\w+)\b"
    r"|^(?:hast|hat|ist|sind|war|waren|gibt) "
)
_TELL_ME = (
    r"\b(?:tell|inform|notify|alert|warn|remind|call|message|wake|text)\s+(?:me|us)\b|\blet (?:me|us) know\b"
    r"|(?:^|, ?)(?:please )?(?:say|speak|shout|report|announce|give me)\b"
    r"|\b(?:sag|sage|berichte|melde|warne?|informiere|benachrichtige|ruf|rufe|weck|wecke|erinnere|alarmiere|gib)\b"
)
_WHEN = (
    r"\b(?:when(?:ever)?(?!(?: \w+){1,3}? (?:came|went|left|arrived|did|was|were)\b)"
    r"|if(?!(?: \w+){1,4}? (?:is|are|was|were)\b(?! \w+ing\b))"
    r"|once|as soon as|(?:every|each|any) ?time|the moment|in case|should)\b"
    r"|\b(?:wenn|sobald|falls|sooft|jedes mal)\b"
)
"""but not a wish to know whether, or when, something is or was"""
_WATCH_FOR = (
    r"\b(?:watch (?:out )?for|look out for|keep (?:an eye (?:out )?(?:on|for)|watch(?:ing)?\b)|from now on)\b"
    r"|\b(?:pass|achte) (?:\w+ )?auf\b|\bab (?:jetzt|sofort)\b|\bvon (?:jetzt|nun) an\b"
)
_TELL_ME_ZH = (
    "(?:告诉|通知|提醒|报告|告知|警告|叫|喊|跟|和|对|给)(?:一下|一声)?(?:我|我们|大家)"
    "(?:说|讲|报告|发消息)?(?:一声|一下)?"
)
_WHEN_ZH = "(?:时候|时|如果|要是|一旦|只要|假如|每当|每次|当|一有|一看到|马上|立刻|就)"
_WATCH_FOR_ZH = "从现在(?:起|开始)|以后|留意|盯着|注意(?:看|有)"
_ASKS_ZH = "[吗嘛呢]|谁|什么|多少|几|哪|怎么|为什么|有没有|是不是|是否"

_IS_QUESTION = re.compile(fold(_QUESTION))
_STANDING = re.compile(
    fold(rf"(?:{_TELL_ME}).*(?:{_WHEN})|^(?:please |bitte )?(?:{_WHEN})[^?]*(?:{_TELL_ME})|{_WATCH_FOR}")
    + rf"|{_WHEN_ZH}.*{_TELL_ME_ZH}|{_TELL_ME_ZH}.*{_WHEN_ZH}|{_WATCH_FOR_ZH}"
)
_STANDING_ZH_END = re.compile(rf"(?:(?!{_ASKS_ZH}).)+?请?{_TELL_ME_ZH}[。！!. ]*")
"""somebody comes, tell me: Chinese needs no word for "when" """
_CANCEL = re.compile(
    fold(
        r"^(?:please |ok(?:ay)? |bitte )*"
        r"(?:stop|quit|cease|no longer|(?:don't|dont|do not|never)(?! (?:forget|fail|miss))|you (?:can|may) stop"
        r"|you (?:don't|needn't|do not) (?:need|have) to)"
        r"(?: \w+){0,2}? (?:watch|tell|report|warn|alert|notify|remind|look|monitor|inform|let)\w*\b"
        r"|^(?:please )?(?:cancel|forget|drop|remove|delete|end) (?:the |that |this |my |all )?(?:\w+ )?watch\w*"
        r"|^(?:bitte )?hör\w* auf,? (?:\w+ )*?zu"
        r"|^(?:bitte )?(?:sag|meld|warn|bericht|pass|achte|beobachte)\w* (?:\w+ ){0,4}?(?:nicht|nichts) mehr"
    )
    + "|^(?:今天|现在|以后|请|你|可以)*(?:不要|不用|不必|别|无需|不需要|停止|取消)(?:再|继续)?"
    ".{0,12}?(?:告诉|通知|提醒|报告|看|盯|留意|监视|监控|观察|注意)"
)


def request_kind(text: str) -> RequestKind:
    """`text` as it was typed, or as it was understood from speech."""
    said = _plain(text)
    if _CANCEL.search(said):
        return RequestKind.CANCEL
    if _IS_QUESTION.search(said):
        return RequestKind.ONCE
    if _STANDING.search(said) or _STANDING_ZH_END.fullmatch(said):
        return RequestKind.STANDING
    return RequestKind.ONCE


def ended_wish(text: str) -> str:
    """The words of a `CANCEL` that say what is to end: of "Stop telling me when someone comes" not the first two."""
    return _CANCEL.sub("", _plain(text), count=1).strip()


def _plain(text: str) -> str:
    return " ".join(fold(text[:MOST]).split())
