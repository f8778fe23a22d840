"""Which questions need the past, and what they ask of it: whether, how often, when, which one."""

# ruff: noqa: E501
from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from joyvl_server.core.past.numerals import ORDINAL, number_zh, ordinal
from joyvl_server.core.past.spans import Calendar
from joyvl_server.core.past.time_words import MOST, TimeReading, plain, read_time
from joyvl_server.core.watches.kinds import Kinds, WatchKind
from joyvl_server.core.watches.named_kinds import named_kinds

_PAST = re.compile(
    r"\b(?:did|was|were|had|happened|happen before|came|went|left|saw|seen|been|been here|rang|forgot|lately|missed|miss"
    r"|earlier|previously|remember|(?:the )?last (?:time|one|person|seen)|before now|used to|put|hid|lost|took|taken|brought"
    r"|has (?:any|some|every|no)\w*|ha(?:s|ve) (?:\w+ ){1,3}?(?:been|come|gone|left|entered|arrived|passed|visited|seen|happened|moved|changed|said|told|delivered|rung)"
    r"|how (?:many|often|much) .*\b(?:came|entered|left|visited|passed|arrived|\w+ed)|told|said|asked|entered|arrived|visited|delivered|stayed|walked|called)\b"
    r"|\bwhere (?:is|are|'s) (?:my|our|the)\b|\bwhose\b|\bis (?:this|that|it) (?:mine|ours)\b|\b(?:my|mine|our)\b"
    r"|\b(?:war|waren|wurden?|hatten?|hatte|hab|habe|haben|hast|hat|kam|kamen|ging|gingen|passiert|geschehen|gesehen|gewesen|gab es|erinner\w*|weist du noch"
    r"|zuletzt|vorhin|fruher|das letzte mal|sagte|gesagt|gekommen|gegangen|betrat|verlies|geklingelt|klingelte|war\w* jemand)\b"
    r"|\b(?:wo (?:ist|sind|liegt|liegen) (?:meine?|der|die|das|unsere?)|wessen|meine?[rnms]?|unsere?[rnms]?)\b|\bist (?:\w+ ){1,4}(?:gekommen|gegangen|passiert|geschehen|gewesen|da gewesen)\b"
    "|过(?=[吗么没了？?，,。]|$)|[来进走去回看见发过](?:了|过)|有没有人|了(?:吗|没|多少|几|谁|什么)|(?:什么时候|几点).{0,4}[来走到离出进]|刚|放(?:在|到)?(?:了)?哪|在哪[儿里]?|记得|谁的|我的|我们的|上次"
    "|最后一[次个]|曾|(?:多少|几)[个位]?人|发生|是谁[来拿放]|离开"
)
_HAVING = re.compile(
    r"\b(?:my|mine|our|habe?|haben|hast|hat|meine?[rnms]?|unsere?[rnms]?)\b|我的|我们的|谁的|在哪[儿里]?"
)
"""says by itself nothing of what happened"""
_DONE_DE = re.compile(r"\b\w{0,6}ge\w{2,}(?:t|en)\b")
_WHERE = re.compile(r"\bwhere\b|\bwhose\b|\bwo\b|\bwohin\b|\bwessen\b|在哪|哪[里儿]|放哪|谁的")
_TELLING = re.compile(
    r"\b(?:did|have|had) (?:i|we) (?:\w+ )?(?:say|tell|told|said|ask|asked|mention|mentioned|note)\b|\b(?:i|we) (?:told|said|asked|mentioned)\b|\bremember\b"
    r"|\b(?:ich|wir) (?:\w+ ){0,4}(?:gesagt|erzahlt|gebeten)\b|\b(?:erinner\w*|gemerkt|weist du)\b|我.{0,3}(?:说|告诉|讲)|记得"
)
_OWN = re.compile(r"\b(?:i|we|my|mine|ours?|me|us|ich|wir|mir|uns|meine?[rnms]?|unsere?[rnms]?)\b|我")
_TOOK_PLACE = re.compile(
    r"\b(?:happen\w*|going on|passier\w*|geschah|geschehen|los|(?:did|have) you (?:\w+ )?(?:say|said|see|seen|notice\w*|note\w*|report\w*)"
    r"|hast du (?:\w+ ){0,3}(?:gesagt|gesehen|gemeldet|notiert|bemerkt)|anything|something|nothing|etwas|nichts|news?|neues)\b|发生|你.{0,2}[说看记]|什么事|事情"
)
_DID = re.compile(r"^(?:so |and |hey )?(?:did|has|have|had)\b|^(?:und )?(?:hat|haben|habe?|hast)\b|[了过](?:吗|没有?)")
_ASKING = re.compile(
    r"[?？]|\b(?:who|whom|whose|what|where|when|why|how|which|wer|wen|wem|wessen|was|wo|wohin|wann|warum|wie|wieso|welche\w*|whether|if|ob)\b"
    "|[吗么谁哪几呢]|多少|有没有|是不是|是否"
)
_ASKS_WHETHER = re.compile(
    r"(?:so |and |hey |und )*(?:do|does|is|are|am|was|were|can|could|will|would|should|kann|konnte|gibt|wird|soll)\b"
)
_STATES = re.compile(
    r"(?:please |bitte |so |and |und )*(?:(?:i|we|my|our|ich|wir|meine?|unsere?)\b|(?:remember|note|don't forget|merke?|denke?)\b|我|请?记)"
)
_NOW = re.compile(
    r"\b(?:now|right now|currently|at the moment|at present|jetzt|gerade jetzt|momentan|im moment)\b|现在|目前|此刻|正在"
)
_COUNT = re.compile(
    r"\bhow (?:many|often)\b|\bnumber of\b|\bcount (?:the|how)\b|\bwie ?viele?\b(?! uhr)|\bwie oft\b|\bwie haufig\b|\banzahl\b"
    "|多少[个次人位]|几[个次位]|多少(?!钱)|几人"
)
_WHEN = re.compile(
    r"\bwhen\b(?! you| i )|\b(?:at )?(?:what|which) time\b|\bsince when\b|\bhow long ago\b|\bwann\b|\bum wie ?viel uhr\b|\bseit wann\b"
    "|什么时候|什么时间|几点|何时|多久(?:以|之)?前|啥时候"
)
_WHETHER = re.compile(
    r"^(?:so |and |hey )?(?:did|was(?! (?:ist|hat|war|habe|haben|hast|passiert|ist)\b)|were|has|have|had)\b|^(?:und )?(?:war|waren|ist|sind|hat|haben|kam|kamen|gab|hast)\b|[吗么没]\s*[？?。!！]*$|有没有|是不是|是否"
)
_NTH = re.compile(
    rf"\b(?P<n>{ORDINAL})(?! (?:of|floor|week|day|hour|minute|half|stock|woche))(?: ?(?:one|person|people|man|woman|visitor|guest|time|car|thing|event|to)?)\b"
)
_NTH_ZH = re.compile(r"第(?P<n>[一二两三四五六七八九十\d]{1,3})(?:个|位|次|辆|名|只|人)")
_LAST = re.compile(
    r"\b(?:the )?(?:last|latest|newest|most recent|final) (?:one|person|people|man|woman|visitor|guest|time|car|thing|event|to)\b|\b(?:came|come|comes|left|leaves?|here|there|rang|visited) last\b|\blast (?:seen|came|come|here|left|enter)"
    r"|\b(?:zuletzt|(?:der|die|das) letzte[nrs]?\b(?! (?:woche|stunde|nacht))|das letzte mal)|最后一?[次个位名]|最近一次|上次|上一次"
)
_LEFT = re.compile(
    r"\b(?:left|go away|went away|went out|gone|depart\w*|walk\w* out)\b|\b(?:ging|gingen|gegangen|verlies\w*|hinaus|raus\w*|weggegangen)\b|走(?:了|的|吗|掉)?|离开|出去"
)
_CAME = re.compile(
    r"\b(?:came|come|visit\w*|guests?|entered|arriv\w*|(?:any|some)(?:one|body) (?:here|there|at|around|in)|walk\w* in)\b"
    r"|\b(?:kam|kamen|gekommen|besuch\w*|betrat\w*|betreten|herein\w*|jemand (?:da|hier|zu hause))\b|来(?:过|了|的|人|访)|进来|有人"
)
_LIVING = re.compile(
    r"\b(?:people|persons?|visitors?|guests?|someone|somebody|anyone|anybody|who|m[ae]n|wom[ae]n|child\w*|kids?|cars?|dogs?|cats?|parcels?"
    r"|leute|person\w*|mensch\w*|jemand|wer|wen|besuch\w*|gast\w*|manner|frauen?|kind\w*|autos?|hunde?|katzen?|pakete?)\b|人|谁|客|孩子|车|狗|猫|快递|包裹"
)
_HAPPENED = re.compile(
    r"\b(?:happen\w*|passier\w*|geschah|geschehen|los|going on|see|seen|saw|gesehen|do|doing|did you)\b|发生|看"
)
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_GERMAN = re.compile(
    r"\b(?:der|die|das|ist|war|waren|hat|haben|wer|wann|wie|viele|jemand|heute|gestern|nicht|und|ich|mir|dir|wo|dass|vergiss|merk|merke"
    r"|mein|meine|kam|kamen|ging|gingen|es|was|sind|habe|hast|wurde|gab|bitte|zwischen|letzte|letzten)\b"
)
_ENGLISH = re.compile(
    r"\b(?:the|did|was|were|has|have|who|when|how|many|anyone|what|where|is|are|my|that|remember|forget|please)\b"
)


