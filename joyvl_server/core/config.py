"""What an observer is made with. Frozen: a change while it runs comes as an input with a config of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fidelity = Literal["faithful", "adaptive", "eco"]
"""faithful: every frame in full. adaptive: a full look where the picture changed enough, a glance where it did not.
eco: also fewer ticks while it stays still."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the decisions depend on of what an engine can do (see its `Capabilities`)."""

    follows_instructions: bool = True
    """reads watches and queries as words"""
    reports_kinds: bool = False
    """says what kind of thing happened"""
    needs_every_frame: bool = False
    """no frame may be skipped or shrunk"""
    chooses: bool = False
    """answers a question at the tail of a turn with one of several letters"""
    prepares: bool = False
    """warms the next chunk while the present one goes on"""
    writes: bool = False
    """writes texts in the background; an engine of its own may do it"""


@dataclass(frozen=True, slots=True)
class ObserverConfig:
    """Settings of one session and the facts about its engine. `ConfigChanged` changes them while it runs.

    Times in seconds, scores and changes 0 to 1, sizes in tokens or characters.
    """

    threshold: float = 0.5
    """speak when the score reaches this"""
    hysteresis: float = 0.1
    """after a remark the score must fall this much below the threshold, or rise this much above it, to speak again"""
    cooldown_s: float = 2.0
    duplicate_window_s: float = 30.0
    query_ttl_s: float = 600.0

    fidelity: Fidelity = "faithful"
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
    """eco: the longer a picture is still, the fewer looks it gets; at least one in this time"""

    context_tokens: int = 24_000
    chunk_s: float = 600.0
    memory_tokens: int = 2400
    """tokens of the video history (summaries and long-term blocks) in a prefix"""
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

    voice: bool = False
    """utterances are played, one after the other; what was heard of them counts"""
    stale_s: float = 8.0
    """with a voice: commentary that waits longer to be played is dropped"""
    addressed_only: bool = False
    """with a voice: a wake word is needed, so only words that are addressed to the session interrupt it"""
    half_duplex: bool = False
    """the microphone hears what is played, and nothing takes it out: speech that begins meanwhile is no interruption"""

    delegation: bool = True
    engine: EngineFacts = EngineFacts()
    """changed by `CapabilitiesChanged` too"""

    max_answer_chars: int = 2000
    first_epoch: int = 1
    """epoch of the first utterance, each further one has the next; the shell sees to it that none is used twice.
    Only the config that the observer is made with counts"""
    task_prefix: str = "task_"
    """start of the ids of delegated tasks; the shell makes it unique where ids must outlive the process. Only the
    config that the observer is made with counts"""
