"""What main says into one call: any rate becomes the playout's, and reports go back."""

from __future__ import annotations

from joyvl_server.ingest.audio.base import PlayoutReport
from joyvl_server.ingest.audio.playout import PLAYOUT_RATE, PlayoutBuffer
from joyvl_server.ingest.audio.source_sound import SoundTeller
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.audio.resampler import Resampler


class CallVoice:
    """A `Playout`, and the listener of its buffer. On the worker's loop."""

    def __init__(self, teller: SoundTeller) -> None:
        self.buffer = PlayoutBuffer(self)
        self._teller = teller
        self._epoch = -1
        self._resampler = Resampler(PLAYOUT_RATE)

    def play(self, epoch: int, audio: Pcm, *, last: bool) -> None:
        if epoch < self._epoch:
            return
        if epoch > self._epoch:
            self._epoch = epoch
            self._resampler = Resampler(PLAYOUT_RATE)
        self.buffer.play(epoch, self._resampler.feed_pcm(audio))
        if last:
            self.buffer.play(epoch, self._resampler.flush(), last=True)

    def hold(self, epoch: int) -> None:
        self.buffer.hold(epoch)

    def resume(self, epoch: int) -> None:
        self.buffer.resume(epoch)

    def cut(self, epoch: int) -> None:
        self.buffer.cut(epoch)

    def played(self, report: PlayoutReport, /) -> None:
        self._teller.tell(report)

    def connected(self) -> None:
        self._teller.plays(True)

    def close(self) -> None:
        """The other side hears nothing more: what was not played has failed. Idempotent."""
        self.buffer.close()
        self._teller.plays(False)
