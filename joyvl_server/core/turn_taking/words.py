"""What words said during playback mean: an interruption, a sign of listening ("mhm", "yes"), or "stop".

English, German and Chinese; a sentence that is more than such words is an interruption.
"""

from __future__ import annotations

import re
from enum import StrEnum

from joyvl_server.core.decision.repetition import normal

_WORD = re.compile(r"\w")
_BACKCHANNELS = (
    "m+h+m+", "m+", "h+m+", "uh huh", "mm h+m+", "oh", "ah", "ooh", "wow", "uh", "um", "er", "yes", "yeah", "yep",
    "yup", "ok", "okay", "right", "sure", "alright", "all right", "i see", "got it", "i know", "really", "exactly",
    "true", "good", "great", "nice", "fine", "cool", "interesting", "ja", "jaja", "genau", "ach so", "achso", "aha",
    "gut", "stimmt", "klar", "verstehe", "ach", "na gut", "alles klar",
)  # fmt: skip
_BACKCHANNELS_ZH = (
    "嗯", "哦", "噢", "喔", "啊", "呃", "唔", "哈", "对", "對", "是", "是的", "好", "好的", "好吧", "行", "没错",
    "沒錯", "明白", "明白了", "知道", "知道了", "原来如此", "原來如此", "这样啊", "這樣啊", "这样", "這樣", "真的",
    "真的吗", "真的嗎", "不错", "不錯", "的", "呀", "吧",
)  # fmt: skip
_STOPS = (
    "stop", "stop it", "stop that", "stop talking", "stop speaking", "quiet", "be quiet", "silence", "shut up", "hush",
    "enough", "that s enough", "be silent", "stopp", "halt", "ruhe", "sei still", "sei ruhig", "still jetzt", "genug",
    "hör auf", "aufhören", "schluss",
)  # fmt: skip
_STOPS_ZH = (
    "停", "停下", "停下来", "停下來", "停一下", "停止", "别说了", "別說了", "别说话", "別說話", "别说话了", "別說話了",
    "不要说了", "不要說了", "安静", "安靜", "安静点", "安靜點", "闭嘴", "閉嘴", "住口", "住嘴",
    "够了", "夠了", "别讲了", "別講了",
)  # fmt: skip
_POLITE = ("please", "now", "hey", "bitte", "jetzt", "thanks", "thank you", "danke")
_POLITE_ZH = ("请", "請", "了", "吧", "谢谢", "謝謝")


def _either(latin: tuple[str, ...], chinese: tuple[str, ...]) -> str:
    """A pattern for one of them: Latin words end at a space, Chinese ones anywhere. It never goes back: what people say
    may be long."""
    longest_first = "|".join(sorted(chinese, key=len, reverse=True))
    return rf"(?>(?:{'|'.join(latin)})(?!\w)|(?:{longest_first})) ?"


_LISTENS = re.compile(rf"(?:{_either(_BACKCHANNELS, _BACKCHANNELS_ZH)})++")
_ASIDE = _either(_BACKCHANNELS + _POLITE, _BACKCHANNELS_ZH + _POLITE_ZH)
_STOP = _either(_STOPS, _STOPS_ZH)
_STOPPING = re.compile(rf"(?:(?!{_STOP}){_ASIDE})*+{_STOP}(?:{_STOP}|{_ASIDE})*+")


class Meaning(StrEnum):
    NOTHING = "nothing"
    """no word in it"""
    BACKCHANNEL = "backchannel"
    """somebody listens, and wants to hear the rest"""
    STOP = "stop"
    """silence is wanted, and no answer"""
    WORDS = "words"


def meaning(text: str) -> Meaning:
    """What it means that somebody says this while something plays."""
    if not _WORD.search(text):
        return Meaning.NOTHING
    said = normal(text)[:200]
    if _STOPPING.fullmatch(said):
        return Meaning.STOP
    return Meaning.BACKCHANNEL if _LISTENS.fullmatch(said) else Meaning.WORDS


def is_backchannel(text: str) -> bool:
    """ "mhm", "yes", "好的": said during playback, it is no interruption and no question."""
    return meaning(text) is Meaning.BACKCHANNEL


def is_stop(text: str) -> bool:
    """ "stop", "be quiet", "别说了": the answer to it is silence. Who passes on what people say need not ask it."""
    return meaning(text) is Meaning.STOP


def words_heard(text: str, characters: int) -> str:
    """The whole words among the first `characters`, without the space after them; all where no word is missing."""
    if not _WORD.search(text[characters:]):
        return text.strip() if characters > 0 else ""
    end = characters
    if text[end - 1 : end].isalnum() and text[end].isalnum() and text[end - 1 : end + 1].isascii():
        while end > 0 and text[end - 1].isalnum():
            end -= 1
    return text[:end].strip()
