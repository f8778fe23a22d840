"""A call in which the server always has something to say: another long text whenever nothing plays."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.speech.call import BenchCall
from bench.speech.interrupting.espeak_words import TimedWord, timed_words
from bench.speech.microphone import synthesise
from bench.speech.playback.writing_engine import WritingEngine
from bench.speech.sentences import ENGLISH
from fakes.engines.openai_server import Reply, Request, silence
from joyvl_server.kit.audio.pcm import Samples
from joyvl_server.kit.audio.resampler import resample

OTHERS = "Tell me when the film is over."
"""a watch of the sessions that run beside: they have nothing to say"""
SENTENCES = 10
REFERENCE_RATE = 16_000
BEGINS = ("response.created",)
ENDS = ("output_audio_buffer.stopped", "conversation.item.truncated")
STEP_S = 0.5
NOTICED_S = 0.5
"""so long after the engine wrote something the server has told of it"""
_HEARD = re.compile(r"\[Interrupted\] (?:Only this was heard|Nothing was heard of): \"([^\"]*)\"")


class TalkingEngine(WritingEngine):
    """`prompts`: what it was asked (Unix seconds, the newest turn as text)."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[tuple[float, str]] = []

    def _reply(self, request: Request) -> Reply:
        if OTHERS in str(request.messages[:2]):
            return silence()
        self.prompts.append((time.time(), _text(request.messages[-1]["content"])))
        return super()._reply(request)

    def told_heard(self, wall: float) -> str | None:
        """What the first prompt after that moment says was heard of what was interrupted; None: none speaks of it."""
        for came, text in self.prompts:
            if came >= wall and (found := _HEARD.findall(text)):
                return "" if "Nothing was heard of" in text else str(found[-1])
        return None


@dataclass(frozen=True, slots=True)
class Spoken:
    """One utterance. `sound`: at `REFERENCE_RATE`, as the voice makes it; `words` with their times in it."""

    epoch: int
    text: str
    sound: Samples
    words: tuple[TimedWord, ...]


class Talk:
    """`go_on_for` so long; then `at` and `heard` tell what played, and what counts as heard of it."""

    def __init__(self, call: BenchCall, engine: TalkingEngine) -> None:
        self._call = call
        self._engine = engine
        self._sounds = synthesise(None, ENGLISH, "en", "espeak")
        self._count = 0

    def go_on_for(self, seconds: float) -> None:
        """Raises `JoyvlError` where the server never begins to speak."""
        end = time.monotonic() + seconds
        self._write()
        self._call.wait(lambda: self._call.found("output_audio_buffer.started"), 30, "The first word")
        while time.monotonic() < end:
            self._call.listen(min(STEP_S, max(0.0, end - time.monotonic())))
            if self._over():
                self._write()

    def _over(self) -> bool:
        """Nothing plays and nothing waits to: what waited may have been dropped without a sound, because of what
        somebody said meanwhile."""
        if self._engine.written is None or time.time() < self._engine.written + NOTICED_S:
            return False
        begun, ended = ({update["epoch"] for _, update in self._call.found(*kinds)} for kinds in (BEGINS, ENDS))
        return begun <= ended

    def _write(self) -> None:
        self._engine.write(" ".join(self._sentences(self._count)))
        self._count += 1

    def at(self, wall: float) -> Spoken | None:
        """What played at that moment."""
        playing: int | None = None
        for came, update in self._call.found("output_audio_buffer.started", "output_audio_buffer.stopped"):
            if came > wall:
                break
            playing = update["epoch"] if update["type"].endswith("started") else None
        text = next((u["text"] for _, u in self._call.found("response.output_text.done") if u["epoch"] == playing), "")
        for number in range(self._count):
            if text and " ".join(self._sentences(number)) == text.strip():
                return self._spoken(playing or 0, number)
        return None

    def noticed(self, kind: str, begin: float, end: float) -> bool:
        """Did the server tell `output_audio_buffer.KIND` between these moments?"""
        return any(begin <= came <= end for came, _ in self._call.found(f"output_audio_buffer.{kind}"))

    def heard(self, epoch: int) -> str | None:
        """What history has of an utterance that was cut off; None: it was not."""
        found = self._call.found("conversation.item.truncated")
        return next((update["heard"] for _, update in found if update["epoch"] == epoch), None)

    def told_heard(self, epoch: int) -> str | None:
        """What the next prompt says of it."""
        found = self._call.found("conversation.item.truncated")
        cut = next((came for came, update in found if update["epoch"] == epoch), None)
        return None if cut is None else self._engine.told_heard(cut - 0.5)

    def _sentences(self, number: int) -> list[str]:
        return [ENGLISH[(number * 7 + index) % len(ENGLISH)] for index in range(SENTENCES)]

    def _spoken(self, epoch: int, number: int) -> Spoken:
        words: list[TimedWord] = []
        parts: list[Samples] = []
        at = 0.0
        for sentence in self._sentences(number):
            sound = resample(self._sounds[ENGLISH.index(sentence)], REFERENCE_RATE)
            words += [TimedWord(word.text, at + word.begin, at + word.end) for word in timed_words(sentence)]
            parts.append(sound.samples)
            at += sound.seconds
        return Spoken(epoch, " ".join(self._sentences(number)), np.concatenate(parts), tuple(words))


def _text(content: Any) -> str:
    """Of a message: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)