class Asked(StrEnum):
    """What a question wants to know of what happened."""

    LIST = "list"
    COUNT = "count"
    WHEN = "when"
    WHETHER = "whether"


class AnsweredBy(StrEnum):
    """What can answer a question without an engine that reads words."""

    NOTES = "notes"
    """what was noted when it happened"""
    FACTS = "facts"
    """what somebody wanted remembered"""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class PastQuestion:
    """`nth`: of several, counted from 1; -1 is the last one. `kinds`: what the question is about; empty: anything.
    `names_things`: it asks for people, cars and the like, which not every engine tells apart. `language`: en, de or zh,
    None where it cannot be told."""

    time: TimeReading
    asked: Asked
    kinds: Kinds = ()
    nth: int | None = None
    names_things: bool = False
    language: str | None = None
    answered_by: AnsweredBy = AnsweredBy.NOTES
    telling: bool = False
    """it asks what was told at that time"""


def past_question(text: str, now: float, calendar: Calendar) -> PastQuestion | None:
    """What `text` wants to know of the past; None where it asks about now, what is to come, or asks nothing."""
    time = read_time(text, now, calendar)
    said = plain(text[:MOST]).strip()
    if time.future or not said:
        return None
    if not time.spans and not time.ever and (_NOW.search(said) or not (_PAST.search(said) or time.not_understood)):
        return None
    if _STATES.match(said) and not _ASKING.search(said):
        return None
    rest = plain(time.rest)
    return PastQuestion(
        time, _asked(rest), _kinds(rest), _which(rest), bool(_LIVING.search(rest)), language_of(text),
        _answered_by(rest, time), bool(_TELLING.search(rest)),
    )  # fmt: skip


