"""Word and character error rates, with what is no mistake made the same: case, punctuation, digits, script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_CHINESE_DIGITS = "零一二三四五六七八九"
_PAIRS = (
    "來来門门時时訴诉開开還还嗎吗貓猫個个從从邊边進进間间請请點点鐘钟藥药紅红麼么們们經经發发現现關关樓楼車车庫库園园攝摄頭头過过數数"
    "彈弹沒没僅仅廚厨爐炉這这為为給给聽听說说話话讓让寫写報报寶宝盞盏燈灯閃闪臥卧窗窗戶户著着螢萤幕幕鑰钥處处幾几總总煙烟輛辆當当"
    "麵面裡里裏里響响應应該该繼继續续蓋盖據据樣样兩两剛刚纔才線线視视頻频機机對对錢钱長长導导領领東东與与顆颗孩孩喚唤醒醒遞递員员"
    "馬马場场忘忘牆墙牌牌黃黄戴戴爬爬後后鏡镜裝装張张風风雞鸡魚鱼鳥鸟電电腦脑書书筆笔買买賣卖學学習习"
)
_SIMPLIFIED = str.maketrans(dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True)))


def plain_english(text: str) -> list[str]:
    """Words in lower case, small numbers as words."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("o'clock", "oclock")
    words = re.findall(r"[a-z0-9']+", text)
    return [_NUMBERS[int(word)] if word.isdigit() and int(word) <= 20 else word for word in words]


def plain_chinese(text: str) -> list[str]:
    """Characters, simplified, small numbers as characters."""
    text = unicodedata.normalize("NFKC", text).lower().translate(_SIMPLIFIED)
    text = re.sub(r"\d+", lambda found: _chinese_number(found[0]), text)
    return re.findall(r"[\u3400-\u9fffa-z]", text)


def mistakes(reference: Sequence[str], heard: Sequence[str]) -> int:
    """How many words (characters) must be changed, added or left out."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def error_rate(pairs: Sequence[tuple[str, str]], language: str) -> float:
    """Of (said, heard) pairs: of words for English, of characters for Chinese ("zh"). 0.05 is 5 %."""
    plain = plain_chinese if language == "zh" else plain_english
    plains = [(plain(said), plain(heard)) for said, heard in pairs]
    return sum(mistakes(said, heard) for said, heard in plains) / max(1, sum(len(said) for said, _ in plains))


def _chinese_number(digits: str) -> str:
    number = int(digits)
    if number < 10:
        return _CHINESE_DIGITS[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        head = "" if tens == 1 else _CHINESE_DIGITS[tens]
        return head + "十" + (_CHINESE_DIGITS[ones] if ones else "")
    return "".join(_CHINESE_DIGITS[int(digit)] for digit in digits)
