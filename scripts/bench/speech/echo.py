"""A client without echo cancellation: is the server interrupted by its own voice, and still by a person?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.percentiles import spread
from bench.speech.barge_in import PERSON, WORDS
from bench.speech.call import BenchCall, microphone_browser, speech_server
from bench.speech.interrupting.measured import LATEST_S, SURE, match, measure_words
from bench.speech.interrupting.talk import REFERENCE_RATE, Talk, TalkingEngine
from bench.speech.microphone import synthesise, write_wav
from bench.speech.recording import RATE, Recording
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.audio.pcm import Pcm, Samples
from joyvl_server.kit.audio.resampler import resample

COLUMNS = (
    ("what", "what"),
    ("seconds", "s"),
    ("echo_db", "echo dB"),
    ("interruptions", "interruptions"),
    ("cut", "of them cut off"),
    ("trials", "trials"),
    ("found", "found"),
    ("p50_ms", "sent → silent p50 ms"),
    ("p95_ms", "p95 ms"),
    ("max_ms", "max ms"),
)
ECHO_GAIN, ECHO_S = 0.1, 0.1
GAP_S, ENDS_S = 6.0, 3.0
LONG_S, QUICK_S = 300.0, 30.0
EARLY_S = 0.5
"""the recording's time and that of the updates are off by less"""
PAGE = Path(__file__).parent / "interrupting/echoing_page.js"
SCRIPT = PAGE.read_text().replace("ECHO", f"[{ECHO_GAIN}, {ECHO_S}]", 1)


def bench_echo(environment: Path | None, *, quick: bool = False) -> dict[str, Any]:
    """What the page receives goes back into what it sends, -20 dB and 100 ms later, for 5 minutes; then a person
    speaks over it, 12 times.

    `environment` is not needed. `quick`: 30 s and 2 times. Raises `JoyvlError` where no echo was sent, and where the
    person is not in what was sent.
    """
    lead_s, trials = (QUICK_S, 2) if quick else (LONG_S, 12)
    person = synthesise(None, [WORDS], "en", PERSON)[0]
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        wav = Path(folder) / "person.wav"
        truth = write_wav(wav, [person] * trials, rate=RATE, lead_s=lead_s, gap_s=GAP_S, tail_s=ENDS_S)
        settings = {"speech": {"tts": "espeak", "asr": "off"}, "sessions": {"cooldown_s": "0"}}
        with (
            TalkingEngine() as engine,
            speech_server(None, engine=engine.settings, **settings) as server,
            microphone_browser(wav) as browser,
            BenchCall(server, browser, script=SCRIPT) as call,
        ):
            talk = Talk(call, engine)
            talk.go_on_for(truth[-1][1] + ENDS_S)
            return _result(call, talk, person, truth)


def _result(call: BenchCall, talk: Talk, person: Pcm, truth: list[tuple[float, float]]) -> dict[str, Any]:
    recording = call.recording
    first = _place(person, recording.sent)
    begins = [first + (begin - truth[0][0]) * RATE for begin, _ in truth]
    until = round(begins[0])
    echo_db = _level(recording.sent[:until]) - _level(recording.received[:until])
    if not -40 < echo_db < 0:
        raise JoyvlError(f"What the page sent is no echo: {echo_db:.0f} dB of what it received.")
    held = [came for came, _ in call.found("output_audio_buffer.held")]
    own = [came for came in held if came < recording.wall(begins[0]) - EARLY_S]
    cut = [came for came, _ in call.found("conversation.item.truncated") if came < recording.wall(begins[0]) - EARLY_S]
    measured = [measure_words(recording, talk, begin, begin) for begin in begins]
    silent = [one.silent_ms for one in measured if one is not None]
    found = sum(any(-EARLY_S <= came - recording.wall(begin) <= LATEST_S for came in held) for begin in begins)
    return {
        "bench": "echo",
        "rows": [
            {
                "what": "its own voice alone", "seconds": _spoken_s(recording, until), "echo_db": echo_db,
                "interruptions": len(own), "cut": len(cut),
            },
            {
                "what": "a person over it", "trials": len(begins), "found": found, **spread(silent),
            },
        ],
        "notes": [
            f"The page recorded all but {recording.lost_s:.2f} s; {len(silent)} of {len(begins)} were said while it "
            "spoke, and silence followed.",
            *(f"interrupted by itself {came - recording.wall(0):.1f} s after the first sound" for came in own),
        ],
    }  # fmt: skip


def _place(person: Pcm, sent: Samples) -> float:
    """Where the person is first heard in what was sent, in samples, by what is loudest in it. Raises `JoyvlError`."""
    voice = resample(person, REFERENCE_RATE).samples.astype(np.float32)
    level = np.convolve(np.abs(voice), np.ones(80, np.float32) / 80, "same")
    begins = int(np.flatnonzero(level > 0.02 * float(level.max()))[0])
    whole = resample(Pcm(sent, RATE), REFERENCE_RATE).samples.astype(np.float32)
    score, place = match(voice, whole)
    if score < SURE:
        raise JoyvlError(f"The person is not in what the page sent: the likeness is {score:.2f}.")
    scores = [(score, place)]
    while place > len(voice):  # the likest is not always the first
        score, earlier = match(voice, whole[: place - len(voice) // 2])
        if score < SURE:
            break
        place = earlier
        scores.append((score, place))
    return (scores[-1][1] + begins) * RATE / REFERENCE_RATE


def _level(samples: Samples) -> float:
    """dB"""
    return 20 * float(np.log10(np.sqrt(np.mean(samples.astype(np.float64) ** 2)) + 1e-3))


def _spoken_s(recording: Recording, until: int) -> float:
    """Of so many samples received, how long there was sound, in steps of 0.1 s."""
    step = RATE // 10
    received = np.abs(recording.received[: until // step * step].astype(np.float32)).reshape(-1, step)
    return float(np.sum(received.max(axis=1) > 200)) / 10
