"""What turns text into sound and sound into text, as the other rings see it.

Engines of either kind are found in the entry-point groups `joyvl.tts` and `joyvl.asr`: the entry is a callable
`(SpeechContext) -> Tts` or `(SpeechContext) -> Asr`. It raises `ConfigError` where its options are wrong or a package
is missing, with a sentence that says what to install. It starts nothing: the first use, or `start`, does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.net.policy import NetPolicy


class SpeechError(JoyvlError):
    """It could not be spoken or heard. `code`: failed, timeout, unavailable, no_voice, broken_voice, too_long, busy."""

    code = "failed"


@dataclass(frozen=True, slots=True)
class SpeechContext:
    """`options`: what the settings say for this engine. `models_dir`: where voices and models are kept."""

    options: Mapping[str, Any]
    models_dir: Path
    clock: Clock
    policy: NetPolicy


@dataclass(frozen=True, slots=True)
class Voice:
    """`id` is unique within its engine; `language` a BCP 47 tag ("en", "en-US", "zh")."""

    id: str
    language: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class SpeechState:
    """Of one engine: `ready`, `starting`, `stopped` (starts at its first use) or `failed`, with a sentence."""

    status: str
    message: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Tts(Protocol):
    """Turns text into sound. One that the client speaks for (`browser`) has `remote = True` and is never asked to."""

    name: str
    remote: bool

    @property
    def state(self) -> SpeechState: ...

    async def start(self) -> None:
        """Get ready, so that the first sentence is not late. Raises `SpeechError`. Cancelled, it goes on by itself."""

    async def voices(self) -> list[Voice]:
        """What there is to choose from. Raises `SpeechError`. Cancelling it changes nothing."""

    def speak(self, text: str, *, voice: str | None, language: str | None) -> AsyncIterator[Pcm]:
        """One sentence, speakable already (see `speech.text`), as pieces of sound of one rate, the first one soon.

        `voice` None: the engine's own choice for the language. Raises `SpeechError`; never waits without a bound.
        Cancelled or closed early, the engine stops within the second and the next sentence works.
        """

    async def aclose(self) -> None:
        """Give everything back, processes too. Idempotent. Cancelled, it gives back what it can at once."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was understood. Empty `text`: nothing was said (noise, silence, a loop of the model).

    `language` is a BCP 47 tag where it is known.
    """

    text: str
    language: str | None = None


@runtime_checkable
class Asr(Protocol):
    """Turns sound into text."""

    name: str

    @property
    def state(self) -> SpeechState: ...

    async def start(self) -> None:
        """Get ready, so that the first sentence is not late. Raises `SpeechError`. Cancelled, it goes on by itself."""

    @property
    def partials(self) -> bool:
        """Is it fast enough to be asked again and again while somebody speaks?"""

    async def hear(self, audio: Pcm, *, language: str | None, partial: bool = False) -> Heard:
        """Understand up to 30 s of speech. `language` None: found out by the engine.

        `partial`: the beginning of a sentence that goes on; where others wait, it may be answered with what was asked
        before, or raise `SpeechError` (busy): a final one goes first. Cancelled, the work is given up soon.
        """

    async def aclose(self) -> None:
        """Give everything back, processes too. Idempotent. Cancelled, it gives back what it can at once."""
