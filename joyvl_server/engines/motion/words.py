"""What the engine says: one short plain sentence for each kind of sighting."""

from __future__ import annotations

from collections.abc import Iterable

from joyvl_server.core.watches.zones import CENTRE, LEFT, RIGHT, Box, Zone, side, zones_at

SIDES = {LEFT: "on the left", CENTRE: "near the middle", RIGHT: "on the right"}
WITH_PLACE = {
    "enter": "Something came in {place}.",
    "leave": "Something went away {place}.",
    "move": "Something moves again {place}.",
    "still": "Something has not moved for a while {place}.",
    "changed": "The scene has changed {place}.",
}
WHOLE_VIEW = {
    "changed": "The view has changed.",
    "dark": "It has become dark.",
    "covered": "The camera is covered.",
    "frozen": "The picture is frozen.",
    "camera_moving": "The camera is moving.",
}


def sentence(kind: str, box: Box | None, zones: Iterable[Zone]) -> str:
    """`box` None: it concerns the whole view. A named zone wins over left, middle and right."""
    if box is None:
        return WHOLE_VIEW[kind]
    names = zones_at(box, zones)
    place = f"at {names[0]}" if names else SIDES[side(box)]
    return WITH_PLACE[kind].format(place=place)
