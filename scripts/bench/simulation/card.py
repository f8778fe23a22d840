"""What work costs on one 24 GB card: calculated for an RTX 3090 with 8-bit weights, not measured.

Every table that stands on these figures has to say so. They agree with the silent ticks of the interaction model: a
252-token frame takes 0.25 s at 15,000 tokens of context, 0.32 s at 30,000, 0.45 s at 60,000.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

NOTE = "Calculated, not measured: the costs of an RTX 3090 with 8-bit weights, on a simulated engine in virtual time."


@dataclass(frozen=True, slots=True)
class Card:
    """Times in seconds, the cache in tokens."""

    fresh_s: float = 0.35e-3
    """a token that is not in the cache"""
    fresh_context_s: float = 15.2e-9
    """and for each token before it"""
    image_s: float = 0.12e-3
    """a token of a picture, in the vision tower"""
    decode_s: float = 12.5e-3
    """a step in which any request produces a token"""
    decode_context_s: float = 0.3e-6
    """and for each token of context of those requests"""
    request_s: float = 0.04
    """taking in a request; taken as time of the engine itself, one after the other, which is the careful reading"""
    cpu_s: float = 0.0
    """taking in a request where that is done beside the steps, by the server's processor"""
    budget: int = 2048
    """fresh and produced tokens of one step"""
    cache_tokens: int = 80_000
    """tokens the key-value cache holds"""
    block: int = 16
    """only whole blocks are found in the cache again"""

    def prefill(self, tokens: int, before: int, images: int) -> float:
        """`tokens` fresh ones after `before`; `images` of them are a picture's."""
        return tokens * (self.fresh_s + self.fresh_context_s * (before + tokens / 2)) + images * self.image_s

    def decode(self, context: int) -> float:
        """One token for every request that produces one; `context` is the sum of theirs."""
        return self.decode_s + self.decode_context_s * context


CARD = Card()
CARD_WITH_CPU_INTAKE = replace(CARD, request_s=0.0, cpu_s=CARD.request_s)
"""the other reading of the 40 ms: they make a request later, but take none of the card's time"""
