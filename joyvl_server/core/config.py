"""What an observer is made with. Frozen: what may change while it runs comes as an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fidelity = Literal["faithful", "adaptive", "eco"]
"""faithful: every frame in full. adaptive: a full look where the picture changed enough, a glance where it did not.
eco: also fewer ticks while it stays still."""


@dataclass(frozen=True, slots=True)
class ObserverConfig:
    """Settings of one session and the facts about its engine.

    Times in seconds, scores and changes 0 to 1, sizes in tokens or characters.
    """

    threshold: float = 0.5
    """speak when the score reaches this (changed live by `SensitivityChanged`)"""
    hysteresis: float = 0.1
    """after a remark the score must fall this much below the threshold, or rise this much above it, to speak again"""
    cooldown_s: float = 2.0
    duplicate_window_s: float = 30.0
    query_ttl_s: float = 600.0

    fidelity: Fidelity = "faithful"
    """at first (changed live by `FidelityChanged`)"""
    full_look_change: float = 0.25
    """adaptive, eco: a change that deserves a full look; 1 is 48 grey levels beyond noise in a 200th of the picture"""
    motion_look_s: float = 2.0
    """adaptive, eco: while something goes on changing, a full look this often: nothing is further than 1 s from one"""
    max_glance_s: float = 30.0
    """adaptive, eco: a full look at least this often"""
    still_after_s: float = 10.0
    """adaptive, eco: a picture without a change for this long is still: some of its frames are skipped"""
    max_blind_s: float = 2.0
    """adaptive: a still picture is looked at this often; 0 skips nothing"""
    eco_blind_s: float = 8.0
    """eco: the longer it is still, the more seldom; never more seldom than this"""

    context_tokens: int = 24_000
    chunk_s: float = 600.0
    memory_tokens: int = 2400
    """room of the video history (summaries and long-term blocks) in a prefix"""
    summary_tokens: int = 240
    """longest summary of one chunk"""
    language: str = "en"
    """BCP 47 tag: summaries are written in it"""
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
    chooses: bool = False
    prepares: bool = False
    writes: bool = False
    """the facts above are the engine's `Capabilities`"""

    max_answer_chars: int = 2000
    first_epoch: int = 1
    """epoch of the first utterance, each further one has the next; the shell sees to it that none is used twice"""
    task_prefix: str = "task_"
    """start of the ids of delegated tasks; the shell makes it unique where ids must outlive the process"""
