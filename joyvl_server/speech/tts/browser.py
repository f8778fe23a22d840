"""Voice `browser`: the page speaks with the browser's own voice; nothing here makes a sound."""

from __future__ import annotations

from collections.abc import AsyncIterator

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.speech.base import SpeechContext, SpeechError, SpeechState, Voice
from joyvl_server.speech.options import SpeechOptions


class BrowserTts:
    name = "browser"
    remote = True
    state = SpeechState("ready")

    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError`: it has no options."""
        validated(SpeechOptions, context.options, "speech.options.browser")

    async def start(self) -> None:
        """There is nothing to start. Never waits."""

    async def voices(self) -> list[Voice]:
        """None: each browser has its own. Never waits."""
        return []

    async def speak(self, text: str, *, voice: str | None, language: str | None) -> AsyncIterator[Pcm]:
        """Raises `SpeechError`: the client speaks. Never waits."""
        raise SpeechError("The browser speaks by itself; there is no sound of it here.")
        yield

    async def aclose(self) -> None:
        """There is nothing to give back. Never waits."""
