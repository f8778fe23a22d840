"""How many tokens a context may have, and what of them goes to what."""

from __future__ import annotations

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.errors import ConfigError
from joyvl_server.core.prompt.wire_format import MESSAGE, text_tokens

ANSWER_RESERVE = 256
"""tokens kept free for the answer to the last turn"""
_FRAME_RESERVE = 320  # the largest frame that ingest gives, its time tag and the message around it
_LEAST_WORDS = 600
OVERDRAFT = 1.1
"""of its share is what a context may have while the next chunk is being warmed"""


class Budget:
    """`tokens` is the smaller of the setting and the engine's limit, but never less than a system prompt, one frame and
    a few words need. All sizes in tokens; they change with the limit and the config only."""

    def __init__(self, config: ObserverConfig, system: str) -> None:
        self._limit: tuple[int, int | None] | None = None
        self.configure(config, system)

    def configure(self, config: ObserverConfig, system: str) -> None:
        """`config` counts from now on. Raises `ConfigError`, and changes nothing, where its budget is too small."""
        tokens = MESSAGE + text_tokens(system)
        fixed = tokens + ANSWER_RESERVE + _FRAME_RESERVE
        if config.context_tokens - fixed < _LEAST_WORDS:
            raise ConfigError(
                f"The context budget of {config.context_tokens} tokens is too small for a system prompt of about "
                f"{tokens} tokens: raise it to {fixed + _LEAST_WORDS} or shorten the prompt."
            )
        self.system, self._fixed, self._config = tokens, fixed, config
        self._divide(config.context_tokens, config.context_tokens)
        if self._limit is not None:
            self.set_limit(*self._limit)

    def set_limit(self, tokens: int, most: int | None = None) -> None:
        """The engine takes at most `tokens`; see `ContextLimitChanged`."""
        self._limit = (tokens, most)
        setting = self._config.context_tokens
        total = max(self._fixed + _LEAST_WORDS, min(setting, tokens))
        self._divide(total, total if most is None else max(total, min(setting, most)))

    def _divide(self, tokens: int, most: int) -> None:
        self.tokens = tokens
        self.least = tokens <= self._fixed + _LEAST_WORDS
        """it is as small as it gets"""
        self.prompt = tokens - ANSWER_RESERVE
        """the longest prompt"""
        self.overdrawn = min(most, round(tokens * OVERDRAFT)) - ANSWER_RESERVE
        """the longest prompt while the next chunk is being warmed: a cold one would cost everybody more"""
        self.words = tokens - self._fixed
        """what is left after the system prompt, the answer and one frame"""
        self.prefix = self.words // 3
        self.memory = min(self._config.memory_tokens, self.prefix * 2 // 3)
        """the video history in a prefix"""
        self.query = self.news = self.memories = self.words // 6
        self.known = self.prefix // 4
        """what is known from before the session, in a prefix"""
