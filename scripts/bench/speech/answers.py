"""From the end of a spoken question to the first sound of the answer in the browser, and where the time goes.

The whole path, both ways, before an engine that answers at once, with whisper `tiny.en` and the voice espeak.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.percentiles import percentile
from bench.speech.answering_engine import AnsweringEngine
from bench.speech.call import TRANSCRIPT, BenchCall, microphone_browser, speech_server, warm_up, whisper_options
from bench.speech.microphone import synthesise, write_wav
from bench.speech.recording import Recording, spans
from bench.speech.sentences import ENGLISH
from joyvl_server.core.errors import JoyvlError

COLUMNS = (
    ("part", "part"),
    ("p50_ms", "p50 ms"),
    ("p95_ms", "p95 ms"),
    ("share", "share %"),
    ("n", "n"),
)
PARTS = (
    ("stopped", "end of the question → it is sure (VAD)"),
    ("transcript", "→ its words (whisper)"),
    ("asked", "→ the request is at the engine"),
    ("words", "→ first words of the answer"),
    ("sound", "→ first sound of the voice (espeak)"),
    ("received", "→ it is in the browser"),
)
QUESTIONS = tuple(text for text in ENGLISH if text.endswith("?"))
ROUNDS = 20
QUICK = 3
GAP_S = 6.0
PAUSE_S = 1.2
LATE_S = 30.0
SOUND_TIMES = """(session) => {
  window.soundTimes = [];
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/sessions/${session}/updates?audio=true`);
  socket.onmessage = ({ data }) => {
    const { type } = JSON.parse(data);
    if (type === "response.output_audio.delta") window.soundTimes.push(Date.now() / 1000);
  };
}"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Unix seconds of one question and its answer."""

    end: float
    stopped: float
    transcript: float
    asked: float
    words: float
    sound: float
    received: float

    @property
    def moments(self) -> tuple[float, ...]:
        return (self.end, self.stopped, self.transcript, self.asked, self.words, self.sound, self.received)


def bench_answers(environment: Path, *, quick: bool) -> dict[str, Any]:
    """Twenty spoken questions, `quick`: three. Raises `JoyvlError` where none is answered."""
    count = QUICK if quick else ROUNDS
    texts = [QUESTIONS[number % len(QUESTIONS)] for number in range(count)]
    spoken = dict(zip(QUESTIONS, synthesise(environment, QUESTIONS[:count], "en"), strict=False))
    speech = {"asr": "whisper", "asr_options": {"whisper": whisper_options(environment, "tiny.en")}}
    with tempfile.TemporaryDirectory() as folder:
        first, wav = Path(folder) / "first.wav", Path(folder) / "questions.wav"
        write_wav(first, [spoken[texts[0]]], rate=48_000, lead_s=1.0, tail_s=8.0)
        truth = write_wav(wav, [spoken[text] for text in texts], rate=48_000, gap_s=GAP_S, tail_s=GAP_S)
        with AnsweringEngine() as engine, speech_server(environment, engine=engine.settings, speech=speech) as server:
            warm_up(server, first)
            with microphone_browser(wav) as browser, BenchCall(server, browser, voice="espeak") as call:
                answers = _ask(call, engine, truth[-1][1], count)
    if not answers:
        raise JoyvlError("Not one question was answered.")
    missing = count - len(answers)
    notes = [f"{missing} of {count} questions got no answer within {GAP_S:.0f} s."] if missing else []
    return {"rows": _rows(answers), "notes": notes}


def _ask(call: BenchCall, engine: AnsweringEngine, last_s: float, count: int) -> list[Answer]:
    """`last_s`: where the last question ends in the microphone's file."""
    call.page.evaluate(SOUND_TIMES, call.session_id)
    call.wait(lambda: call.recording.seconds > last_s, last_s + LATE_S, "The last question")
    call.listen(GAP_S)
    return _answers(call, engine, call.page.evaluate("soundTimes"), count)


def _answers(call: BenchCall, engine: AnsweringEngine, sounds: list[float], count: int) -> list[Answer]:
    recording = call.recording
    said = [(recording.wall(begin), recording.wall(end)) for begin, end in spans(recording.sent, gap_s=PAUSE_S)]
    if len(said) != count:
        raise JoyvlError(f"The page sent {len(said)} questions, not {count}: was it late for the first?")
    heard = [recording.wall(index) for index in _onsets(recording)]
    walls = {
        name: [update["wall"] for _, update in call.found(type)]
        for name, type in (
            ("stopped", "input_audio_buffer.speech_stopped"),
            ("transcript", TRANSCRIPT),
            ("words", "response.output_text.delta"),
        )
    }
    answers = []
    for (_, end), (until, _) in pairwise([*said, (float("inf"), 0.0)]):
        after = _within(until)
        moments = [end]
        for times in (walls["stopped"], walls["transcript"], engine.asked, walls["words"], sounds, heard):
            moments.append(after(times, moments[-1]))
        if all(map(np.isfinite, moments)):
            answers.append(Answer(*moments))
    return answers


def _within(until: float) -> Callable[[Iterable[float], float], float]:
    """The first of some times after a moment and before `until`, else not a number."""
    return lambda times, after: next((time for time in times if after - 0.02 <= time < until), float("nan"))


def _onsets(recording: Recording) -> list[int]:
    """Where the sound of the server begins, after at least half a second of silence."""
    return [round(begin) for begin, _ in spans(recording.received, gap_s=0.5, threshold=0.05)]


def _rows(answers: list[Answer]) -> list[dict[str, Any]]:
    whole = [1000 * (answer.received - answer.end) for answer in answers]
    rows = []
    for number, (_, name) in enumerate(PARTS):
        times = [1000 * (answer.moments[number + 1] - answer.moments[number]) for answer in answers]
        rows.append(_row(name, times, 100 * statistics.fmean(times) / statistics.fmean(whole)))
    return [*rows, _row("all: end of the question → first sound in the browser", whole, 100.0)]


def _row(name: str, times: list[float], share: float) -> dict[str, Any]:
    return {
        "part": name,
        "p50_ms": round(statistics.median(times)),
        "p95_ms": round(percentile(times, 95)),
        "share": round(share, 1),
        "n": len(times),
    }
