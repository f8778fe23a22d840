"""Kinds of happenings that a watch may choose, and the kinds that its words name.

Engines that see structure say with each score what kind of thing happened (`Score.kind`). A watch holds the kinds it
fires at; none means any. Where nobody chose, they are read from its text (`named_kinds.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from joyvl_server.core.errors import ConfigError


class WatchKind(StrEnum):
    """The whole vocabulary, in the order in which people read it."""

    ENTER = "enter"
    """something came into the picture"""
    LEAVE = "leave"
    """it is gone"""
    MOVE = "move"
    """what stood still moves again"""
    STILL = "still"
    """what moved has not moved for a while"""
    CHANGED = "changed"
    """a thing was put, taken or changed, the view is another one, the camera was moved"""
    DARK = "dark"
    """the light went out"""
    COVERED = "covered"
    """the camera is covered"""
    FROZEN = "frozen"
    """the camera sends the same picture again and again"""
    SMOKE_ALARM = "smoke_alarm"
    """a smoke or fire alarm sounds"""
    CO_ALARM = "co_alarm"
    """a carbon monoxide alarm sounds"""
    LOUD = "loud"
    """a sudden noise, much louder than usual there"""
    QUIET = "quiet"
    """a long silence where there is usually sound"""


Kinds = tuple[WatchKind, ...]
"""In the order of the vocabulary, each once; empty: any."""

HAPPENINGS = {
    WatchKind.ENTER: "something comes in",
    WatchKind.LEAVE: "something goes away",
    WatchKind.MOVE: "something moves again",
    WatchKind.STILL: "something stays still",
    WatchKind.CHANGED: "the scene changes",
    WatchKind.DARK: "it gets dark",
    WatchKind.COVERED: "the camera is covered",
    WatchKind.FROZEN: "the picture is frozen",
    WatchKind.SMOKE_ALARM: "a smoke alarm sounds",
    WatchKind.CO_ALARM: "a carbon monoxide alarm sounds",
    WatchKind.LOUD: "there is a loud noise",
    WatchKind.QUIET: "it stays silent for long",
}
"""Each kind in words, to go on after "when"."""

SOUNDS = {
    WatchKind.SMOKE_ALARM: "A smoke alarm is sounding.",
    WatchKind.CO_ALARM: "A carbon monoxide alarm is sounding.",
    WatchKind.LOUD: "There was a sudden loud noise.",
    WatchKind.QUIET: "It has been silent for a long time.",
}
"""The kinds that are heard, not seen, and what the server says at each. Only a watch that names one fires at it."""
PICTURES = tuple(kind for kind in WatchKind if kind not in SOUNDS)
"""The kinds that are seen."""

ALIASES = {"camera_moving": WatchKind.CHANGED}
"""What engines report outside the vocabulary, and the kind it counts as."""


def in_order(kinds: Iterable[WatchKind]) -> Kinds:
    chosen = set(kinds)
    return tuple(kind for kind in WatchKind if kind in chosen)


def in_words(kinds: Kinds) -> str:
    """ "when something comes in or goes away"; "at anything" for any."""
    if not kinds:
        return "at anything"
    *first, last = (HAPPENINGS[kind] for kind in kinds)
    return f"when {', '.join(first)} or {last}" if first else f"when {last}"


def read_kinds(text: str | None) -> Kinds | None:
    """Kinds written as `enter,leave`; `any` is none. None stays None. Raises `ConfigError` for others."""
    if text is None:
        return None
    names = [name.strip() for name in text.lower().split(",") if name.strip()]
    unknown = [name for name in names if name != "any" and name not in list(WatchKind)]
    if unknown or not names or ("any" in names and len(names) > 1):
        raise ConfigError(f"{text!r} is not a list of kinds. The kinds are: any, or some of {', '.join(WatchKind)}.")
    return in_order(WatchKind(name) for name in names if name != "any")


def wants(kinds: Kinds, reported: str | None) -> bool:
    """Does a watch with these kinds fire at what an engine reports?

    None: the engine says no kind, so the words decide. A kind outside the vocabulary concerns only watches for any.
    """
    return not kinds or reported is None or ALIASES.get(reported, reported) in kinds
