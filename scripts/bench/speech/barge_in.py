"""Somebody speaks while the server does: how soon it falls silent in the browser, that a click lets it go on, and that
what counts as heard is what was played.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.percentiles import spread
from bench.speech.call import BenchCall, microphone_browser, speech_server, whisper_options
from bench.speech.interrupting.measured import Interruption, Resumption, measure_click, measure_words
from bench.speech.interrupting.talk import OTHERS, Talk, TalkingEngine
from bench.speech.microphone import synthesise, write_wav
from bench.speech.recording import spans
from fakes.server.server import ServerProcess
from joyvl_server.core.errors import JoyvlError
from joyvl_server.ingest.demo import draw_demo

COLUMNS = (
    ("what", "what"),
    ("trials", "trials"),
    ("measured", "measured"),
    ("p50_ms", "p50 ms"),
    ("p95_ms", "p95 ms"),
    ("max_ms", "max ms"),
    ("max_words", "words off, max"),
    ("beyond_one_word", "more than 1 off"),
    ("missed", "missed"),
)
RATE = 48_000
WORDS = "Wait a moment, what was that about the door?"
CLICK = "uh"
"""as short as a cough, and the VAD takes it for speech; what it does not take for speech stops nothing"""
PERSON = "espeak:en-us+f3"
LEAD_S, GAP_S = 14.0, 6.0
OTHER_SESSIONS = 2
ENDS_S = 3.0


class TooLittleMeasured(JoyvlError):
    """All went on to its end, but what was said or heard can't be told: a busy machine may swallow it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """`begin`, `end`: of what is said, in samples of the recording."""

    click: bool
    begin: float
    end: float


def bench_barge_in(environment: Path | None, *, quick: bool = False) -> dict[str, Any]:
    """Rows: the time from the first sample of speech that the page sends until what it receives is silent; the time
    from the end of a click until it goes on; how far what counts as heard is from what was received, in words.

    `environment`: with its whisper the words are understood as well. None: a sentence interrupts by its length.
    `quick`: 3 sentences and 2 clicks instead of 30 and 10. Raises `TooLittleMeasured`; another `JoyvlError` where it
    could not go on.
    """
    kinds = [False, True] * 2 + [False] if quick else [number % 4 == 3 for number in range(40)]
    with tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder:
        wav = Path(folder) / "person.wav"
        sounds = synthesise(None, [WORDS, CLICK], "en", PERSON)
        write_wav(wav, [sounds[click] for click in kinds], rate=RATE, lead_s=LEAD_S, gap_s=GAP_S, tail_s=ENDS_S)
        seconds = LEAD_S + len(kinds) * GAP_S + sum(sounds[click].seconds for click in kinds) + ENDS_S
        settings = _settings(environment)
        with (
            TalkingEngine() as engine,
            speech_server(environment, engine=engine.settings, **settings) as server,
            microphone_browser(wav) as browser,
        ):
            _open_others(server)
            with BenchCall(server, browser) as call:
                talk = Talk(call, engine)
                talk.go_on_for(seconds)
                return _result(call, talk, kinds)


def _settings(environment: Path | None) -> dict[str, Any]:
    asr = {"asr": "off"} if environment is None else {
        "asr": "whisper", "asr_options": {"whisper": whisper_options(environment, "tiny.en", languages=["en"])}
    }  # fmt: skip
    return {"speech": {"tts": "espeak", "voices": {}, **asr}, "sessions": {"cooldown_s": "0"}}


def _open_others(server: ServerProcess) -> None:
    """Sessions that watch a film meanwhile."""
    clip = server.folder / "media" / "bench.mp4"
    draw_demo(clip)
    for number in range(OTHER_SESSIONS):
        server.camera(f"other {number}", clip.resolve().as_uri(), loop=True, watches=[{"text": OTHERS}])


def _result(call: BenchCall, talk: Talk, kinds: list[bool]) -> dict[str, Any]:
    found = spans(call.recording.sent)
    if len(found) != len(kinds):
        raise TooLittleMeasured(f"The page sent {len(found)} pieces of speech instead of {len(kinds)}.")
    trials = [Trial(click, begin, end) for click, (begin, end) in zip(kinds, found, strict=True)]
    words = [measure_words(call.recording, talk, trial.begin, trial.end) for trial in trials if not trial.click]
    clicks = [measure_click(call.recording, talk, trial.begin, trial.end) for trial in trials if trial.click]
    interruptions = [one for one in words if one is not None]
    resumptions = [one for one in clicks if one is not None]
    if not interruptions:
        raise TooLittleMeasured("At no trial did the server speak and fall silent.")
    return {
        "bench": "barge_in",
        "rows": [*_rows(interruptions, len(words)), *_click_rows(resumptions, len(clicks))],
        "notes": _notes(call, interruptions, resumptions),
    }


def _rows(found: list[Interruption], trials: int) -> list[dict[str, Any]]:
    played = [one.played_words for one in found]
    silent = [one.silent_ms for one in found]
    rows = [_row("first speech sample sent → silence received", trials, silent, trials - len(found))]
    for what, counts in (
        ("history: words off what was received", [one.history_words for one in found]),
        ("prompt: words off what was received", [one.prompt_words for one in found]),
    ):
        pairs = [(truth, count) for truth, count in zip(played, counts, strict=True) if truth is not None]
        off = [abs(count - truth) for truth, count in pairs if count is not None]
        beyond = sum(distance > 1 for distance in off)
        rows.append({
            "what": what, "trials": trials, "measured": len(off), "max_words": max(off, default=None),
            "beyond_one_word": beyond, "missed": trials - len(off),
        })  # fmt: skip
    return rows


def _click_rows(found: list[Resumption], trials: int) -> list[dict[str, Any]]:
    heard = [one for one in found if not one.in_pause]
    lost = [one.lost_ms for one in found if one.lost_ms is not None]
    return [
        _row("end of a click → it goes on", trials, [one.resumed_ms for one in heard], trials - len(heard)),
        _row("of its speech lost (-: repeated) by a click", trials, lost, trials - len(lost)),
    ]


def _row(what: str, trials: int, values: list[float], missed: int) -> dict[str, Any]:
    return {"what": what, "trials": trials, "measured": len(values), "missed": missed, **spread(values)}


def _notes(call: BenchCall, found: list[Interruption], clicks: list[Resumption]) -> list[str]:
    notes = [f"{OTHER_SESSIONS} other sessions ran; the page recorded all but {call.recording.lost_s:.2f} s."]
    notes += [
        f"silent after {one.silent_ms:.0f} ms; words received {one.played_words}, history {one.history_words}, "
        f"prompt {one.prompt_words}: “… {one.last}”"
        for one in found
    ]
    notes += [
        f"click: goes on after {one.resumed_ms:.0f} ms, {_rounded(one.lost_ms)} ms lost"
        + (" (in a pause of its own)" if one.in_pause else "")
        for one in clicks
    ]
    return notes


def _rounded(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}"
