"""Things that have not moved for long, and those that move again."""

from __future__ import annotations

from joyvl_server.engines.motion.regions import Region
from joyvl_server.engines.motion.sighting import MotionFrame
from joyvl_server.engines.motion.thing import MOVES, Thing

STILL_S = 60.0
"""Motionless for so long is worth a word."""
STILL_SHARE = 0.04
"""Motionless: less than this part changes from picture to picture."""
KEPT_S = 900.0
"""A thing that has been motionless for so long belongs to the scene from then on."""


def watch_stillness(thing: Thing, body: Region, now: MotionFrame) -> None:
    long = now.t - thing.rests_since >= STILL_S
    if body.moving > STILL_SHARE and now.t > thing.born:
        if long and body.moving < MOVES:
            return  # a gesture; it did not go anywhere
        if long and thing.told_still and thing.known:
            now.say("move", thing.value, body, f"move-{thing.id}-{now.t:.1f}")
        thing.rests_since, thing.told_still = now.t, False
    elif long and thing.known and not thing.told_still:
        thing.told_still = True
        now.say("still", thing.value * 0.95, body, f"still-{thing.id}-{now.t:.1f}")


def belongs_to_the_scene(thing: Thing, now: MotionFrame) -> bool:
    return now.t - thing.rests_since > KEPT_S
