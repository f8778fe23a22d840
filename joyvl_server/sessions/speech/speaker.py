"""Says the utterances of one session aloud: sentence by sentence while the text still comes, one utterance at a time.

When it begins, falls silent, goes on or is cut off, the machine decides; here it is done. What was heard goes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

import structlog

from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.core.inputs import PlaybackAcked, PlaybackEnded
from joyvl_server.ingest.audio.base import PlayoutReport, SourceAudio
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import Clock, wait_until
from joyvl_server.sessions.sinks.base import Machine
from joyvl_server.sessions.sinks.bus import Bus
from joyvl_server.sessions.sinks.messages import Failure, PlaybackStarted, PlaybackStopped
from joyvl_server.sessions.speech.alignment import Alignment
from joyvl_server.sessions.speech.broadcast import AudioBroadcast
from joyvl_server.sessions.speech.outputs import NOTHING, CallOutput, Output, StreamOutput

if TYPE_CHECKING:
    from joyvl_server.speech.text.sentences import Sentence

log = structlog.get_logger(__name__)

KEPT = 32
"""utterances whose text is kept until they are played"""
REPORT_S = 5.0
"""how long the last report of an utterance may be late"""
CLIENT_S = 4.0
"""a client that speaks itself says within this time that it has begun"""


class VoiceOut(Protocol):
    """Turns sentences into sound, with the voice that is wanted."""

    def fault(self, wanted: str | None) -> str:
        """Why that voice does not speak now, so that another one does: a sentence, or empty."""

    def remote(self, wanted: str | None) -> bool:
        """Does the client speak by itself with this voice?"""

    def speak(self, sentence: str, *, wanted: str | None) -> AsyncGenerator[Pcm, None]:
        """See `Tts.speak`. `wanted`: a voice as the settings name it; None: the one of the sentence's language."""


class SpokenUtterance:
    """Its text as it comes."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.text = ""
        self.whole = False
        self.alignment = Alignment()
        self.heard = 0
        self.held = False
        self.reports = 0
        self.over = asyncio.Event()
        self._more = asyncio.Event()

    def write(self, text: str) -> None:
        self.text += text
        self._more.set()

    def end(self) -> None:
        self.whole = True
        self._more.set()

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it grows, until it is whole. Cancelled or closed early, another reader begins at its start."""
        read = 0
        while True:
            self._more.clear()
            if read < len(self.text):
                piece, read = self.text[read:], len(self.text)
                yield piece
            elif self.whole:
                return
            else:
                await self._more.wait()


