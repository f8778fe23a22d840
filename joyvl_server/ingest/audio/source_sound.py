"""The sound of one source in its worker: what main asks of it, and what is told to main."""

from __future__ import annotations

from typing import Protocol

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.audio.base import AudioEvent, ListenSpec
from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.audio.messages import hears_message, plays_message, to_message
from joyvl_server.ingest.channel import Message
from joyvl_server.kit.audio.pcm import Pcm


class MessageSender(Protocol):
    """Takes messages about the sound of one source to main."""

    def send_audio(self, message: Message) -> None:
        """Called from any thread. Does not block."""


class Playout(Protocol):
    """Plays to the other side of a call. Called on the worker's loop; none of these blocks. See `SourceAudio`."""

    def play(self, epoch: int, audio: Pcm, *, last: bool) -> None: ...

    def hold(self, epoch: int) -> None: ...

    def resume(self, epoch: int) -> None: ...

    def cut(self, epoch: int) -> None: ...


class SoundTeller:
    """Tells main about the sound of one source, from any thread."""

    def __init__(self, sender: MessageSender) -> None:
        self._sender = sender

    def tell(self, event: AudioEvent, generation: int = 0) -> None:
        """`generation` as `audio.listen` gave it; reports of playout have none."""
        self._sender.send_audio({**to_message(event), "generation": generation})

    def hears(self, hears: bool, error: str | None = None) -> None:
        self._sender.send_audio(hears_message(hears, error))

    def plays(self, plays: bool) -> None:
        self._sender.send_audio(plays_message(plays))


class SourceSound:
    """`playout` is set where there is something to play to. `live`: see `Hearing`. On the worker's loop."""

    def __init__(self, sender: MessageSender, *, live: bool = True) -> None:
        self.teller = SoundTeller(sender)
        self.hearing = Hearing(self.teller, live=live)
        self.playout: Playout | None = None

    def obey(self, message: Message) -> None:
        """One `audio.…` message of main. Raises `SourceError` where there is nothing to play to."""
        op = message["op"].removeprefix("audio.")
        if op == "listen":
            self._listen(message)
            return
        if self.playout is None:
            raise SourceError("This source has nobody to play to.", code="internal")
        epoch = message["epoch"]
        if op == "play":
            audio = Pcm.from_base64(message["audio"], message["rate"])
            self.playout.play(epoch, audio, last=message["last"])
        elif op == "hold":
            self.playout.hold(epoch)
        elif op == "resume":
            self.playout.resume(epoch)
        elif op == "cut":
            self.playout.cut(epoch)

    def close(self) -> None:
        """Nobody listens any more. Idempotent."""
        self.hearing.close()

    def _listen(self, message: Message) -> None:
        spec = ListenSpec(**message["spec"]) if message["spec"] is not None else None
        self.hearing.listen(spec, message["generation"])
