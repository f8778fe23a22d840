"""Words of time put together: points, stretches between two of them, what comes before or after one.

A time of day without a day is the newest that has come; "at eight" of a day that was named may be both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from joyvl_server.core.past.atoms import Always, DayPart, Days, Found, Link, NoTime, Part, Point, TimeOfDay
from joyvl_server.core.past.points import (
    AFTER_THEIRS,
    BARE_AFTER,
    clashes,
    days_from,
    each_day,
    likely,
    minutes_meant,
    nearest_before,
    opens_stretch,
    wider,
)
from joyvl_server.core.past.spans import Moment, Span, at_minute, joined

_EPOCH = 0.0


@dataclass(slots=True)
class _Stretch:
    """A stretch of time as it was said: a point, or from one to another. `link` says what of it."""

    link: Link
    first: Point
    last: Point | None = None


@dataclass(slots=True)
class Stretches:
    """`take` each group of words of time, then ask for the `spans`."""

    moment: Moment
    used: list[Found] = field(default_factory=list)
    ever: bool = False
    _fixed: list[Span] = field(default_factory=list)
    _wanted: list[_Stretch] = field(default_factory=list)

    def take(self, items: list[Found]) -> None:
        """One group, left to right."""
        place = 0
        before = Point()
        joined_by_and = False
        while place < len(items):
            atom = items[place].atom
            if isinstance(atom, Span | Always | NoTime):
                place = self._whole(items, place)
                continue
            link, after = self._leading(items, place)
            first, end = self._point(items, after, bare=link in BARE_AFTER or opens_stretch(items, after))
            if first.empty:
                place += 1
                continue
            wanted = _Stretch(link or Link.AT, first)
            end = self._goes_on(items, end, wanted, opened=link in (Link.BETWEEN, Link.FROM))
            alone = wanted.link is Link.AT and wanted.last is None
            if alone and first.clock is None and end < len(items) and self._qualifies(items, end):
                before, place = first.filled(before), end
                self._use(items[after:end])
                continue
            end = self._qualified(items, end, wanted)
            for point in (wanted.first, wanted.last):
                if point is not None and wanted.first is point:
                    wanted.first = point.filled(before)
            self._use(items[place:end])
            self._wanted.append(wanted)
            joined_by_and = end < len(items) and items[end].atom is Link.AND
            before = Point(days=wanted.first.days) if joined_by_and and wanted.first.clock else Point()
            place = end

    def spans(self) -> tuple[Span, ...]:
        """All of it, once all groups are taken: a day that stands elsewhere dates a time of day."""
        days = [w for w in self._wanted if w.link is Link.AT and w.last is None and w.first.clock is None
                and w.first.part is None]  # fmt: skip
        loose = [w for w in self._wanted if w not in days and w.first.days is None
                 and (w.last is None or w.last.days is None)]  # fmt: skip
        if len(days) == 1 and loose:
            for wanted in loose:
                wanted.first = wanted.first.filled(days[0].first)
            self._wanted.remove(days[0])
        spans = [span for wanted in self._wanted for span in self._resolve(wanted)]
        return joined([*self._fixed, *spans])

    # -- reading

    def _whole(self, items: list[Found], place: int) -> int:
        atom = items[place].atom
        since = place > 0 and items[place - 1].atom is Link.SINCE
        if isinstance(atom, Span):
            self._fixed.append(self._until_now(atom.start) if since else atom)
            self._use(items[place - since : place])
        elif isinstance(atom, Always):
            self.ever = True
        self._use([items[place]])
        return place + 1

    def _leading(self, items: list[Found], place: int) -> tuple[Link | None, int]:
        """The link before a point, and where the point begins."""
        link: Link | None = None
        while place < len(items) and isinstance(atom := items[place].atom, Link):
            stronger = atom not in (Link.AT, Link.ABOUT, Link.AND) or link is None
            link = atom if stronger else link
            place += 1
        return link, place

    def _point(self, items: list[Found], place: int, *, bare: bool) -> tuple[Point, int]:
        """The days, part and time of day that stand together from here on."""
        point, about = Point(), place > 0 and items[place - 1].atom is Link.ABOUT
        while place < len(items):
            atom = items[place].atom
            if atom in (Link.AT, Link.ABOUT) and place + 1 < len(items):
                following = items[place + 1].atom
                if not isinstance(following, TimeOfDay | Days | Part) or clashes(point, following):
                    break
                about, bare, place = about or atom is Link.ABOUT, True, place + 1
                continue
            if isinstance(atom, TimeOfDay) and atom.bare and not bare:
                break
            if not isinstance(atom, TimeOfDay | Days | Part | DayPart) or clashes(point, atom):
                break
            if isinstance(atom, DayPart):
                point = Point(atom.days, atom.part, point.clock)
            elif isinstance(atom, Days):
                point = Point(atom, point.part, point.clock)
            elif isinstance(atom, Part):
                point = Point(point.days, atom, point.clock)
            else:
                point = Point(point.days, point.part, atom)
            place += 1
        if about and point.clock is not None:
            point = Point(point.days, point.part, wider(point.clock))
        return point, place

    def _goes_on(self, items: list[Found], place: int, wanted: _Stretch, *, opened: bool) -> int:
        """ "… and four", "to four", "以后"."""
        if place >= len(items):
            return place
        atom = items[place].atom
        if atom in (Link.TO, Link.UNTIL) or (atom is Link.AND and opened):
            last, end = self._point(items, place + 1, bare=True)
            if not last.empty:
                wanted.last, wanted.link = last, Link.BETWEEN
                return end
        if atom in AFTER_THEIRS:
            wanted.link = AFTER_THEIRS[atom]
            return place + 1
        return place

    def _qualifies(self, items: list[Found], place: int) -> bool:
        """A day before "between three and four" dates it; "yesterday and today" are two."""
        link = items[place].atom
        if not isinstance(link, Link) or link in (Link.AND, Link.TO):
            return False
        _, following = self._leading(items, place)
        return following < len(items) and isinstance(items[following].atom, TimeOfDay | Part)

    def _qualified(self, items: list[Found], place: int, wanted: _Stretch) -> int:
        """A day or a part of it that stands after the stretch counts for both its ends."""
        if wanted.last is None:
            return place
        more, end = self._point(items, place, bare=False)
        if more.clock is not None:
            more, end = Point(), place
        first, last = wanted.first, wanted.last
        wanted.first = first.filled(more).filled(Point(last.days, last.part if last.clock is not None else None))
        wanted.last = last.filled(more).filled(Point(None, first.part))
        return end

    def _use(self, items: list[Found]) -> None:
        self.used += [item for item in items if item not in self.used]

    # -- working out

    def _resolve(self, wanted: _Stretch) -> list[Span]:
        point, moment = wanted.first, self.moment
        if wanted.last is not None:
            return self._between(point, wanted.last)
        match wanted.link:
            case Link.AFTER:
                return self._after(point)
            case Link.ONWARDS if point.clock is not None:
                return self._after(point)
            case Link.SINCE | Link.EVER_SINCE | Link.ONWARDS:
                starts = [start for start, _ in self._times(point, exact=True)]
                return [self._until_now(self._unix(min(starts)))] if starts else []
            case Link.BEFORE | Link.UNTIL:
                return self._before(point, until=wanted.link is Link.UNTIL)
        return [moment.span(start, end) for start, end in self._times(point)]

    def _before(self, point: Point, *, until: bool) -> list[Span]:
        if point.clock is None and point.part is None:
            assert point.days is not None, "an empty point"
            end = point.days.last if until else point.days.first
            return [Span(_EPOCH, self._unix(at_minute(end, 0)))]
        spans = []
        times = self._times(point, exact=True)
        if point.days is None:  # "before noon" is today, also where it is to come
            today = point.filled(Point(Days.one(self.moment.today)))
            times = self._times(today, exact=True)
            times = [([time for time in times if time[0] <= self.moment.local] or times[:1])[-1]]
        for start, end in times:
            stop = end if until else start
            day = start.date() if start.time() != datetime.min.time() else start.date() - timedelta(days=1)
            spans.append(self.moment.span(at_minute(day, 0), stop))
        return spans

    def _after(self, point: Point) -> list[Span]:
        if point.clock is None and point.part is None:
            assert point.days is not None, "an empty point"
            return [self._until_now(self._unix(at_minute(point.days.last, 0)))]
        times = self._times(point, exact=True)
        spans = []
        for start, end in times:
            begin = start if point.clock is not None else end
            spans.append(self.moment.span(begin, at_minute(begin.date() + timedelta(days=1), 0)))
        return spans

    def _between(self, first: Point, last: Point) -> list[Span]:
        spans = []
        first = nearest_before(first, last)
        for start, _ in self._times(first, exact=True):
            end = self._end_of(last, start)
            if end <= start and first.days is not None and first.days.weekday:
                start -= timedelta(days=7)
            if end > start:
                spans.append(self.moment.span(start, end))
        return spans

    def _end_of(self, last: Point, start: datetime) -> datetime:
        """Of a stretch that began at `start`: the first that fits."""
        if last.days is not None:
            ends = [end for _, end in self._times(last, exact=True)]
            return next((end for end in sorted(ends) if end > start), max(ends))
        if last.clock is not None:
            times = [
                at_minute(day, minute) for day in days_from(start.date()) for minute in minutes_meant(last.clock, None)
            ]
            return min(time for time in times if time > start)
        assert last.part is not None, "an empty point"
        return next(
            at_minute(day, last.part.end) for day in days_from(start.date()) if at_minute(day, last.part.end) > start
        )

    def _times(self, point: Point, *, exact: bool = False) -> list[tuple[datetime, datetime]]:
        """Start and end, local, of all that it may mean. `exact`: a time of day is that minute."""
        days, local = point.days, self.moment.local
        if point.clock is not None:
            minutes = minutes_meant(point.clock, point.part)
            width = timedelta(0 if exact else point.clock.width * 60 / 86400)
            if days is not None:
                times = [at_minute(day, minute) for day in each_day(days) for minute in likely(minutes, point.part)]
            else:
                near = [at_minute(self.moment.today + timedelta(days=d), m) for d in (-2, -1, 0) for m in minutes]
                times = [max((time for time in near if time <= local), default=near[0])]
            return [(time - width, time + width) for time in times]
        if point.part is not None:
            if days is None:
                begun = [
                    d for d in (0, -1) if at_minute(self.moment.today + timedelta(days=d), point.part.start) <= local
                ]
                days = Days.one(self.moment.today + timedelta(days=begun[0]))
            return [(at_minute(day, point.part.start), at_minute(day, point.part.end)) for day in each_day(days)]
        assert days is not None, "an empty point"
        return [(at_minute(days.first, 0), at_minute(days.last, 0))]

    def _until_now(self, start: float) -> Span:
        """Empty where the start is still to come."""
        return Span(start, max(start, self.moment.now))

    def _unix(self, local: datetime) -> float:
        return self.moment.calendar.unix(local)
