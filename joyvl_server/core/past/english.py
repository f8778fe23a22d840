# ruff: noqa: E501
"""Words of time in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from joyvl_server.core.past import atoms
from joyvl_server.core.past.atoms import Always, Atom, DayPart, Days, Link, NoTime, Part, Rule, Rules, TimeOfDay
from joyvl_server.core.past.numerals import AMOUNT, HOUR_EN, MINUTE_WORDS, number
from joyvl_server.core.past.spans import Moment, Span

_DAY_NAMES = "mon(?:day)?s?|tue(?:s(?:day)?)?s?|wed(?:nesday|s)?s?|thu(?:r(?:s(?:day)?)?)?s?|fri(?:day)?s?|sat(?:urday)?s?|sun(?:day)?s?"
_FULL_DAYS = "(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)s?"
_DAYS = {name: number for number, name in enumerate(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\\.?"
_UNITS = {"sec": "s", "min": "m", "hou": "h", "hrs": "h", "day": "d", "wee": "w", "mon": "M", "yea": "y", "nig": "d"}
_UNIT = "(?:seconds?|secs?|minutes?|mins?|hours?|hrs|days?|nights?|weeks?|months?|years?)"
_PARTS = {
    "early morning": atoms.EARLY, "late morning": atoms.FORENOON, "forenoon": atoms.FORENOON,
    "morning": atoms.MORNING, "lunchtime": atoms.NOON, "lunch time": atoms.NOON, "lunch": atoms.NOON,
    "midday": Part(11 * 60, 14 * 60), "early afternoon": Part(720, 900), "late afternoon": Part(900, 1080),
    "afternoon": atoms.AFTERNOON, "early evening": atoms.DUSK, "late evening": atoms.LATE,
    "evening": atoms.EVENING, "dusk": atoms.DUSK, "dawn": Part(240, 420), "breakfast": atoms.BREAKFAST,
    "dinner": atoms.DINNER, "supper": atoms.DINNER, "dinnertime": atoms.DINNER, "night": atoms.NIGHT,
    "small hours": atoms.SMALL_HOURS, "nighttime": atoms.NIGHT, "daytime": Part(360, 1200),
}  # fmt: skip
_PART = "(?:" + "|".join(sorted(_PARTS, key=len, reverse=True)) + ")s?"
_NO_HOUR = (
    r"(?! ?(?:people|persons?|times?|m[ae]n\b|wom[ae]n|cars?|dogs?|cats?|parcels?|packages?|visitors?|guests?|of\b|kids?"
    r"|child\w*|things?|boxes|bottles?|years?|months?|days?|weeks?|hours?|minutes?|seconds?|percent|%|met\w*|degrees?"
    r"|more\b|others?|or more|[€$°]|\.\d|st\b|nd\b|rd\b|th\b|/|strangers?|bikes?|birds?|-year))"
)
_AT_LINKS = {
    "at": Link.AT, "around": Link.ABOUT, "about": Link.ABOUT, "roughly": Link.ABOUT, "approximately": Link.ABOUT,
    "circa": Link.ABOUT, "ca.": Link.ABOUT, "by": Link.UNTIL, "between": Link.BETWEEN, "and": Link.AND,
    "from": Link.FROM, "to": Link.TO, "-": Link.TO, "–": Link.TO, "until": Link.UNTIL, "till": Link.UNTIL,
    "up to": Link.UNTIL, "since": Link.SINCE, "before": Link.BEFORE, "after": Link.AFTER, "past": Link.AFTER,
    "or": Link.AND, "through": Link.TO, "starting": Link.ONWARDS, "toward": Link.ABOUT, "towards": Link.ABOUT,
    "prior to": Link.BEFORE, "as of": Link.SINCE, "onwards": Link.EVER_SINCE, "onward": Link.EVER_SINCE,
    "or so": Link.AT, "later than": Link.AFTER, "earlier than": Link.BEFORE, "every since": Link.SINCE,
    "ever since": Link.SINCE,
}  # fmt: skip


def _unit(word: str) -> str:
    return _UNITS[word[:3]]


def _hour(text: str) -> int | None:
    hour = int(number(text))
    return hour if hour <= 24 else None


def clock(hour: int, minute: int, half: str | None, *, bare: bool = False, width: int = 15) -> TimeOfDay | None:
    """`half`: am or pm, or nothing. Hours from 13 on, and 0, are plain."""
    if minute > 59 or hour > 24:
        return None
    if half:
        if not 1 <= hour <= 12:
            return None
        return TimeOfDay(hour % 12 * 60 + minute + (720 if half.startswith("p") else 0), width=width)
    if 1 <= hour <= 12:
        return TimeOfDay(hour % 12 * 60 + minute, half=True, bare=bare, width=width)
    return TimeOfDay(hour * 60 + minute, bare=bare, width=width)


def _digital(match: re.Match[str], moment: Moment) -> Atom | None:
    hour, minute, half = match["h"], int(match["m"]), match["half"]
    if half is None and len(hour) == 2 and hour[0] == "0":
        return TimeOfDay(int(hour) * 60 + minute) if minute < 60 else None
    return clock(int(hour), minute, half)


def _half(match: re.Match[str]) -> str | None:
    return match["half"] if match["half"] else None


def _past_to(match: re.Match[str], moment: Moment) -> Atom | None:
    words = match["n"]
    minutes = {"half": 30.0, "quarter": 15.0, "a quarter": 15.0}.get(words)
    minutes = number(words) if minutes is None else minutes
    hour = _hour(match["h"])
    if hour is None or not 0 < minutes < 60:
        return None
    total = hour * 60 + int(minutes) * (-1 if match["dir"] in ("to", "of", "before", "til", "till") else 1)
    return clock(total // 60 % 24 or 12, total % 60, _half(match)) if hour <= 12 else TimeOfDay(total)


def _bare(match: re.Match[str], moment: Moment) -> Atom | None:
    hour = _hour(match["h"])
    return None if hour is None else clock(hour, 0, None, bare=True)


def _spoken(match: re.Match[str], moment: Moment) -> Atom | None:
    hour = _hour(match["h"])
    minute = number(match["m"].removeprefix("oh "))
    return None if hour is None else clock(hour, int(minute), _half(match), bare=not match["half"])


def _weekday(match: re.Match[str], moment: Moment) -> Atom | None:
    number = _DAYS[match["d"][:3]]
    which = (match["which"] or "").strip()
    if which in ("next", "coming"):
        return Days.one(moment.today + timedelta(days=(number - moment.today.weekday()) % 7 or 7))
    if which == "this":
        found = atoms.weekday(number, moment, week=0)
        return found if found.first <= moment.today else atoms.weekday(number, moment)
    return atoms.weekday(number, moment)


def _week_day(back: int) -> Callable[[re.Match[str], Moment], Atom | None]:
    return lambda match, moment: atoms.weekday(_DAYS[match["d"][:3]], moment, week=back)


def _date(match: re.Match[str], moment: Moment) -> Atom | None:
    year = int(match["y"]) if match["y"] else None
    return atoms.date_of(int(re.sub(r"\D", "", match["d"])), _MONTHS[match["mon"][:3]], moment, year)


def _dates(match: re.Match[str], moment: Moment) -> Atom | None:
    year = int(match["y"]) if match["y"] else None
    month = _MONTHS[match["mon"][:3]]
    first = atoms.date_of(int(re.sub(r"\D", "", match["d"])), month, moment, year)
    last = atoms.date_of(int(re.sub(r"\D", "", match["e"])), month, moment, year)
    return Days(first.first, last.last) if first and last and first.first < last.last else None


def _iso(match: re.Match[str], moment: Moment) -> Atom | None:
    return atoms.date_of(int(match["d"]), int(match["mon"]), moment, int(match["y"]))


def _slashed(match: re.Match[str], moment: Moment) -> Atom | None:
    """Of 3/4 nobody knows whether it is in March or in April."""
    first, second = int(match["a"]), int(match["b"])
    year = int(match["y"]) if match["y"] else None
    if first > 12 or first == second:
        return atoms.date_of(first, second, moment, year) or NoTime(match[0])
    if second > 12:
        return atoms.date_of(second, first, moment, year) or NoTime(match[0])
    return NoTime(match[0])


def _feast(match: re.Match[str], moment: Moment) -> Atom | None:
    name = match["f"]
    if name.startswith("new year"):
        return atoms.date_of(31, 12, moment) if name.endswith("eve") else atoms.date_of(1, 1, moment)
    if name.startswith("christmas"):
        if name.endswith("eve"):
            return atoms.date_of(24, 12, moment)
        if name.endswith("day"):
            return atoms.date_of(25, 12, moment)
        found = atoms.date_of(24, 12, moment)
        return found and Days(found.first, found.first + timedelta(days=3))
    day, number = {"h": (31, 10), "b": (26, 12), "v": (14, 2)}[name[0]]
    return atoms.date_of(day, number, moment)


def _day(back: int) -> Callable[[re.Match[str], Moment], Atom | None]:
    return lambda match, moment: Days.one(moment.today - timedelta(days=back))


def _last_night(match: re.Match[str], moment: Moment) -> Atom | None:
    return DayPart(Days.one(moment.today - timedelta(days=1)), atoms.LONG_NIGHT)


def _tonight(match: re.Match[str], moment: Moment) -> Atom | None:
    return DayPart(Days.one(moment.today - timedelta(days=moment.local.hour < 5)), atoms.LONG_NIGHT)


def _this_part(match: re.Match[str], moment: Moment) -> Atom | None:
    return atoms.of_today(_PARTS[match["p"]], moment)


def _part(match: re.Match[str], moment: Moment) -> Part:
    return _PARTS.get(match["p"]) or _PARTS[match["p"].removesuffix("s")]


def _rule(pattern: str, make: Callable[[re.Match[str], Moment], Atom | None]) -> Rule:
    return (re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"), make)


_HALF = r"(?: ?(?P<half>[ap]) ?\.?m\b\.?)"

RULES: Rules = (
    _rule("(?:the )?day before yesterday", _day(2)),
    _rule("(?:yesterday|yday)(?:'s)?", _day(1)),
    _rule("(?:today(?:'s)?|this day|the whole day|all day(?: long)?|(?:so far |earlier )today)", _day(0)),
    _rule("tomorrow", _day(-1)),
    _rule("(?:the )?day after tomorrow", _day(-2)),
    _rule(
        f"(?:the )?(?P<p>{_PART}) before (?:yesterday|last)",
        lambda match, moment: DayPart(Days.one(moment.today - timedelta(days=2)), _part(match, moment)),
    ),
    _rule(
        "(?:last|past|all) night|over ?night|(?:during|through) the night"
        "|yesterday(?: at|'s)? night|the night before|in the middle of the night",
        _last_night,
    ),
    _rule("tonight|this night", _tonight),
    _rule(f"(?:earlier )?this (?P<p>{_PART.removesuffix('s?')})", _this_part),
    _rule(f"(?:(?:in|during|over|at|of|by) )?(?:the )?(?P<p>{_PART})(?: ?time)?", _part),
    _rule(rf"(?:on )?(?P<which>(?:the )?(?:last|past|previous) |this |next |coming )?(?P<d>{_FULL_DAYS}|(?:(?<=on )|(?<=last )|(?<=this ))(?:{_DAY_NAMES}))", _weekday),
    _rule(rf"(?:on )(?P<which>)(?P<d>{_DAY_NAMES})\.?", _weekday),
    _rule(rf"(?:on )?(?P<d>{_FULL_DAYS}),? (?:of )?last week|last week,?(?: on)? (?P<e>{_FULL_DAYS})",
          lambda match, moment: atoms.weekday(_DAYS[(match["d"] or match["e"])[:3]], moment, week=1)),
    _rule(rf"(?:on )?(?P<d>{_FULL_DAYS}) (?:of )?this week", _week_day(0)),
    _rule(rf"(?:on )?(?:the )?(?P<d>{_FULL_DAYS}) before last",
          lambda match, moment: Days.one(atoms.weekday(_DAYS[match["d"][:3]], moment).first - timedelta(days=7))),
    _rule(rf"a week ago (?:on )?(?P<d>{_FULL_DAYS})", _week_day(1)),
    _rule("this week", lambda match, moment: atoms.week(0, moment)),
    _rule("(?:the )?(?:last|previous) week(?!end)", lambda match, moment: atoms.week(1, moment)),
    _rule("(?:the )?week before last", lambda match, moment: atoms.week(2, moment)),
    _rule("next week", lambda match, moment: atoms.week(-1, moment)),
    _rule("(?:on|at|over|during)? ?(?:the|this) weekend", lambda match, moment: atoms.weekend(0, moment)),
    _rule("(?:the )?(?:last|past|previous) weekend",
          lambda match, moment: atoms.weekend(int(moment.today.weekday() >= 5), moment)),
    _rule("(?:the )?weekend before last",
          lambda match, moment: atoms.weekend(1 + int(moment.today.weekday() >= 5), moment)),
    _rule("this month", lambda match, moment: atoms.month(0, moment)),
    _rule("(?:last|previous) month", lambda match, moment: atoms.month(1, moment)),
    _rule("(?:the )?month before last", lambda match, moment: atoms.month(2, moment)),
    _rule("next month", lambda match, moment: atoms.month(-1, moment)),
    _rule("this year", lambda match, moment: atoms.year_days(moment.today.year)),
    _rule("(?:last|previous) year", lambda match, moment: atoms.year_days(moment.today.year - 1)),
    _rule("next year", lambda match, moment: atoms.year_days(moment.today.year + 1)),
    _rule(r"in (?P<y>(?:19|20)\d\d)(?!-)", lambda match, moment: atoms.year_days(int(match["y"]))),
    _rule(rf"(?:in|during|of|since|last|this) (?P<mon>{_MONTH})(?:,? (?P<y>(?:19|20)\d\d))?(?! \d)",
          lambda match, moment: atoms.named_month(
              _MONTHS[match["mon"][:3]], moment, int(match["y"]) if match["y"] else None)),
    _rule(rf"(?:on )?(?:the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?:of )?(?P<mon>{_MONTH}),?(?: (?P<y>(?:19|20)\d\d))?", _date),
    _rule(rf"(?:on )?(?P<mon>{_MONTH}) (?:the )?(?P<d>\d{{1,2}}(?:st|nd|rd|th)?),?(?: (?P<y>(?:19|20)\d\d))?", _date),
    _rule(rf"(?:from |between )?(?:the )?(?P<d>\d{{1,2}})(?:st|nd|rd|th)? (?:to|-|and|until) (?:the )?(?P<e>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<mon>{_MONTH})(?: (?P<y>(?:19|20)\d\d))?", _dates),
    _rule(rf"(?:from |between )?(?P<mon>{_MONTH}) (?P<d>\d{{1,2}})(?:st|nd|rd|th)? ?(?:to|-|and|until) ?(?P<e>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<y>(?:19|20)\d\d))?", _dates),
    _rule(r"on the (?P<d>\d{1,2})(?:st|nd|rd|th)", lambda match, moment: atoms.day_of_month(int(match["d"]), moment)),
    _rule(r"(?:on )?(?P<y>(?:19|20)\d\d)-(?P<mon>\d{1,2})-(?P<d>\d{1,2})", _iso),
    _rule(r"(?:on )?(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<y>(?:20)?\d\d))?", _slashed),
    _rule(r"(?:at |on |over )?(?P<f>christmas(?: eve| day)?|new year(?:'s)?(?: eve| day)?|halloween|boxing day|valentine(?:'s)?(?: day)?)", _feast),
    _rule(rf"(?:(?:in|for|over|during|within|throughout) )?(?:the )?(?:last|past) (?P<n>{AMOUNT} )?(?P<u>{_UNIT})",
          lambda match, moment: atoms.lately(number(match["n"]) if match["n"] else 3 if match["u"].endswith("s") else 1, _unit(match["u"]), moment)
          if match["n"] or match[0].split()[0] in ("in", "for", "over", "during", "within", "throughout")
          or _unit(match["u"]) in "smhd" or "past" in match[0] else None),
    _rule(rf"(?P<n>{AMOUNT}) (?P<u>{_UNIT}) (?:ago|earlier|back)",
          lambda match, moment: atoms.ago(number(match["n"]), _unit(match["u"]), moment)),
    _rule("an hour and a half ago", lambda match, moment: atoms.ago(1.5, "h", moment)),
    _rule(rf"(?:in|within) (?P<n>{AMOUNT}) (?P<u>{_UNIT})",
          lambda match, moment: Span(
              moment.now, moment.now + number(match["n"]) * {"s": 1, "m": 60, "h": 3600}.get(_unit(match["u"]), 86400))),
    _rule(rf"for (?P<n>{AMOUNT}) (?P<u>{_UNIT})",
          lambda match, moment: atoms.lately(number(match["n"]), _unit(match["u"]), moment)),
    _rule("just now|a moment ago|a second ago|moments ago|right before", lambda match, moment: atoms.lately(10, "m", moment)),
    _rule("recently|lately|these days", lambda match, moment: atoms.lately(7, "d", moment)),
    _rule("the other day", lambda match, moment: atoms.lately(10, "d", moment)),
    _rule("a while ago|some time ago|once|ever|so far|before now|at any time|any ?time|always|already|until now|by now",
          lambda match, moment: Always()),
    _rule(rf"(?P<n>half|a quarter|quarter|\d{{1,2}}(?= minutes?)|(?<=at )\d{{1,2}}|(?<!from )(?<!between )(?:{MINUTE_WORDS}))(?: minutes?)? (?P<dir>past|after|to|of|before|till?) (?P<h>{HOUR_EN})(?: o'?clock)?{_HALF}?{_NO_HOUR}", _past_to),
    _rule(r"half (?P<h>one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)",
          lambda match, moment: clock(int(number(match["h"])), 30, None)),
    _rule(rf"(?P<h>\d{{1,2}})[:.](?P<m>\d\d)(?: ?(?:h|hours|o'?clock))?{_HALF}", _digital),
    _rule(r"(?P<h>\d{1,2}):(?P<m>\d\d)(?::\d\d)?(?P<half>(?!))?(?: ?(?:h|hours|o'?clock))?", _digital),
    _rule(rf"(?P<h>{HOUR_EN})(?: o'?clock)?(?: ?sharp)?{_HALF}",
          lambda match, moment: clock(int(number(match["h"])), 0, match["half"])),
    _rule(rf"(?P<h>{HOUR_EN}) ?(?:o'? ?clock|hours)(?: sharp)?(?<!\d hours)",
          lambda match, moment: clock(int(number(match["h"])), 0, None)),
    _rule(rf"(?P<h>{HOUR_EN}) (?P<m>thirty|fifteen|forty-five|forty five|twenty|ten|oh five|forty|fifty){_HALF}?", _spoken),
    _rule("(?:at )?(?:12 )?noon|high noon", lambda match, moment: TimeOfDay(720)),
    _rule("(?:at )?midnight", lambda match, moment: TimeOfDay(1440)),
    _rule(rf"(?P<h>{HOUR_EN}){_NO_HOUR}", _bare),
    _rule("|".join(re.escape(word) for word in sorted(_AT_LINKS, key=len, reverse=True) if word not in "-–"),
          lambda match, moment: _AT_LINKS[match[0]]),
    (re.compile(r"\s*[-–]\s*(?=\w)"), lambda match, moment: Link.TO),
)  # fmt: skip

HINTS = (
    r"\b(?:while|when(?= (?:i|we|he|she|they|you|the|my|our)\b)|(?:right |just |shortly )?(?:before|after|since|until|during)|as soon as)"
    r"(?= \w)[^,.;?!]*"
    r"|\b(?:easter|ramadan|thanksgiving|holidays?|vacation|birthday|spring|summer|autumn|fall|winter|passover|diwali"
    r"|new moon|full moon|season|quarter|semester|century|decade)\b"
    r"|\b(?:hours?|minutes?|days?|weeks?|months?|years?) (?:ago|before|earlier|later|after)\b|\bo'?clock\b"
)
"""leftover words that speak of a time"""
