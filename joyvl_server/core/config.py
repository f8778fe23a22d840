"""What an observer is made with. Frozen: what may change while it runs comes as an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fidelity = Literal["faithful", "adaptive"]
"""faithful: every frame in full. adaptive: a glance where the picture did not change, and nothing at all only where
`max_blind_s` allows it."""


@dataclass(frozen=True, slots=True)
class ObserverConfig:
    """Settings of one session and the facts about its engine.

    Times in seconds, scores and changes 0 to 1, sizes in tokens or characters.
    """

    threshold: float = 0.5
    """speak when the score reaches this (changed live by `SensitivityChanged`)"""
    cooldown_s: float = 2.0
    duplicate_window_s: float = 30.0
    query_ttl_s: float = 600.0

    fidelity: Fidelity = "faithful"
    full_look_change: float = 0.25
    """adaptive: a change that deserves a full look"""
    max_glance_s: float = 30.0
    """adaptive: a full look at least this often"""
    max_blind_s: float = 0.0
    """adaptive: a frame of a still picture may be skipped until this long after the last look; 0 skips none"""

    context_tokens: int = 24_000
    chunk_s: float = 600.0
    lead_turns: int = 8
    """turns of the old chunk that stand at the start of the next one"""
    model_time_s: float = 7200.0
    """the model's time restarts at the first chunk switch after this"""
    utc_offset_s: int = 0
    """the session's zone, for the clock in the prefix"""
    separator: str = "\n"
    """between the parts of a user turn"""
    system: str | None = None
    """own system prompt; None takes the built-in one"""

    delegation: bool = True
    follows_instructions: bool = True
    reports_kinds: bool = False
    needs_every_frame: bool = False
    """the three facts above are the engine's `Capabilities`"""

    max_answer_chars: int = 2000
    task_prefix: str = "task_"
    """start of the ids of delegated tasks; the shell makes it unique where ids must outlive the process"""
