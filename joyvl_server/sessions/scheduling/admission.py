"""How long a context may be, and whether an engine can take one session more. Pure."""

from __future__ import annotations

from joyvl_server.core.decisions import Pressure
from joyvl_server.core.errors import NotAllowed
from joyvl_server.engines.base import Capabilities
from joyvl_server.sessions.scheduling.cost_model import CostModel
from joyvl_server.sessions.ticking.base import phase

BESIDE = 1.3
"""of its longest context is what a session keeps in the engine's cache: most chunks are half full and leave room for
the next one's lead; sessions do not fill theirs at the same time (`SPREAD`)"""
ANSWER_TOKENS = 512
"""kept free for what the model says"""
MOST_LOAD_NOW = 0.88
"""of ticks, with the newcomer's: above it those who are there have to step back first"""
SHORTEST_CONTEXT = 2048
"""tokens under which a context is of no use"""
MOST_LOAD = 0.74
"""of ticks alone; the rest is for replies, and for the chunks and texts between the ticks"""
SPREAD = 0.35
"""of a context is what two sessions may differ by, where they share a cache"""


def longest_prompt(can: Capabilities) -> int | None:
    """The longest prompt the engine takes of one session, its answer not counted; None where it is not known."""
    return None if can.context_tokens is None else can.context_tokens - ANSWER_TOKENS


def context_tokens(can: Capabilities, sessions: int, number: int = 0, most: int | None = None) -> int | None:
    """The longest context of each of `sessions`; None where nothing is known that bounds it.

    The n-th session is given a little less, by its `number`, and less than the `most` it wants: sessions that began
    together would else all change to their next chunk together too.
    """
    limit = longest_prompt(can)
    bounds = [] if limit is None else [limit]
    if can.cache_tokens is not None:
        bounds.append(int(can.cache_tokens / (BESIDE * max(1, sessions))))
    if not bounds:
        return None
    if most is not None:
        bounds.append(most)
    return max(1, int(min(bounds) * (1 - phase(number, SPREAD))))


def check(
    engine: str, can: Capabilities, cost: CostModel, load: float, rates: list[float], new: float, pressure: Pressure
) -> None:
    """Raises `NotAllowed` (engine_full) where one session more could not be held.

    `load`: what those there are want of the engine's time, the youngest too, which it does not show yet. `rates`: ticks
    a second of each of them; `new` of the one that wants to come.
    """
    after = len(rates) + 1
    now = f"The engine {engine} serves {len(rates)} sessions at a load of {load:.0%}"
    todo = "End a session, raise sessions.tick_s, or use another engine."
    if pressure is Pressure.FULL:
        raise NotAllowed(f"{now} and cannot take another session. {todo}", code="engine_full")
    cheapest = cost.work(True) if can.needs_every_frame else cost.price
    wanted = (sum(rates) + new) * cheapest
    if rates and wanted > MOST_LOAD:
        raise NotAllowed(
            f"{now}; with {after} it would need {wanted:.0%} of its time even with the smallest looks. {todo}",
            code="engine_full",
        )
    if rates and load + new * cheapest > MOST_LOAD_NOW:
        raise NotAllowed(
            f"{now}, which leaves no time for another session now. Try again in a moment. {todo}", code="engine_full"
        )
    each = context_tokens(can, after)
    if rates and each is not None and each < SHORTEST_CONTEXT:
        raise NotAllowed(
            f"{now}; with {after} each would have {each} tokens of its cache, and {SHORTEST_CONTEXT} are the least. "
            f"{todo}",
            code="engine_full",
        )
