"""Which part of a time nobody watched, by what the timeline has of sessions, cameras and engines that came and went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from joyvl_server.core.past.spans import Span, joined
from joyvl_server.store.events import EventFilter, EventRecord, Events, EventType

STATES: tuple[EventType, ...] = (
    "session_started", "session_ended", "camera_online", "camera_offline", "engine_online", "engine_offline",
)  # fmt: skip
BEFORE = 300
"""events before a time that tell how it was when it began"""
WITHIN = 20_000
PAGE = 1000
SHORT_S = 2.0
"""away for less is not told"""


@dataclass(frozen=True, slots=True)
class Unwatched:
    """`spans`: what nobody watched of the asked time, in order, without the time before `since`: then (Unix seconds)
    the watching of a new camera began. `whole`: nobody watched at all."""

    spans: tuple[Span, ...] = ()
    since: float | None = None
    whole: bool = False


async def unwatched(
    events: Events, wanted: EventFilter, created_wall: float, asked: Sequence[Span], now: float
) -> Unwatched:
    """`wanted`: the camera, or the session, that is meant; it is there since `created_wall`. What is later than `now`
    does not count. Raises `StoreError`. Cancelling it changes nothing."""
    asked = [Span(span.start, min(span.end, now)) for span in asked if span.start < min(span.end, now)]
    if not asked:
        return Unwatched()
    start, end = asked[0].start, asked[-1].end
    before = await events.list(replace(wanted, types=STATES, until=start), limit=BEFORE)
    within: list[EventRecord] = []
    states, last = replace(wanted, types=STATES, since=start, until=end), None
    while len(within) < WITHIN:
        page = await events.list(states, limit=PAGE, before=last)
        within += page
        if len(page) < PAGE:
            break
        last = page[-1].id
    watched = _watched(_in_order(before), _in_order(within), max(start, created_wall), end)
    missing = tuple(part for span in asked for part in _without(span, watched))
    whole = sum(part.end - part.start for part in missing) >= sum(span.end - span.start for span in asked) - SHORT_S
    since = None
    if created_wall >= end:
        since = created_wall
    elif created_wall > start and watched:
        since = watched[0].start
    told = (part for part in missing if since is None or part.start >= since)
    return Unwatched(tuple(part for part in told if part.end - part.start >= SHORT_S), since, whole)


def _in_order(events: list[EventRecord]) -> list[EventRecord]:
    return sorted(events, key=lambda event: (event.wall, event.id))


@dataclass(slots=True)
class _State:
    """How a session is."""

    running: bool
    online: bool
    decides: bool = True

    @classmethod
    def before(cls, type: str) -> _State:
        """One of which nothing is known is as its first event says that it was."""
        was = type.endswith(("_ended", "_offline"))
        return cls(was, was or type == "engine_online", type != "engine_online")

    @property
    def watches(self) -> bool:
        return self.running and self.online and self.decides

    def take(self, type: str) -> None:
        match type:
            case "session_started":
                self.running, self.decides = True, True  # its camera may have come a moment before
            case "session_ended":
                self.running = self.online = False
            case "camera_online":
                self.running = self.online = True
            case "camera_offline":
                self.online = False
            case "engine_online":
                self.running = self.decides = True
            case _:
                self.decides = False


def _watched(before: list[EventRecord], within: list[EventRecord], start: float, end: float) -> tuple[Span, ...]:
    """Times in which some session watched; those that meet are one."""
    sessions: dict[str, _State] = {}
    for event in before:
        sessions.setdefault(event.session_id, _State.before(event.type)).take(event.type)
    for event in within:
        sessions.setdefault(event.session_id, _State.before(event.type))
    found: list[Span] = []
    place = start
    for event in within:
        if event.wall > place:
            if any(state.watches for state in sessions.values()):
                found.append(Span(place, event.wall))
            place = event.wall
        sessions[event.session_id].take(event.type)
    if place < end and any(state.watches for state in sessions.values()):
        found.append(Span(place, end))
    return joined(found)


def _without(span: Span, taken: Sequence[Span]) -> list[Span]:
    left: list[Span] = []
    place = span.start
    for one in taken:
        if one.start > place and min(one.start, span.end) > place:
            left.append(Span(place, min(one.start, span.end)))
        place = max(place, one.end)
    if place < span.end:
        left.append(Span(place, span.end))
    return left
