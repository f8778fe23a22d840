"""How much of a source is kept for clips. Plain data: main hands it to the workers."""

from __future__ import annotations

from dataclasses import dataclass

LATE_S = 15.0
"""how long after its picture a clip may be asked for: what is said about it has to be written first"""
RARE_KEYS_S = 40.0
"""what is kept in addition of a camera that sends keyframes rarely"""


@dataclass(frozen=True, slots=True)
class ClipLimits:
    """`seconds`: kept at least, as far as there is room, and then on to the keyframe before. `most_s`: kept at most.

    `bytes`: of all packets of one source.
    """

    seconds: float
    most_s: float
    bytes: int

    @classmethod
    def of(cls, before_s: float, after_s: float, megabytes: int) -> ClipLimits:
        """What clips of that span need."""
        seconds = before_s + LATE_S
        return cls(seconds, seconds + after_s + RARE_KEYS_S, megabytes << 20)
