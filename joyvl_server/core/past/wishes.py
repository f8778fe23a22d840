"""What somebody wants remembered, forgotten or undone: "remember that the blue box is mine", „vergiss …“, “记住……”."""

# ruff: noqa: E501
from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from joyvl_server.core.past.time_words import plain

MOST_FACT = 2000
"""characters of a fact that are kept"""


@dataclass(frozen=True, slots=True)
class Remember:
    """`fact`: in the user's own words."""

    fact: str


@dataclass(frozen=True, slots=True)
class Forget:
    """`about`: what; empty: everything. `everything`: all about it, which may be more than one fact."""

    about: str
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Undo:
    """The last wish was a mistake. `told`: only if it was to remember something ("forget that")."""

    told: bool = False


Wish = Remember | Forget | Undo

_PLEASE = r"^(?:(?:please|bitte|hey|ok(?:ay)?|and|und|so)[ ,]+)*(?:(?:can|could|would|will) you (?:please )?|(?:kannst|konntest|wurdest) du (?:dir )?(?:bitte )?)?"
_REMEMBER = re.compile(
    _PLEASE + r"(?:"
    r"(?:remember|memori[sz]e|keep in mind|bear in mind|don'?t forget|do not forget|never forget|make a note|take a note|note)"
    r"(?:(?: of)? this)?(?:,? that\b|:|,)?"
    r"(?! ?(?:to\b|when\b|if\b|how\b|who\b|where\b|why\b|what\b|me\b(?! (?:as|for))|anything|this\b|it\b|that\b|you\b|us\b))"
    r"|(?:merke?n?|notieren?|notiere?|behalten?|denke? (?:bitte )?da?ran|erinnere dich(?: bitte)? daran|vergiss(?: bitte)? nicht)"
    r"(?: dir| im kopf| im gedachtnis| dich)?(?: bitte)?(?:,? ?(?:dass|das)\b|:|,)?(?! ?(?:wann|ob|wie|wer|wo|warum|was|mich|zu\b))"
    r") ?(?P<fact>\S.*)$",
    re.DOTALL,
)
_REMEMBER_ZH = re.compile(
    r"^(?:请|麻烦)?(?:你)?(?:帮我|给我|替我)?(?:记住|记下来?|记一下|记着|牢记|别忘了|不要忘了|不要忘记|别忘记|记得(?!.*[吗么？?]))(?:一下)?[，,：: ]*(?P<fact>\S.*)$",
    re.DOTALL,
)
_FORGET = re.compile(
    _PLEASE + r"(?:you (?:can|may|should) )?(?:"
    r"forget(?! (?:it|them|the watch\w*|(?:my|this|that) watch\w*)\b[.! ]*$|(?:\b[^.]*\bwatch(?:es)?\b))"
    r"|delete (?:the |your )?memor(?:y|ies) (?:of|about|that)|erase (?:the |your )?memor(?:y|ies) (?:of|about|that)"
    r"|vergiss(?! (?:es|nicht)\b)|vergesse(?! (?:es|nicht)\b)|losche die erinnerung(?:en)? (?:an|uber)"
    r")(?: bitte)?[ ,:]*(?P<rest>.*)$",
    re.DOTALL,
)
_FORGET_ALL = re.compile(
    r"(?:about )?(?:everything|anything|alles|alle|all)\b(?: (?:of it|das|you know|du weist|was du weist))?(?: you (?:know|remember))?"
    r"(?:[ ,]*(?:about|of|on|concerning|that has to do with|uber|von|zu|was mit))? ?(?P<about>.*)$",
    re.DOTALL,
)
_FORGET_ABOUT = re.compile(
    r"(?:what (?:i|we) (?:said|told you) about|what you know about|the (?:fact|thing|memory) (?:that|about|with)|about|that|dass|das mit"
    r"|was (?:ich|wir) (?:dir )?uber|die sache mit)\b[ ,:]*",
)
_FORGET_ZH = re.compile(
    r"^(?:请|麻烦)?(?:你)?(?:把)?(?:(?:忘记|忘掉|忘了|删除|删掉)(?:关于|有关)?[，,：: ]*(?P<about>.*?)|(?P<before>.+?)(?:忘记|忘掉|忘了|删除|删掉)吧?)[。！!. ]*$",
    re.DOTALL,
)
_ALL_ZH = re.compile(
    r"(?:的)?(?:一切|所有|全部)(?:的)?(?:事情?|记忆|内容|信息|东西)?(?:都|全)?|(?:的)?(?:事情?|记忆)?(?:全都|都|全)$"
)
_UNDO = re.compile(
    r"(?:please |bitte )?(?:undo(?: (?:that|it|this))?|take (?:that|it) back|mach (?:das|es) ruckgangig|nimm (?:das|es) zuruck|ruckgangig(?: machen)?"
    r"|撤销|撤回|取消刚才的?(?:操作)?|恢复)[.!。！ ]*"
)
_UNSAY = re.compile(
    r"(?:please |bitte )?(?:forget (?:that|this)(?: again| please)?|vergiss (?:das|dies)(?: wieder| bitte)?|忘(?:了|掉|记)(?:这个|那个|它|这句话))[.!。！ ]*"
)


def read_wish(text: str) -> Wish | None:
    """None: it is none, but a question or an instruction."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    said = plain(text)
    if _UNDO.fullmatch(said):
        return Undo()
    if _UNSAY.fullmatch(said):
        return Undo(told=True)
    if said.endswith(("?", "？")):
        return None
    for pattern in (_REMEMBER, _REMEMBER_ZH):
        if (found := pattern.match(said)) is not None:
            fact = text[found.start("fact") : found.end("fact")].strip(" ,，:：。")[:MOST_FACT]
            return Remember(fact) if fact else None
    return _forget(text, said)


def _forget(text: str, said: str) -> Wish | None:
    if (found := _FORGET_ZH.match(said)) is not None:
        group = "about" if found["about"] is not None else "before"
        about = text[found.start(group) : found.end(group)]
        everything = _ALL_ZH.search(about) is not None
        about = _ALL_ZH.sub("", about).removeprefix("关于").strip(" ，,。")
        about = about.removesuffix("的") if everything else about
        return Forget(about, everything) if about or everything else None
    if (found := _FORGET.match(said)) is None:
        return None
    start = found.start("rest")
    if (all_of := _FORGET_ALL.match(said, start)) is not None:
        return Forget(_trimmed(text[all_of.start("about") :]), everything=True)
    if (what := _FORGET_ABOUT.match(said, start)) is not None:
        start = what.end()
    rest = _trimmed(text[start:])
    return Forget(rest) if rest else None


def _trimmed(text: str) -> str:
    return text.strip(" .,!:;")[:MOST_FACT]
