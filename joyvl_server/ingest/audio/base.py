"""What the other rings see of a source's sound. Times `t` are stream seconds: sound and picture share the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from joyvl_server.kit.audio.pcm import Pcm

LISTEN_RATE = 16_000
"""Hz of the sound that main gets of a source"""


@dataclass(frozen=True, slots=True)
class ListenSpec:
    """What main wants to know of a source's sound.

    `speech`: tell when somebody speaks, with the sound of it. `sounds`: tell alarms, loud noises, long silence.
    `vad`: name of the plug-in in `joyvl.vad`. `wait_s`: silence after which somebody has finished. `lasting_s`: speech
    that goes on for so long is no click and no cough. `pause_s`: silence that is told as a pause;
    what has not lasted by then counts as a click, until it goes on.
    """

    speech: bool = False
    sounds: bool = False
    vad: str = "silero"
    wait_s: float = 0.6
    lasting_s: float = 0.4
    pause_s: float = 0.2
    loud_db: float = 20.0
    """how much above what is usual there a noise is loud"""
    silence_s: float = 900.0
    """how long it must be silent where there is usually sound"""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody speaks since `t` (back-dated to the onset). `id` is unique in the source while the server runs."""

    id: str
    t: float


@dataclass(frozen=True, slots=True, eq=False)
class SpeechAudio:
    """The next piece of it at `LISTEN_RATE`, from a little before the onset on, in order, without gaps."""

    id: str
    audio: Pcm


@dataclass(frozen=True, slots=True)
class SpeechLasts:
    """It has lasted for `lasting_s`. Told once."""

    id: str
    t: float


@dataclass(frozen=True, slots=True)
class SpeechPauses:
    """Silence since `t`: perhaps it is over, and was only a click or a cough where it did not last. Its sound is told
    on, and it `SpeechContinues` or has ended."""

    id: str
    t: float


@dataclass(frozen=True, slots=True)
class SpeechContinues:
    """It goes on since `t`, after `SpeechPauses`."""

    id: str
    t: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Nothing more is said. `t` is the end of the last word, `seconds` how long it was from onset to end; `lost`: the
    sound broke off (the microphone vanished, the source went away)."""

    id: str
    t: float
    seconds: float
    lost: bool = False


SoundKind = Literal["smoke_alarm", "co_alarm", "loud", "quiet"]


@dataclass(frozen=True, slots=True)
class SoundDetected:
    """One such sound began at `t`; it is told again only after it had stopped. `level_db`: how loud, in dBFS."""

    kind: SoundKind
    t: float
    level_db: float


@dataclass(frozen=True, slots=True)
class SoundPresence:
    """Whether the source has sound at all, and whether there is something to play to. Told at each change."""

    hears: bool
    plays: bool
    error: str | None = None
    half_duplex: bool = False
    """the microphone is not listened to while something plays: nothing takes that out of it"""


PlayoutStatus = Literal["playing", "held", "ended", "cut", "failed"]


@dataclass(frozen=True, slots=True)
class PlayoutReport:
    """How much of the utterance with this epoch has left for the other side, in seconds of its sound.

    Told at each change of status, and each 0.2 s while it plays. `ended`, `cut` and `failed` are the last report.
    """

    epoch: int
    played_s: float
    status: PlayoutStatus


AudioEvent = (
    SpeechBegan
    | SpeechAudio
    | SpeechLasts
    | SpeechPauses
    | SpeechContinues
    | SpeechEnded
    | SoundDetected
    | SoundPresence
    | PlayoutReport
)


class AudioListener(Protocol):
    """Called on main's loop, in order. It must not block."""

    def __call__(self, event: AudioEvent, /) -> None: ...


class SourceAudio(Protocol):
    """The sound of one source in main: `Source.audio`. None of these waits; what a dead worker loses is reported."""

    @property
    def hears(self) -> bool: ...

    @property
    def plays(self) -> bool:
        """Is it a call whose other side can hear us?"""

    @property
    def free_s(self) -> float:
        """Seconds of sound that may still be sent for playout; the buffer is bounded."""

    def listen(self, spec: ListenSpec | None, on_event: AudioListener | None) -> None:
        """From now on; None ends it. Replaces what was wanted before. Survives a restart of the worker."""

    def play(self, epoch: int, audio: Pcm, *, last: bool = False) -> None:
        """Append sound to the utterance with this epoch; `last`: nothing more of it follows (`audio` may be empty).

        Sound of an epoch that was cut, or is older than one that was played, is thrown away. What does not fit into
        the buffer is dropped and told as `failed`: ask `free_s` before.
        """

    def hold(self, epoch: int) -> None:
        """Fall silent at once, and keep the position."""

    def resume(self, epoch: int) -> None:
        """Go on from where it was held."""

    def cut(self, epoch: int) -> None:
        """Fall silent at once, for good: nothing of this epoch plays any more."""
