"""Events of a source's sound as messages of the channel: {"event": "audio", "source": …, "kind": …, …}.

None has a key `id`: those are answers. Presence comes in two halves, since two parts of a worker know
them: `hears` and `plays`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from joyvl_server.ingest.audio.base import (
    LISTEN_RATE,
    AudioEvent,
    PlayoutReport,
    SoundDetected,
    SoundPresence,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.ingest.channel import Message
from joyvl_server.kit.audio.pcm import Pcm

_KINDS: dict[str, Any] = {
    "began": SpeechBegan,
    "lasts": SpeechLasts,
    "pauses": SpeechPauses,
    "continues": SpeechContinues,
    "ended": SpeechEnded,
    "detected": SoundDetected,
    "playout": PlayoutReport,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_message(event: AudioEvent) -> Message:
    """All but `SoundPresence`, which travels in halves: `hears_message`, `plays_message`."""
    if isinstance(event, SpeechAudio):
        return {"kind": "sound", "speech": event.id, "audio": event.audio.to_base64()}
    assert not isinstance(event, SoundPresence)
    return {"kind": _NAMES[type(event)], "fields": asdict(event)}


def from_message(message: Message) -> AudioEvent:
    """The other way round. Raises `KeyError`, `ValueError` where it is none of these."""
    if message["kind"] == "sound":
        return SpeechAudio(message["speech"], Pcm.from_base64(message["audio"], LISTEN_RATE))
    event: AudioEvent = _KINDS[message["kind"]](**message["fields"])
    return event


def hears_message(hears: bool, error: str | None = None) -> Message:
    return {"kind": "hears", "hears": hears, "error": error}


def plays_message(plays: bool) -> Message:
    return {"kind": "plays", "plays": plays}
