"""Answers a question about the past from the timeline itself, for engines that read no words: what was noted, and when.

It says what was noted, no more: an engine that sees movement cannot tell people from dogs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from joyvl_server.core.past.questions import Asked, PastQuestion, language_of
from joyvl_server.core.past.spans import Calendar, Span
from joyvl_server.core.past.time_words import TimeReading
from joyvl_server.core.watches.kinds import ALIASES, PICTURES, Kinds, WatchKind
from joyvl_server.core.watches.named_kinds import named_kinds
from joyvl_server.sessions.memory.known.unwatched import unwatched
from joyvl_server.sessions.memory.known.words import not_wanted, not_watched, not_yet_wanted
from joyvl_server.sessions.memory.phrases import happened, listed, nth, say, that, times
from joyvl_server.store.events import REMARKS, EventFilter, EventRecord, Events

WITHOUT_A_TIME_S = 86_400.0
"""a question without a time means the last day"""
WRITTEN_S = 0.5
"""Longest wait for events that are being written."""
MOST = 5000
"""events that are looked at"""
LISTED = 12


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """`rests_on`: ids of the events that it tells, in order of time."""

    text: str
    rests_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Whose events: those of the camera, or of the session where it has none."""

    camera_id: str | None
    session_id: str
    created_wall: float = 0.0
    """since when there is one, in Unix seconds"""
    unwanted: frozenset[WatchKind] = frozenset()
    """kinds that no watch wants: they are not noted"""
    late: Mapping[WatchKind, Span] = field(default_factory=dict)
    """when no watch wanted a kind yet that one wants now"""

    @property
    def filter(self) -> EventFilter:
        return EventFilter(camera_id=self.camera_id, session_id=None if self.camera_id else self.session_id)


async def answer(
    events: Events, calendar: Calendar, place: Place, question: PastQuestion, now: float, language: str
) -> OwnAnswer:
    """Raises `StoreError`. `language`: en, de or zh. Cancelling it changes nothing.

    What was noted before the question is told, though it is only being written.
    """
    await events.posted(WRITTEN_S)
    spans = question.time.spans or (Span(0.0 if question.time.ever else now - WITHOUT_A_TIME_S, now + 1.0),)
    found = await _between(events, place, spans)
    told = [event for event in found if not question.kinds or _kind(event) in question.kinds]
    text = _say(question, told, calendar, now, language)
    if question.names_things and told:
        text += say(language, "things")
    seen = {_kind(event) for event in told}
    unnoted = tuple(kind for kind in question.kinds if kind in place.unwanted and kind not in seen)
    if unnoted:
        missing = not_wanted(language, happened(language, unnoted))
        text = f"{text} {missing}" if told or len(unnoted) < len(question.kinds) else missing
    away = await unwatched(events, place.filter, place.created_wall, spans, now)
    missed = not_watched(
        language, away, lambda wall: clock_time(wall, calendar, now), since=bool(question.time.spans) or not told
    )
    if away.whole:  # what was noted all the same was watched
        text = text if told else missed
    elif missed:
        text += missed if language == "zh" else f" {missed}"
    if not away.whole and (question.time.spans or not told):
        text += _late(question.kinds, told, place, spans, language, lambda wall: clock_time(wall, calendar, now))
    for words in question.time.not_understood:
        text += say(language, "unknown", words=words)
    shown = told if question.nth is None else _nth(told, question.nth)
    return OwnAnswer(text, tuple(event.id for event in shown[-100:]))


async def _between(events: Events, place: Place, spans: Sequence[Span]) -> list[EventRecord]:
    """Remarks of these stretches, oldest first; of very many the newest."""
    session_id = None if place.camera_id else place.session_id
    found: list[EventRecord] = []
    for span in spans:
        before: str | None = None
        while len(found) < MOST:
            wanted = EventFilter(
                camera_id=place.camera_id, session_id=session_id, types=REMARKS, since=span.start, until=span.end
            )
            page = await events.list(wanted, limit=1000, before=before)
            found += page
            if len(page) < 1000:
                break
            before = page[-1].cursor
    return sorted(found, key=lambda event: (event.wall, event.id))


def _kind(event: EventRecord) -> WatchKind | None:
    kind = event.data.get("kind")
    if isinstance(kind, str):
        kind = ALIASES.get(kind, kind)
        return WatchKind(kind) if kind in list(WatchKind) else None
    named = named_kinds(event.text)
    return named[0] if len(named) == 1 else None


