"""From the pieces of sound of one speech to its words: words so far while it goes on, all of them at its end.

A long speech is cut into parts at quiet places; each part is understood on its own, and they are joined at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import dataclass

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.speech.asr.partials import LocalAgreement, join_texts
from joyvl_server.speech.asr.queue import HearingQueue
from joyvl_server.speech.asr.sound_buffer import SoundBuffer
from joyvl_server.speech.base import Heard, SpeechError

LONGEST_PART_S = 28.0
CUT_AFTER_S = 20.0
"""a part that is too long is cut at the quietest place from here on"""
EARLY_PAUSE_S = 0.24
"""after such a pause somebody has most likely finished, and the words are asked for before it is sure"""
PERHAPS_OVER_S = 0.08
"""after such a pause no words are asked for that would only be in the way of those"""
SHORTEST_S = 0.3
REMEMBER_S = 1.2
"""of so much speech the language is known well enough to be kept"""


@dataclass(frozen=True, slots=True)
class SpokenWords:
    """`text` so far, or, with `final`, all of it; empty then: nothing was said, only noise. `cut`: more was said than
    is listened to at once."""

    text: str
    final: bool
    language: str | None = None
    cut: bool = False


class SpeechTranscriber:
    """For one speaker or session: remembers the language. `most_s`: longest speech that is listened to."""

    def __init__(self, queue: HearingQueue, *, language: str | None = None, most_s: float = 300.0) -> None:
        """`language`: None, found out once and then kept."""
        self.most_s = most_s
        self._queue = queue
        self._fixed = language
        self._found: str | None = None

    @property
    def language(self) -> str | None:
        return self._fixed or self._found

    def begin(self, rate: int = 16_000) -> SpeechSegment:
        """Somebody begins to speak."""
        return SpeechSegment(self._queue, self, rate)

    def learn(self, heard: Heard, seconds: float) -> None:
        """Keep the language of clear words; where nothing was understood in it, find it out again."""
        if not heard.text:
            self._found = None
        elif seconds >= REMEMBER_S and heard.language is not None:
            self._found = heard.language


class SpeechSegment:
    """One speech: `add` its sound, `end` it, and take `words`. Neither `add` nor `end` waits."""

    def __init__(self, queue: HearingQueue, speaker: SpeechTranscriber, rate: int) -> None:
        self._queue = queue
        self._speaker = speaker
        self._buffer = SoundBuffer(rate)
        self._parts: list[asyncio.Task[Heard]] = []
        self._before = ""
        """words of the parts that are understood"""
        self._agreement = LocalAgreement()
        self._latest: AskedWords | None = None
        self._taken_s = 0.0
        self._over = self._cut = False
        self._failure: SpeechError | None = None
        self._news = asyncio.Event()
        self._told = ""

    @property
    def seconds(self) -> float:
        return self._taken_s + self._buffer.seconds

    @property
    def idle(self) -> bool:
        """Is nothing being worked on right now?"""
        latest = [] if self._latest is None else [self._latest.answer]
        return not self._news.is_set() and all(answer.done() for answer in [*self._parts, *latest])

    def add(self, audio: Pcm) -> None:
        """The next piece. What is beyond the longest speech is not listened to, and all its words come then."""
        if self._over:
            return
        if self.seconds + audio.seconds > self._speaker.most_s:
            self._cut = True
            self.end()
            return
        self._buffer.add(audio.samples)
        if self._buffer.seconds > LONGEST_PART_S:
            self._take_part()
        self._news.set()

    def end(self) -> None:
        """Nothing more comes. Idempotent."""
        self._over = True
        self._news.set()

    async def words(self) -> AsyncIterator[SpokenWords]:
        """Words so far, at each change, then all of them. To be taken once.

        Raises `SpeechError` where nothing of it can be understood: busy, timeout, unavailable … It ends within the time
        limits of the queue, counted from `end`. Closed or cancelled early, the work is given up.
        """
        try:
            while not self._over:
                await self._news.wait()
                self._news.clear()
                self._ask()
                if (text := self._so_far()) != self._told:
                    self._told = text
                    yield SpokenWords(text, False, self._speaker.language)
            yield await self._all()
        finally:
            for task in [*self._parts, *([self._latest.answer] if self._latest else [])]:
                task.cancel()

    def _ask(self) -> None:
        """Ask for the words so far, where it is time to."""
        voiced = self._buffer.voiced_until()
        if self._over or voiced < SHORTEST_S * self._buffer.rate:
            return
        pause_s = self._buffer.pause_s()
        early = pause_s >= EARLY_PAUSE_S
        if PERHAPS_OVER_S <= pause_s < EARLY_PAUSE_S:
            return
        if self._latest is not None:
            # In a pause it is worth asking once more, this time with care.
            covered = self._latest.length >= voiced and (self._latest.careful or not early)
            if covered or not self._latest.answer.done():
                return
        if self._queue.may_ask_partial(early=early):
            asking = self._queue.partial(self._buffer.sound(), self._speaker.language, early=early)
            answer = asyncio.create_task(asking, name="words so far")
            self._latest = AskedWords(self._buffer.length, early, answer)
            answer.add_done_callback(self._answered)

    def _answered(self, answer: asyncio.Task[Heard]) -> None:
        worked = _worked(answer)  # takes the error too
        if worked and self._latest is not None and self._latest.answer is answer:
            self._agreement.feed(answer.result().text)
        self._news.set()

    def _so_far(self) -> str:
        while self._parts and _worked(self._parts[0]):
            self._before = join_texts(self._before, self._parts.pop(0).result().text)
        return self._before if self._parts else join_texts(self._before, self._agreement.text)

    def _take_part(self) -> None:
        part = self._buffer.take_part(CUT_AFTER_S)
        self._taken_s += part.seconds
        answer = asyncio.create_task(self._queue.final(part, self._speaker.language), name="words of a part")
        answer.add_done_callback(self._answered)
        self._parts.append(answer)
        if self._latest is not None:
            self._latest.answer.cancel()
        self._latest, self._agreement = None, LocalAgreement()

    async def _all(self) -> SpokenWords:
        for part in self._parts:
            self._join(await self._of(part))
        last = Heard("")
        if self._buffer.seconds >= SHORTEST_S:
            last = await self._of(self._last())
            self._speaker.learn(last, self._buffer.seconds)
            self._join(last)
        if self._failure is not None and not self._before:
            raise self._failure
        cut = self._cut or self._failure is not None
        return SpokenWords(self._before, True, last.language or self._speaker.language, cut)

    async def _of(self, answer: Awaitable[Heard]) -> Heard:
        """A part that was not understood takes nothing from the others."""
        try:
            return await answer
        except SpeechError as error:
            self._failure = error
            return Heard("")

    async def _last(self) -> Heard:
        """Of what is left: what was understood in the pause before the end counts, where nothing was said after it."""
        latest = self._latest
        if latest is not None and latest.careful and latest.length >= self._buffer.voiced_until():
            with suppress(SpeechError):
                return await latest.answer
        return await self._queue.final(self._buffer.sound(), self._speaker.language)

    def _join(self, heard: Heard) -> None:
        self._before = join_texts(self._before, heard.text)


@dataclass(frozen=True, slots=True)
class AskedWords:
    """Words were asked for when this many samples were there; `careful`: as if they were all."""

    length: int
    careful: bool
    answer: asyncio.Task[Heard]


def _worked(answer: asyncio.Task[Heard]) -> bool:
    return answer.done() and not answer.cancelled() and answer.exception() is None
