"""What the analysis needs of a voice activity detector; they are found in the entry-point group `joyvl.vad`."""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import plugins
from joyvl_server.kit.audio.pcm import Samples


@runtime_checkable
class Vad(Protocol):
    """Listens to one source. The entry is a callable without arguments that makes one.

    It raises `ConfigError` where a package is missing, with a sentence that says what to install.
    """

    frame: int
    """samples at 16 kHz that it looks at together, at most 0.1 s"""

    def probability(self, samples: Samples) -> float:
        """That there is speech in these: shape (`frame`,). It takes less than a millisecond."""

    def reset(self) -> None:
        """What comes next has nothing to do with what came before."""


class MakesVad(Protocol):
    def __call__(self) -> Vad: ...


def load_vad(name: str) -> Vad:
    """Blocks while it is imported and made. Raises `ConfigError`."""
    made = cast(MakesVad, plugins.load("joyvl.vad", name))()
    if not isinstance(made, Vad) or not 0 < made.frame <= 1600:
        raise ConfigError(f"{name!r} in joyvl.vad is no voice activity detector that fits here.")
    return made