class Speaker:
    """`write` and `end` give it the text of an utterance; `play`, `hold`, `resume` and `cut` come from the machine."""

    def __init__(self, voice: VoiceOut | None, audio: SourceAudio, machine: Machine, bus: Bus, clock: Clock) -> None:
        self.broadcast = AudioBroadcast()
        self.wanted: str | None = None
        """the voice, as the settings name it"""
        self._voice = voice
        self._audio = audio
        self._machine = machine
        self._bus = bus
        self._clock = clock
        self._utterances: dict[int, SpokenUtterance] = {}
        self._call = CallOutput(audio, self.broadcast, clock)
        self._stream = StreamOutput(self.broadcast, clock, self)
        self._output: Output | None = None
        self._playing: SpokenUtterance | None = None
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._fault = ""

    @property
    def remote(self) -> bool:
        """Does the client speak by itself? Not with a voice that cannot be used: that is told when it is to speak."""
        try:
            return self._voice is None or self._voice.remote(self.wanted)
        except ConfigError:
            return False

    # ---------------------------------------------------------------------------------------------- from the machine

    def write(self, epoch: int, text: str) -> None:
        """More of the text of an utterance."""
        utterance = self._utterances.get(epoch)
        if utterance is None:
            utterance = self._utterances[epoch] = SpokenUtterance(epoch)
            while len(self._utterances) > KEPT:
                del self._utterances[next(iter(self._utterances))]
        utterance.write(text)

    def end(self, epoch: int) -> None:
        """Its text is whole."""
        if utterance := self._utterances.get(epoch):
            utterance.end()

    def play(self, epoch: int) -> None:
        """Begin with it; what played before is over."""
        if self._playing is not None:
            self.cut(self._playing.epoch)
        utterance = self._utterances.get(epoch)
        if utterance is None:
            self._machine.take(PlaybackEnded(self._machine.now, epoch, None))
            return
        self._playing = utterance
        remote = self.remote
        self._output = None if remote else self._choose()
        running = self._listen_to_client(utterance) if remote else self._say(utterance, self._output)
        self._task = asyncio.create_task(running, name=f"utterance {epoch}")
        if self._output is not None:
            self._output.begin(epoch)
        if remote or self._output is not None:
            self._bus.publish(PlaybackStarted(epoch, remote))

    def hold(self, epoch: int) -> None:
        """Fall silent at once, and keep the position."""
        if self._is_playing(epoch) and self._output is not None:
            self._output.hold(epoch)

    def resume(self, epoch: int) -> None:
        """Go on from there."""
        if self._is_playing(epoch) and self._output is not None:
            self._output.resume(epoch)

    def cut(self, epoch: int) -> None:
        """Fall silent at once, for good."""
        utterance = self._utterances.pop(epoch, None)
        if utterance is None or not self._is_playing(epoch):
            return
        if self._output is not None:
            self._output.cut(epoch)
        self._finish(utterance, utterance.heard)

    # -------------------------------------------------------------------------------------------------- what is heard

    def report(self, report: PlayoutReport) -> None:
        """What was played of the utterance that plays; of others it is too late."""
        utterance = self._playing
        if utterance is None or utterance.epoch != report.epoch:
            return
        utterance.reports += 1
        utterance.held = report.status == "held"
        self._hear(utterance, utterance.alignment.heard(report.played_s))
        if report.status in ("ended", "failed", "cut"):
            utterance.over.set()

    def call_reports(self, report: PlayoutReport) -> None:
        """What the call's track tells."""
        self.report(self._call.named(report))

    def acknowledge(self, epoch: int, heard: int, *, ended: bool) -> None:
        """A client that speaks by itself got so far (characters)."""
        utterance = self._playing
        if utterance is None or utterance.epoch != epoch or self._output is not None:
            return
        self._hear(utterance, heard)
        if ended:
            utterance.over.set()

    def truncate(self, epoch: int, played_s: float) -> None:
        """A client that gets the sound has played so much of it, and plays no more of it."""
        utterance = self._playing
        if utterance is None or utterance.epoch != epoch:
            return
        if self._output is not None:
            self._output.cut(epoch)
        self._finish(utterance, min(utterance.heard, utterance.alignment.heard(played_s)))

    def _hear(self, utterance: SpokenUtterance, heard: int) -> None:
        heard = min(heard, len(utterance.text))
        if heard >= utterance.heard:
            utterance.heard = heard
            self._machine.take(PlaybackAcked(self._machine.now, utterance.epoch, heard))

    # ------------------------------------------------------------------------------------------------------ saying it

    def _choose(self) -> Output | None:
        if self._audio.plays:
            return self._call
        return self._stream if self.broadcast.listeners else None

    async def _say(self, utterance: SpokenUtterance, output: Output | None) -> None:
        if output is None:
            self._finish(utterance, None)
            return
        try:
            await self._speak(utterance, output)
            self._failing = False
        except JoyvlError as error:
            self._tell(error)
        except Exception as error:  # somebody else's voice: the text is there, and the next utterance is spoken
            log.exception("a voice failed in an unknown way")
            self._tell(JoyvlError(f"The voice failed: {type(error).__name__}."))
        await output.play(utterance.epoch, NOTHING, last=True)
        await self._played(utterance)
        self._finish(utterance, utterance.heard)

    async def _played(self, utterance: SpokenUtterance) -> None:
        """Wait for the last report, as long as others come; while it is held, the machine sees to the end."""
        while not utterance.over.is_set():
            before = utterance.reports
            by = self._clock.monotonic() + REPORT_S
            came = await wait_until(self._clock, utterance.over.wait(), by)
            if not came and not utterance.held and utterance.reports == before:
                log.warning("the end of an utterance was not reported", epoch=utterance.epoch)
                return

    async def _speak(self, utterance: SpokenUtterance, output: Output) -> None:
        # Not before somebody speaks: it needs the extra `speech`, which a server without a voice does not have.
        from joyvl_server.speech.text.sentences import SentenceStream

        sentences = SentenceStream()
        async for piece in utterance.pieces():
            for sentence in sentences.feed(piece):
                await self._say_sentence(utterance, output, sentence)
        for sentence in sentences.finish():
            await self._say_sentence(utterance, output, sentence)

    async def _say_sentence(self, utterance: SpokenUtterance, output: Output, sentence: Sentence) -> None:
        assert self._voice is not None, "a client speaks"
        utterance.alignment.begin(utterance.text, sentence.start, sentence.start + len(sentence.text.rstrip()))
        from joyvl_server.speech.text.speakable import speakable

        # In a thread: numbers and units take milliseconds that other sessions' ticks do not have.
        if words := await asyncio.to_thread(speakable, sentence.text):
            async with aclosing(self._voice.speak(words, wanted=self.wanted)) as pieces:
                async for pcm in pieces:
                    utterance.alignment.add(pcm)
                    await output.play(utterance.epoch, pcm)
        utterance.alignment.finish()
        before, self._fault = self._fault, self._voice.fault(self.wanted)
        if self._fault not in ("", before):
            self._bus.publish(Failure("speech_failed", f"{self._fault} Another voice speaks meanwhile."))

    async def _listen_to_client(self, utterance: SpokenUtterance) -> None:
        """The client speaks: the machine bounds how long. One that does not even begin is not there."""
        waited = 0.0
        while not utterance.over.is_set():
            await self._clock.sleep(0.25)
            waited += 0.25
            if waited >= CLIENT_S and utterance.heard == 0:
                self._finish(utterance, None)
                return
        self._finish(utterance, utterance.heard)

    def _finish(self, utterance: SpokenUtterance, heard: int | None) -> None:
        self._utterances.pop(utterance.epoch, None)
        if self._playing is utterance:
            self._playing = self._output = None
            task, self._task = self._task, None
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        if heard is not None:
            self._bus.publish(PlaybackStopped(utterance.epoch, heard))
        self._machine.take(PlaybackEnded(self._machine.now, utterance.epoch, heard))

    def _is_playing(self, epoch: int) -> bool:
        return self._playing is not None and self._playing.epoch == epoch

    def _tell(self, error: JoyvlError) -> None:
        """Once when it begins to fail; the text is there all the same."""
        self._fault = self._voice.fault(self.wanted) if self._voice is not None else ""
        if not self._failing:
            self._failing = True
            log.warning("speech failed", code=error.code, error=str(error))
            self._bus.publish(Failure("speech_failed", str(error)))

    async def aclose(self) -> None:
        """Fall silent. Idempotent. Cancelled, the voice stops by itself."""
        task, self._task = self._task, None
        if self._playing is not None and self._output is not None:
            self._output.cut(self._playing.epoch)
        self._playing = None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
