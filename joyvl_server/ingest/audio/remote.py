"""The sound of one source in main: asks its worker, and tells its listener what the worker tells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from joyvl_server.ingest.audio.base import (
    AudioEvent,
    AudioListener,
    ListenSpec,
    PlayoutReport,
    PlayoutStatus,
    SoundPresence,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.ingest.audio.messages import from_message
from joyvl_server.ingest.channel import Message
from joyvl_server.ingest.connection import Answer
from joyvl_server.kit.audio.pcm import Pcm, Samples

PLAYOUT_BUFFER_S = 20.0
"""Sound that a worker holds for one utterance at most; at 24 kHz 1.3 MB on its way."""
PIECE_S = 0.5
LAST = ("ended", "cut", "failed")
_OfOpenSpeech = SpeechAudio | SpeechLasts | SpeechPauses | SpeechContinues


class AudioOwner(Protocol):
    """The source that this is the sound of."""

    id: str

    @property
    def now(self) -> float: ...


class AudioWorker(Protocol):
    """What the sound of a source needs of its media worker."""

    def ask(self, op: str, **fields: object) -> Answer: ...


@dataclass(slots=True)
class _Utterance:
    sent_s: float = 0.0
    played_s: float = 0.0


class RemoteAudio:
    """Implements `SourceAudio`. Its methods are for main's loop."""

    def __init__(self, source: AudioOwner, worker: AudioWorker) -> None:
        self._source = source
        self._worker = worker
        self._presence = SoundPresence(False, False)
        self._spec: ListenSpec | None = None
        self._on_event: AudioListener | None = None
        self._generation = 0
        """of what is wanted: whatever a worker still tells about an earlier one is thrown away"""
        self._open: dict[str, float] = {}
        """onset of the speech that has begun and not ended, by id"""
        self._utterances: dict[int, _Utterance] = {}
        """those whose last report has not come"""
        self._newest_epoch = -1
        self._cut_epochs: set[int] = set()

    @property
    def hears(self) -> bool:
        return self._presence.hears

    @property
    def plays(self) -> bool:
        return self._presence.plays

    @property
    def free_s(self) -> float:
        """See `SourceAudio.free_s`: of the newest utterance."""
        utterance = self._utterances.get(self._newest_epoch)
        waiting = utterance.sent_s - utterance.played_s if utterance is not None else 0.0
        return max(0.0, PLAYOUT_BUFFER_S - waiting)

    # ------------------------------------------------------------------------------------------------------ listening

    def listen(self, spec: ListenSpec | None, on_event: AudioListener | None) -> None:
        """See `SourceAudio.listen`. Speech that is open is told as ended, to who listened before."""
        self._break_off()
        self._spec, self._on_event = spec, on_event
        self.opened()

    def opened(self) -> None:
        """The source is open in its worker, perhaps in a new one: that worker is told what is wanted."""
        if self._spec is not None or self._generation:
            self._generation += 1
            spec = asdict(self._spec) if self._spec is not None else None
            self._worker.ask("audio.listen", source=self._source.id, spec=spec, generation=self._generation)

    def apply(self, message: Message) -> None:
        """What the worker tells of this source's sound."""
        kind = message["kind"]
        if kind == "hears":
            self._set_presence(SoundPresence(message["hears"], self.plays, message["error"]))
        elif kind == "plays":
            self._set_presence(SoundPresence(self.hears, message["plays"], self._presence.error))
        elif kind == "playout":
            self._report(from_message(message))
        elif message["generation"] == self._generation:
            self._heard(from_message(message))

    def worker_gone(self) -> None:
        """Nothing of what it heard or played goes on."""
        self._break_off()
        for epoch in list(self._utterances):
            self._end(epoch, "failed")
        self._set_presence(SoundPresence(False, False))

    def _heard(self, event: AudioEvent) -> None:
        if isinstance(event, SpeechBegan):
            self._open[event.id] = event.t
        elif isinstance(event, SpeechEnded):
            if self._open.pop(event.id, None) is None:
                return
        elif isinstance(event, _OfOpenSpeech) and event.id not in self._open:
            return
        self._tell(event)

    def _break_off(self) -> None:
        now = self._source.now
        for speech_id, t in list(self._open.items()):
            del self._open[speech_id]
            end = max(now, t)
            self._tell(SpeechEnded(speech_id, end, end - t, lost=True))

    def _set_presence(self, presence: SoundPresence) -> None:
        if presence != self._presence:
            self._presence = presence
            self._tell(presence)

    def _tell(self, event: AudioEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)

    # -------------------------------------------------------------------------------------------------------- playing

    def play(self, epoch: int, audio: Pcm, *, last: bool = False) -> None:
        """See `SourceAudio.play`."""
        if epoch < self._newest_epoch or epoch in self._cut_epochs:
            return
        if epoch > self._newest_epoch:
            self._newest_epoch = epoch
            self._cut_epochs = {cut for cut in self._cut_epochs if cut > epoch}
            self._utterances[epoch] = _Utterance()
        utterance = self._utterances.get(epoch)
        if utterance is None:  # it had its last report
            return
        if not self.plays or audio.seconds > self.free_s:
            self._ask("audio.cut", epoch)
            self._cut_epochs.add(epoch)
            asyncio.get_running_loop().call_soon(self._end, epoch, "failed")
            return
        utterance.sent_s += audio.seconds
        pieces = [*_pieces(audio)] or [audio.samples]
        for number, samples in enumerate(pieces, 1):
            self._worker.ask(
                "audio.play", source=self._source.id, epoch=epoch, rate=audio.rate,
                audio=Pcm(samples, audio.rate).to_base64(), last=last and number == len(pieces),
            )  # fmt: skip

    def hold(self, epoch: int) -> None:
        """See `SourceAudio.hold`."""
        self._ask("audio.hold", epoch)

    def resume(self, epoch: int) -> None:
        """See `SourceAudio.resume`."""
        self._ask("audio.resume", epoch)

    def cut(self, epoch: int) -> None:
        """See `SourceAudio.cut`."""
        if epoch >= self._newest_epoch:
            self._cut_epochs.add(epoch)
        self._ask("audio.cut", epoch)

    def _ask(self, op: str, epoch: int) -> None:
        self._worker.ask(op, source=self._source.id, epoch=epoch)

    def _report(self, event: AudioEvent) -> None:
        assert isinstance(event, PlayoutReport)
        utterance = self._utterances.get(event.epoch)
        if utterance is None:
            return
        utterance.played_s = event.played_s
        if event.status in LAST:
            del self._utterances[event.epoch]
        self._tell(event)

    def _end(self, epoch: int, status: PlayoutStatus) -> None:
        utterance = self._utterances.pop(epoch, None)
        if utterance is not None:
            self._tell(PlayoutReport(epoch, utterance.played_s, status))


def _pieces(audio: Pcm) -> Iterator[Samples]:
    """Short ones, so that a line of the channel stays short and other messages get between."""
    size = max(1, int(PIECE_S * audio.rate))
    for start in range(0, len(audio.samples), size):
        yield np.ascontiguousarray(audio.samples[start : start + size])