def is_of_what_happened(text: str, now: float, calendar: Calendar) -> bool:
    """Do the words name a time that is past, or what can be seen and heard? Else they are about a fact."""
    time = read_time(text, now, calendar)
    if time.future:
        return False
    states = _STATES.match(plain(text[:MOST]).strip()) is not None
    return bool(time.spans) or (not states and _answered_by(plain(time.rest), time) is AnsweredBy.NOTES)


def is_question(text: str) -> bool:
    """By its signs and words; a sentence that could be either is none."""
    said = plain(text[:MOST]).strip()
    return bool(_ASKING.search(said) or _WHETHER.search(said) or _ASKS_WHETHER.match(said))


def language_of(text: str) -> str | None:
    """zh, de or en by its signs and small words; None where it cannot be told."""
    if _CHINESE.search(text):
        return "zh"
    said = plain(text[:MOST])
    german, english = len(_GERMAN.findall(said)), len(_ENGLISH.findall(said))
    if german == english:
        return None
    return "de" if german > english else "en"


def _asked(rest: str) -> Asked:
    if _WHEN.search(rest):
        return Asked.WHEN
    if _COUNT.search(rest):
        return Asked.COUNT
    return Asked.WHETHER if _WHETHER.search(rest) else Asked.LIST


def _answered_by(rest: str, time: TimeReading) -> AnsweredBy:
    for words in time.not_understood:
        rest = rest.replace(plain(words), " ")
    if _TELLING.search(rest) or _WHERE.search(rest):
        return AnsweredBy.FACTS
    if _CAME.search(rest) or _LEFT.search(rest) or _TOOK_PLACE.search(rest):
        return AnsweredBy.NOTES
    tense = bool(_PAST.search(_HAVING.sub(" ", rest))) or _DONE_DE.search(rest) or time.spans or time.ever
    if _LIVING.search(rest) and tense:
        return AnsweredBy.NOTES
    if not _OWN.search(rest):
        return AnsweredBy.NOTES if tense and _kinds(rest) else AnsweredBy.FACTS
    return AnsweredBy.NOTHING if _DID.search(rest) else AnsweredBy.FACTS


def _which(rest: str) -> int | None:
    if (found := _NTH.search(rest)) is not None:
        return ordinal(found["n"]) or None
    if (found := _NTH_ZH.search(rest)) is not None:
        return int(number_zh(found["n"]) or 0) or None
    return -1 if _LAST.search(rest) else None


def _kinds(rest: str) -> Kinds:
    named = named_kinds(rest)
    left, came = bool(_LEFT.search(rest)), bool(_CAME.search(rest))
    if set(named) == {WatchKind.ENTER, WatchKind.MOVE} and not came:
        return ()  # "did anything move?"
    if left and not came and set(named) <= {WatchKind.ENTER}:
        return (WatchKind.LEAVE,)
    if named or _HAPPENED.search(rest):
        return named
    return (WatchKind.ENTER,) if came or _LIVING.search(rest) else ()
