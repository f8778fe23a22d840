# ruff: noqa: E501
"""Words of time in Chinese, simplified (`time_words.plain` sees to that)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from joyvl_server.core.past import atoms
from joyvl_server.core.past.atoms import Always, Atom, DayPart, Days, Link, Part, Rule, Rules, TimeOfDay
from joyvl_server.core.past.english import clock
from joyvl_server.core.past.numerals import NUMBER_ZH as N
from joyvl_server.core.past.numerals import number_zh
from joyvl_server.core.past.spans import Moment, Span

_WEEK = "(?:星期|周|礼拜)"
_DAYS = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6}
_UNITS = {
    "秒": "s",
    "分": "m",
    "刻": "m",
    "小": "h",
    "钟": "h",
    "天": "d",
    "日": "d",
    "周": "w",
    "星": "w",
    "礼": "w",
    "个月": "M",
    "月": "M",
    "年": "y",
    "晚": "d",
    "夜": "d",
}
_UNIT = "(?:秒钟?|分钟?|刻钟|小时|钟头|天|日|周|星期|礼拜|个月|年|晚|夜)"
_PARTS = {
    "凌晨": atoms.SMALL_HOURS, "清晨": atoms.EARLY, "清早": atoms.EARLY, "一大早": atoms.EARLY, "大清早": atoms.EARLY,
    "早晨": atoms.MORNING, "早上": atoms.MORNING, "早间": atoms.MORNING, "上午": Part(6 * 60, 12 * 60),
    "中午": atoms.NOON, "正午": atoms.NOON, "午间": atoms.NOON, "下午": atoms.AFTERNOON, "午后": atoms.AFTERNOON,
    "傍晚": atoms.DUSK, "黄昏": atoms.DUSK, "晚上": atoms.EVENING, "晚间": atoms.EVENING, "夜里": atoms.NIGHT,
    "夜晚": atoms.NIGHT, "夜间": atoms.NIGHT, "半夜": atoms.NIGHT, "深夜": atoms.NIGHT, "午夜": atoms.NIGHT,
    "大半夜": atoms.NIGHT, "白天": Part(360, 1200), "早饭时": atoms.BREAKFAST, "早餐时": atoms.BREAKFAST,
    "午饭时": atoms.NOON, "午餐时": atoms.NOON, "晚饭时": atoms.DINNER, "晚餐时": atoms.DINNER,
}  # fmt: skip
_NAMES = "|".join(sorted(_PARTS, key=len, reverse=True))
_BACK = {"大前": 3, "前": 2, "昨": 1, "今": 0, "当": 0, "明": -1, "后": -2}
_SHORT = {"早": atoms.MORNING, "晚": atoms.LONG_NIGHT, "夜": atoms.LONG_NIGHT, "晨": atoms.MORNING, "午": atoms.NOON}
_PERIODS = {"这": 0, "这个": 0, "本": 0, "上": 1, "上个": 1, "上一个": 1, "上上": 2, "上上个": 2, "下": -1, "下个": -1}
_PERIOD = "(?:" + "|".join(sorted(_PERIODS, key=len, reverse=True)) + ")"
_HOUR = "(?:[零〇一二两三四五六七八九十]{1,3}|\\d{1,2})"


def _unit(word: str) -> str:
    return "M" if word == "个月" else _UNITS[word[0]]


def _amount(text: str) -> float | None:
    return 4 if text in ("几", "好几", "数") else number_zh(text)


def _span(match: re.Match[str], moment: Moment, make: Callable[[float, str, Moment], Atom]) -> Atom | None:
    amount = _amount(match["n"])
    if amount is None:
        return None
    amount += 0.5 if match["half"] else 0
    amount *= 15 if match["u"] == "刻钟" else 1
    return make(amount, _unit(match["u"]), moment)


def _day(match: re.Match[str], moment: Moment) -> Atom | None:
    return Days.one(moment.today - timedelta(days=_BACK[match["d"]]))


def _day_part(match: re.Match[str], moment: Moment) -> Atom | None:
    back, part = _BACK[match["d"]], _PARTS[match["p"]]
    if back == 0:
        if part is atoms.NIGHT and moment.local.hour < 12:
            return DayPart(Days.one(moment.today - timedelta(days=1)), part)
        if part is atoms.SMALL_HOURS:
            return DayPart(Days.one(moment.today), part)
        return atoms.of_today(part, moment)
    return DayPart(Days.one(moment.today - timedelta(days=back)), part)


def _short(match: re.Match[str], moment: Moment) -> Atom | None:
    back, part = _BACK[match["d"]], _SHORT[match["p"]]
    if back == 0:
        if part is atoms.LONG_NIGHT:
            return DayPart(Days.one(moment.today - timedelta(days=moment.local.hour < 5)), part)
        return atoms.of_today(part, moment)
    return DayPart(Days.one(moment.today - timedelta(days=back)), part)


def _weekday(match: re.Match[str], moment: Moment) -> Atom | None:
    number, which = _DAYS[match["d"]], match["which"]
    if which:
        return atoms.weekday(number, moment, week=_PERIODS[which])
    return atoms.weekday(number, moment)


def _period(match: re.Match[str], moment: Moment) -> Atom | None:
    back = _PERIODS[match["w"]]
    match match["u"]:
        case "周末":
            return atoms.weekend(0 if back <= 0 else back - 1 + int(moment.today.weekday() >= 5), moment)
        case "月":
            return atoms.month(back, moment)
    return atoms.week(back, moment)


def _year(match: re.Match[str], moment: Moment) -> Atom | None:
    return atoms.year_days(moment.today.year - {"今": 0, "去": 1, "前": 2, "明": -1}[match["d"]])


def _date(match: re.Match[str], moment: Moment) -> Atom | None:
    year, month, day = (number_zh(match[name]) if match[name] else None for name in ("y", "mon", "d"))
    if month is None or day is None or month % 1 or day % 1:
        return None
    if match["py"]:
        year = moment.today.year - {"今": 0, "去": 1, "前": 2}[match["py"]]
    return atoms.date_of(int(day), int(month), moment, None if year is None else int(year))


def _dates(match: re.Match[str], moment: Moment) -> Atom | None:
    month, first, last = (number_zh(match[name]) for name in ("mon", "d", "e"))
    if month is None or first is None or last is None:
        return None
    start, end = (atoms.date_of(int(day), int(month), moment) for day in (first, last))
    return Days(start.first, end.last) if start and end and start.first < end.last else None


def _month(match: re.Match[str], moment: Moment) -> Atom | None:
    month, year = number_zh(match["mon"]), number_zh(match["y"]) if match["y"] else None
    if match["py"]:
        year = moment.today.year - {"今": 0, "去": 1, "前": 2}[match["py"]]
    return None if month is None else atoms.named_month(int(month), moment, None if year is None else int(year))


def _month_day(match: re.Match[str], moment: Moment) -> Atom | None:
    day = number_zh(match["d"])
    return None if day is None else atoms.day_of_month(int(day), moment)


def _clock(match: re.Match[str], moment: Moment) -> Atom | None:
    hour, words = number_zh(match["h"]), match["m"] or ""
    if hour is None or hour > 24:
        return None
    minute = {"半": 30.0, "一刻": 15.0, "三刻": 45.0, "整": 0.0, "": 0.0, "钟": 0.0}.get(words)
    minute = number_zh(words.removesuffix("分")) if minute is None else minute
    if minute is None:
        return None
    found = clock(int(hour), int(minute), None)
    if match["to"]:
        less = {"一刻": 15.0}.get(match["to"]) or number_zh(match["to"].removesuffix("分")) or 0
        total = int(hour) * 60 - int(less)
        found = clock(total // 60 or 12, total % 60, None)
    return found and TimeOfDay(found.minute, found.half, width=30) if match["about"] else found


def _digital(match: re.Match[str], moment: Moment) -> Atom | None:
    if match["h"].startswith("0"):
        return TimeOfDay(int(match["h"]) * 60 + int(match["m"])) if int(match["m"]) < 60 else None
    return clock(int(match["h"]), int(match["m"]), None)


def _spring_festival(match: re.Match[str], moment: Moment) -> Atom | None:
    return atoms.date_of(
        *{
            "圣诞节": (25, 12),
            "元旦": (1, 1),
            "国庆节": (1, 10),
            "平安夜": (24, 12),
            "跨年夜": (31, 12),
            "劳动节": (1, 5),
        }[match[0]],
        moment,
    )


def _rule(pattern: str, make: Callable[[re.Match[str], Moment], Atom | None]) -> Rule:
    return (re.compile(pattern), make)


_DURATION = rf"(?P<n>半|几|好几|数|{N})个?(?P<half>半)?个?(?P<u>{_UNIT})"

RULES: Rules = (
    _rule("(?P<d>大前|前|昨|今|当|明|后)(?:天|日)(?!一)", _day),
    _rule(f"(?P<d>大前|前|昨|今|明|后)(?:天|日)(?:的|一)?(?P<p>{_NAMES})", _day_part),
    _rule("(?P<d>昨|今|前|明|当)(?P<p>早|晚|夜|晨|午)(?:上|间)?(?!饭|餐)", _short),
    _rule("(?:整天|一整天|一天到晚)", lambda match, moment: Days.one(moment.today)),
    _rule("(?:一?整晚|一整?夜|整夜)", lambda match, moment: DayPart(Days.one(moment.today - timedelta(days=1)), atoms.LONG_NIGHT)),
    _rule(f"(?:在)?(?P<p>{_NAMES})(?:的时候|里)?", lambda match, moment: _PARTS[match["p"]]),
    _rule(f"(?P<which>{_PERIOD})?{_WEEK}(?P<d>[一二三四五六日天])(?!个)", _weekday),
    _rule(f"(?P<w>{_PERIOD})(?P<u>周末|月|星期|周|礼拜)(?![一二三四五六日天])(?:里)?", _period),
    _rule("周末", lambda match, moment: atoms.weekend(0, moment)),
    _rule("(?P<d>今|去|前|明)年", _year),
    _rule(rf"(?:(?P<y>{N})年|(?P<py>今|去|前)年)?(?P<mon>{N})月份?(?P<d>{N})[日号]", _date),
    _rule(rf"(?P<mon>{N})月(?P<d>{N})[日号]?(?:到|至|-|—)(?P<e>{N})[日号]", _dates),
    _rule(rf"(?:(?P<y>{N})年|(?P<py>今|去|前)年)?(?P<mon>{N})月份?(?!{N}[日号])", _month),
    _rule(rf"(?P<y>(?:19|20)\d\d|二〇[{N[1:-2]}]{{2}})年(?!\d)", lambda match, moment: atoms.year_days(int(number_zh(match["y"]) or 0))),
    _rule(rf"(?<![月\d零一二三四五六七八九十])(?P<d>{N})号(?!机|楼|门|线|球|车|摄)", _month_day),
    _rule(r"(?P<y>(?:19|20)\d\d)[-/.](?P<mon>\d{1,2})[-/.](?P<d>\d{1,2})",
          lambda match, moment: atoms.date_of(int(match["d"]), int(match["mon"]), moment, int(match["y"]))),
    _rule("圣诞节|元旦|国庆节|平安夜|跨年夜|劳动节", _spring_festival),
    _rule(rf"(?:最近|过去|近|这|在过去|在最近)的?(?:这)?{_DURATION}(?:里|内|之内|以来|来)?",
          lambda match, moment: _span(match, moment, atoms.lately)),
    _rule(rf"{_DURATION}(?:以|之)?前", lambda match, moment: _span(match, moment, atoms.ago)),
    _rule(rf"{_DURATION}(?:以|之)?(?:内|来)", lambda match, moment: _span(match, moment, atoms.lately)),
    _rule(rf"(?:过)?{_DURATION}(?:以|之)?后",
          lambda match, moment: None if (amount := _amount(match["n"])) is None else Span(
              moment.now, moment.now + amount * {"s": 1, "m": 60, "h": 3600}.get(_unit(match["u"]), 86400))),
    _rule("刚刚|刚才|方才|刚", lambda match, moment: atoms.lately(10, "m", moment)),
    _rule("最近|近来|近日|这几天|这两天|这些天", lambda match, moment: atoms.lately(7, "d", moment)),
    _rule("前几天|前些天|前阵子|前两天", lambda match, moment: atoms.lately(10, "d", moment)),
    _rule("曾经|(?<![点天分月年午上里候时号日])以前|从前|有没有过|一直|从来|至今|到目前为止|之前一直", lambda match, moment: Always()),
    _rule(rf"(?P<h>{_HOUR})(?:点钟?|时(?!候|间))(?P<m>半|一刻|三刻|整|钟|{N}分|{N}(?![个人次天]))?(?:差(?P<to>一刻|{N}分))?(?P<about>左右|上下|前后)?", _clock),
    _rule(rf"差(?P<to>一刻|{N}分)钟?(?P<h>{_HOUR})点(?P<m>(?!))?(?P<about>左右)?", _clock),
    _rule(r"(?P<h>\d{1,2})[:：](?P<m>\d\d)", _digital),
    _rule("零点|午夜十二点|子夜", lambda match, moment: TimeOfDay(1440)),
    _rule("(?:大约|大概|差不多)", lambda match, moment: Link.ABOUT),
    _rule("(?:在)?(?:从|自从|自)", lambda match, moment: Link.FROM),
    _rule("(?:到|至|~|～|—)", lambda match, moment: Link.TO),
    _rule("[和跟与]", lambda match, moment: Link.AND),
    _rule("(?:以后|之后|过后|后(?!门|院|面|来))(?!的)", lambda match, moment: Link.AFTERWARDS),
    _rule("(?:以前|之前|前(?!门|院|面|台))", lambda match, moment: Link.BEFOREHAND),
    _rule("(?:以来|开始|起|到现在|到如今)", lambda match, moment: Link.EVER_SINCE),
    _rule("(?:之间|期间|的时候|这段时间|的)", lambda match, moment: Link.AT),
)  # fmt: skip

HINTS = (
    "[^，。？！,?! ]{0,12}(?:的时候|期间|那会儿|那时)|春节|中秋|端午|清明|除夕|寒假|暑假|春天|夏天|秋天|冬天|季度"
    "|自从[^，。？！,?! ]{1,12}|[^，。？！,?! ]{1,10}(?:之前|以前|之后|以后)"
)