def unwanted_kinds(watches: Iterable[Kinds]) -> frozenset[WatchKind]:
    """`watches`: what each active one fires at, empty: any. Without a watch all that is seen is noted."""
    several = tuple(watches)
    named = {kind for kinds in several for kind in kinds}
    seen = set(PICTURES) if not several or not all(several) else set()
    return frozenset(WatchKind) - named - seen


def late_kinds(watches: Iterable[tuple[Kinds, float]]) -> dict[WatchKind, Span]:
    """`watches`: what each active one fires at, empty: any, and since when it is there. Before the first of them all
    that is seen was noted, as far as is known."""
    several = sorted(watches, key=lambda watch: watch[1])
    found = {}
    for kind in WatchKind if several else ():
        wanted = [since for kinds, since in several if kind in kinds or (not kinds and kind in PICTURES)]
        begin = several[0][1] if kind in PICTURES else 0.0
        if wanted and begin < wanted[0]:
            found[kind] = Span(begin, wanted[0])
    return found


def _late(
    kinds: Kinds,
    told: Sequence[EventRecord],
    place: Place,
    spans: Sequence[Span],
    language: str,
    moment: Callable[[float], str],
) -> str:
    """That a part of the asked time passed before any watch was for what is asked; empty where none did."""
    missing = []
    for kind in kinds:
        late = place.late.get(kind)
        if late is None or not any(span.start < late.end and late.start < span.end for span in spans):
            continue
        if not any(_kind(event) == kind and late.start <= event.wall < late.end for event in told):
            missing.append(kind)
    if not missing:
        return ""
    since = max(place.late[kind].end for kind in missing)
    text = not_yet_wanted(language, that(language, tuple(missing)), moment(since))
    return text if language == "zh" else f" {text}"


def _nth(told: list[EventRecord], number: int) -> list[EventRecord]:
    if number == -1:
        return told[-1:]
    return told[number - 1 : number]


def _say(question: PastQuestion, told: list[EventRecord], calendar: Calendar, now: float, language: str) -> str:
    kinds: Kinds = question.kinds
    what = happened(language, kinds)
    when = _when(question.time, calendar, now, language)
    moments = [clock_time(event.wall, calendar, now) for event in told]
    if not told:
        return (
            say(language, "none", that=that(language, kinds), when=when)
            if kinds
            else say(language, "nothing", when=when)
        )
    more = max(0, len(moments) - LISTED)
    if question.nth is not None:
        if question.nth == -1:
            return say(language, "last", what=what, at=moments[-1])
        if question.nth > len(told):
            number = nth(language, question.nth)
            shown = listed(language, moments[-LISTED:], more)
            return say(
                language, "too_few", times=times(language, len(told)), what=what, when=when, list=shown, nth=number
            )
        return say(language, "nth", what=what, at=moments[question.nth - 1], nth=nth(language, question.nth))
    if kinds or question.asked in (Asked.COUNT, Asked.WHEN):
        shown = listed(language, moments[-LISTED:], more)
        return say(language, "count", what=what, times=times(language, len(told)), when=when, list=shown)
    lines = [f"{moment} {_words(event, language)}".strip() for moment, event in zip(moments, told, strict=True)]
    return say(language, "listed", when=when, list=listed(language, lines[-LISTED:], more))


def _when(time: TimeReading, calendar: Calendar, now: float, language: str) -> str:
    """The stretches that are meant, up to now."""
    if not time.spans:
        return "" if time.ever else say(language, "day")
    ends = [(span.start, min(span.end, max(now, span.start))) for span in time.spans[:LISTED]]
    shown = [[clock_time(wall, calendar, now).removesuffix(":00") for wall in both] for both in ends]
    return say(language, "meant", list=listed(language, [say(language, "and", start=s, end=e) for s, e in shown]))


def _words(event: EventRecord, language: str) -> str:
    """What was said then; in another language, what happened."""
    text, kind = event.text.strip().rstrip(".。"), _kind(event)
    if kind is None or (language_of(text) or "en") == language:
        return text
    return happened(language, (kind,))


def clock_time(wall: float, calendar: Calendar, now: float) -> str:
    """On the clock on the wall: `14:03:22`, with its date on another day."""
    local, today = calendar.local(wall), calendar.local(now)
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%Y-%m-%d %H:%M:%S}"
