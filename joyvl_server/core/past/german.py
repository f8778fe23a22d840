# ruff: noqa: E501
"""Words of time in German; umlauts stand without their dots, ß as s (`time_words.plain`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from joyvl_server.core.past import atoms
from joyvl_server.core.past.atoms import Always, Atom, DayPart, Days, Link, Part, Rule, Rules, TimeOfDay
from joyvl_server.core.past.english import clock
from joyvl_server.core.past.numerals import AMOUNT, HOUR_DE, number
from joyvl_server.core.past.spans import Moment, Span

_DAY_NAMES = "(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag)"
_DAYS = {"mon": 0, "die": 1, "mit": 2, "don": 3, "fre": 4, "sam": 5, "sonna": 5, "sonnt": 6}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "mai", "jun", "jul", "aug", "sep", "okt", "nov", "dez"], 1
    )
}
_MONTH = "(?:januar|janner|februar|marz|maerz|april|mai|juni|juli|august|september|oktober|november|dezember)"
_UNITS = {"sek": "s", "min": "m", "stu": "h", "tag": "d", "woc": "w", "mon": "M", "jah": "y", "nac": "d"}
_UNIT = "(?:sekunden?|minuten?|stunden?|tage?n?|nachten?|wochen?|monate?n?|jahre?n?)"
_PARTS = {
    "fruhmorgens": atoms.EARLY, "fruh": atoms.EARLY, "in der fruh": atoms.EARLY, "in der fruhe": atoms.EARLY,
    "morgens": atoms.MORNING, "am morgen": atoms.MORNING, "fruhen morgen": atoms.EARLY, "morgen": atoms.MORNING,
    "vormittag": atoms.FORENOON, "vormittags": atoms.FORENOON, "mittag": atoms.NOON, "mittags": atoms.NOON,
    "nachmittag": atoms.AFTERNOON, "nachmittags": atoms.AFTERNOON, "spatnachmittag": Part(900, 1080),
    "spaten nachmittag": Part(900, 1080), "fruhen nachmittag": Part(720, 900), "fruhen abend": atoms.DUSK,
    "spaten abend": atoms.LATE, "abend": atoms.EVENING, "abends": atoms.EVENING, "feierabend": atoms.DUSK,
    "nacht": atoms.NIGHT, "nachts": atoms.NIGHT, "vorabend": atoms.EVENING, "fruhstuck": atoms.BREAKFAST,
    "mittagessen": atoms.NOON, "abendessen": atoms.DINNER, "abendbrot": atoms.DINNER, "tagsuber": Part(360, 1200),
    "mittagszeit": atoms.NOON, "morgengrauen": Part(240, 420), "dammerung": atoms.DUSK,
}  # fmt: skip
_ALONE = [name for name in _PARTS if name not in ("morgen", "fruh")]
_NAMES = "|".join(sorted(_PARTS, key=len, reverse=True))
_NO_HOUR = (
    r"(?! ?(?:leute|person\w*|mensch\w*|mal\b|manner|frauen|autos?|hund\w*|katz\w*|paket\w*|besuch\w*|gast\w*|kind\w*"
    r"|ding\w*|kist\w*|jahr\w*|monat\w*|tag\w*|woche\w*|stunde\w*|minute\w*|sekunde\w*|prozent|%|met\w*|grad|mehr\b"
    r"|andere\w*|von\b|[€$°]|\.\d|/|meinen|unbekannt\w*|neu\w*|gro\w*|klein\w*|zimmer|uhr|[:.h]\d))"
)
_LINKS = {
    "um": Link.AT, "gegen": Link.ABOUT, "circa": Link.ABOUT, "ca.": Link.ABOUT, "etwa um": Link.ABOUT,
    "ungefahr um": Link.ABOUT, "so um": Link.ABOUT, "rund um": Link.ABOUT, "so gegen": Link.ABOUT,
    "etwa gegen": Link.ABOUT, "ungefahr": Link.ABOUT, "etwa": Link.ABOUT, "zwischen": Link.BETWEEN, "und": Link.AND,
    "von": Link.FROM, "vom": Link.FROM, "bis": Link.UNTIL, "bis zum": Link.UNTIL, "bis zur": Link.UNTIL, "seit": Link.SINCE,
    "ab": Link.ONWARDS, "seit dem": Link.SINCE, "seit der": Link.SINCE, "vor": Link.BEFORE, "vorm": Link.BEFORE,
    "vor dem": Link.BEFORE, "vor der": Link.BEFORE, "nach": Link.AFTER, "nach dem": Link.AFTER,
    "nach der": Link.AFTER, "oder": Link.AND, "bis um": Link.UNTIL, "bis gegen": Link.UNTIL, "kurz vor": Link.BEFORE,
    "kurz nach": Link.AFTER,
}  # fmt: skip


def _unit(word: str) -> str:
    return _UNITS[word[:3]]


def _weekday_number(name: str) -> int:
    return _DAYS[name[:5] if name.startswith("sonn") else name[:3]]


def _month_number(name: str) -> int:
    return 3 if name.startswith("mae") else 1 if name.startswith("jan") else _MONTHS[name[:3]]


def _hour(text: str) -> int | None:
    hour = int(number(text))
    return hour if hour <= 24 else None


def _day(back: int) -> Callable[[re.Match[str], Moment], Atom | None]:
    return lambda match, moment: Days.one(moment.today - timedelta(days=back))


def _relative(match: re.Match[str], moment: Moment) -> Atom | None:
    """`gestern Abend`, `heute Morgen`, `heute Nacht`, `Montagabend`."""
    back = {"heute": 0, "gestern": 1, "vorgestern": 2, "letzte": 1, "vorletzte": 2, "diese": 0, "diesen": 0,
            "heut": 0, "die letzte": 1, "vergangene": 1}[match["d"]]  # fmt: skip
    part = _PARTS[match["p"]]
    if part is atoms.NIGHT and back == 0:
        back = 0 if moment.local.hour >= 21 else 1
    elif back == 0:
        return atoms.of_today(part, moment)
    return DayPart(Days.one(moment.today - timedelta(days=back)), part)


def _weekday(match: re.Match[str], moment: Moment) -> Atom | None:
    number = _weekday_number(match["d"])
    which = (match["which"] or "").strip()
    if which.startswith(("nachst", "kommend")):
        return Days.one(moment.today + timedelta(days=(number - moment.today.weekday()) % 7 or 7))
    if which.startswith("vorletzt"):
        return Days.one(atoms.weekday(number, moment).first - timedelta(days=7))
    if which.startswith("dies"):
        found = atoms.weekday(number, moment, week=0)
        return found if found.first <= moment.today else atoms.weekday(number, moment)
    return atoms.weekday(number, moment)


def _weekday_part(match: re.Match[str], moment: Moment) -> Atom | None:
    return DayPart(atoms.weekday(_weekday_number(match["d"]), moment), _PARTS[match["p"]])


def _week_day(match: re.Match[str], moment: Moment) -> Atom | None:
    back = 0 if match["w"].startswith("dies") else 2 if match["w"].startswith("vorletzt") else 1
    return atoms.weekday(_weekday_number(match["d"]), moment, week=back)


def _period(match: re.Match[str], moment: Moment) -> Atom | None:
    which = match["w"]
    back = 2 if which.startswith("vorletzt") else 0 if which.startswith("dies") else 1
    back = -1 if which.startswith(("nachst", "kommend")) else back
    match match["u"][:3]:
        case "woc" if match["u"] == "wochenende":
            return atoms.weekend(0 if back <= 0 else back - 1 + int(moment.today.weekday() >= 5), moment)
        case "woc":
            return atoms.week(back, moment)
        case "mon":
            return atoms.month(back, moment)
    return atoms.year_days(moment.today.year - back)


def _date(match: re.Match[str], moment: Moment) -> Atom | None:
    year = int(match["y"]) if match["y"] else None
    month = int(match["mon"]) if match["mon"].isdigit() else _month_number(match["mon"])
    return atoms.date_of(int(match["d"]), month, moment, year)


def _dates(match: re.Match[str], moment: Moment) -> Atom | None:
    year = int(match["y"]) if match["y"] else None
    month = int(match["mon"]) if match["mon"].isdigit() else _month_number(match["mon"])
    first, last = (atoms.date_of(int(match[day]), month, moment, year) for day in "de")
    return Days(first.first, last.last) if first and last and first.first < last.last else None


def _feast(match: re.Match[str], moment: Moment) -> Atom | None:
    match match["f"]:
        case "heiligabend" | "heilig abend":
            return atoms.date_of(24, 12, moment)
        case "silvester":
            return atoms.date_of(31, 12, moment)
        case "neujahr":
            return atoms.date_of(1, 1, moment)
    found = atoms.date_of(24, 12, moment)
    return found and Days(found.first, found.first + timedelta(days=3))


def _half(match: re.Match[str], moment: Moment) -> Atom | None:
    """`halb acht` is half past seven; `viertel acht` a quarter past seven."""
    hour = _hour(match["h"])
    minutes = {"halb": 30, "viertel": 45, "dreiviertel": 15, "drei viertel": 15}[match["n"]]
    if hour is None or not 1 <= hour <= 12:
        return None
    return clock((hour - 1) or 12, 60 - minutes if minutes != 30 else 30, None)


def _past_to(match: re.Match[str], moment: Moment) -> Atom | None:
    minutes = 15 if match["n"] == "viertel" else int(number(match["n"]))
    hour = _hour(match["h"])
    if hour is None or not 0 < minutes < 60:
        return None
    total = hour * 60 + (-minutes if match["dir"] == "vor" else minutes) - (30 if match["halb"] else 0)
    return clock(total // 60 or 12, total % 60, None) if hour <= 12 else TimeOfDay(total)


def _digital(match: re.Match[str], moment: Moment) -> Atom | None:
    hour, minute = _hour(match["h"]), int(number(match["m"]))
    if hour is None or not 0 <= minute < 60:
        return None
    if match["h"].startswith("0"):
        return TimeOfDay(hour * 60 + minute)
    return clock(hour, minute, None)


def _rule(pattern: str, make: Callable[[re.Match[str], Moment], Atom | None]) -> Rule:
    return (re.compile(rf"(?<!\w)(?:{pattern})(?!\w)"), make)


_WHICH = "(?:letzten?[rs]?|letztem|vergangenen?[rs]?|vergangenem|vorigen?[rs]?|vorigem|vorletzten?[rs]?|diesen?[rs]?|dies|diesem|nachsten?[rs]?|nachstem|kommenden?[rs]?)"

RULES: Rules = (
    _rule("vorgestern", _day(2)),
    _rule("gestern", _day(1)),
    _rule("(?:heute?|den ganzen tag|heutigen tag)", _day(0)),
    _rule("morgen", _day(-1)),
    _rule("ubermorgen", _day(-2)),
    _rule(f"(?P<d>heute?|gestern|vorgestern|die letzte|letzte|vorletzte|vergangene|diesen?) ?(?P<p>{_NAMES})", _relative),
    _rule("(?:in der )(?:letzten|vergangenen) nacht|die ganze nacht|uber nacht|in der nacht auf heute",
          lambda match, moment: DayPart(Days.one(moment.today - timedelta(days=1)), atoms.NIGHT)),
    _rule(f"(?:am )?(?P<d>{_DAY_NAMES})(?: ?(?P<p>morgen|vormittag|mittag|nachmittag|abend|nacht|fruh|morgens|abends|nachts|vormittags|nachmittags|mittags))", _weekday_part),
    _rule(f"(?:(?:am|im|beim|zum|zur|in der|wahrend des|wahrend der|gegen|den|der|am fruhen|am spaten) )?(?P<p>{'|'.join(sorted(_ALONE, key=len, reverse=True))})",
          lambda match, moment: _PARTS[match["p"]]),
    _rule("(?:am|den|der) (?:(?:nachsten|fruhen) )?(?P<p>morgen|vormittag|fruh)", lambda match, moment: _PARTS[match["p"]]),
    _rule(f"(?:am )?(?P<which>{_WHICH} )?(?P<d>{_DAY_NAMES})s?", _weekday),
    _rule(f"(?:am )?(?P<d>{_DAY_NAMES}) (?P<w>{_WHICH}) woche", _week_day),
    _rule(f"(?:(?:in|im|an|am) )?(?:der |den |dem )?(?P<w>{_WHICH}) (?P<u>woche|monats?|jahre?s?|wochenende)(?!n)", _period),
    _rule("(?:am|ubers|uber das|das) (?P<w>)(?P<u>wochenende)", lambda match, moment: atoms.weekend(0, moment)),
    _rule(f"(?:im |seit |anfang |ende |mitte )?(?P<mon>{_MONTH})(?: (?P<y>(?:19|20)\\d\\d))?",
          lambda match, moment: atoms.named_month(
              _month_number(match["mon"]), moment, int(match["y"]) if match["y"] else None)),
    _rule(r"(?:im jahr|anno|in) (?P<y>(?:19|20)\d\d)(?!-)", lambda match, moment: atoms.year_days(int(match["y"]))),
    _rule(rf"(?:(?:am|den|vom|zum) )?(?:\w+tag,? (?:den |dem )?)?(?P<d>\d{{1,2}})\. ?(?P<mon>{_MONTH})(?: (?P<y>(?:19|20)\d\d))?", _date),
    _rule(r"(?:(?:am|den|vom|zum) )?(?P<d>\d{1,2})\.(?P<mon>0?[1-9]|1[0-2])\.(?P<y>(?:20)?\d\d)?", _date),
    _rule(rf"(?:vom |zwischen dem )?(?P<d>\d{{1,2}})\. ?(?:bis(?: zum)?|-|und(?: dem)?) ?(?P<e>\d{{1,2}})\. ?(?P<mon>{_MONTH})(?: (?P<y>(?:19|20)\d\d))?", _dates),
    _rule(r"(?:am|den) (?P<d>\d{1,2})\.(?!\d)(?! ?\w+tag)", lambda match, moment: atoms.day_of_month(int(match["d"]), moment)),
    _rule("(?:an |zu |ueber )?(?P<f>weihnachten|heiligabend|heilig abend|silvester|neujahr)", _feast),
    _rule(rf"(?:(?:in|wahrend|innerhalb) )?(?:der |den |dem |die |das )?(?:letzten?[rs]?|letztem|vergangenen?[rs]?|vergangenem) (?P<n>{AMOUNT} )?(?P<u>{_UNIT})",
          lambda match, moment: atoms.lately(number(match["n"]) if match["n"] else 3 if match["u"].endswith("n") else 1, _unit(match["u"]), moment)
          if match["n"] or _unit(match["u"]) in "smh" or match["u"].endswith("n") else None),
    _rule(r"(?:in der letzten|letzte|wahrend der letzten) (?P<n>halben|viertel|dreiviertel) ?stunde",
          lambda match, moment: atoms.lately(number(match["n"]), "h", moment)),
    _rule(rf"(?:seit|in) (?P<n>{AMOUNT}) (?P<u>{_UNIT})",
          lambda match, moment: atoms.lately(number(match["n"]), _unit(match["u"]), moment)
          if match[0].startswith("seit") else Span(
              moment.now, moment.now + number(match["n"]) * {"s": 1, "m": 60, "h": 3600}.get(_unit(match["u"]), 86400))),
    _rule(rf"vor (?:etwa |ungefahr |rund |gut |knapp |circa )?(?P<n>{AMOUNT}) ?(?P<u>{_UNIT})",
          lambda match, moment: atoms.ago(number(match["n"]), _unit(match["u"]), moment)),
    _rule("(?:so)?eben|gerade eben|vorhin|vor kurzem|gerade noch|kurzlich erst", lambda match, moment: atoms.lately(
        60 if match[0] in ("vorhin", "vor kurzem") else 10, "m", moment)),
    _rule("neulich|kurzlich|in letzter zeit|letztens|die letzten tage|dieser tage", lambda match, moment: atoms.lately(7, "d", moment)),
    _rule("jemals|je|irgendwann|schon ?mal|schon einmal|bisher|bis jetzt|fruher|immer|einmal|uberhaupt schon",
          lambda match, moment: Always()),
    _rule(rf"(?P<n>halb|viertel|drei ?viertel) (?P<h>{HOUR_DE})(?: uhr)?", _half),
    _rule(rf"(?P<n>viertel|\d{{1,2}}|funf|zehn|zwanzig)(?: minuten)? (?P<dir>vor|nach) (?P<halb>halb )?(?P<h>{HOUR_DE})(?: uhr)?{_NO_HOUR}", _past_to),
    _rule(r"(?P<h>\d{1,2})[:.](?P<m>\d\d)(?: ?(?:uhr|h))", _digital),
    _rule(rf"(?P<h>{HOUR_DE}) ?uhr ?(?P<m>\d{{1,2}}|dreisig|funfzehn|zwanzig|zehn|funfundvierzig|vierzig|funfzig|funf)", _digital),
    _rule(rf"(?P<h>{HOUR_DE}) ?(?:uhr|h)",
          lambda match, moment: None if (hour := _hour(match["h"])) is None else clock(hour, 0, None)),
    _rule("(?:um )?mitternacht", lambda match, moment: TimeOfDay(1440)),
    _rule("(?:um )?(?:12|zwolf) uhr mittags", lambda match, moment: TimeOfDay(720)),
    _rule(rf"(?P<h>{HOUR_DE}){_NO_HOUR}",
          lambda match, moment: None if (hour := _hour(match["h"])) is None else clock(hour, 0, None, bare=True)),
    _rule("|".join(re.escape(word) for word in sorted(_LINKS, key=len, reverse=True)),
          lambda match, moment: _LINKS[match[0]]),
)  # fmt: skip

HINTS = (
    r"\b(?:wahrend|als (?:ich|wir|er|sie|die|der|das)|bevor|nachdem|seitdem|sobald|bis (?:ich|wir|er|sie))\b[^,.;?!]*"
    r"|\b(?:ostern|pfingsten|ferien|urlaub|geburtstag|fruhling|sommer|herbst|winter|fasching|karneval|quartal"
    r"|semester|jahrzehnt)\b|\b(?:stunden?|minuten?|tagen?|wochen?|monaten?|jahren?) (?:zuvor|spater|vorher)\b|\buhr\b"
)
