"""How soon a voice is heard in the browser, whether it breaks off on a busy machine, and how well it is understood.

Real server, real Chromium, real call. An engine writes a sentence at its next decision; "first" is from that moment to
the first sound of it that the browser's audio has. `playback/spoken.py` says what a gap is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser

from bench.percentiles import percentile
from bench.speech.call import BenchCall, microphone_browser, speech_server
from bench.speech.microphone import write_wav
from bench.speech.mistakes import error_rate
from bench.speech.playback.busy import busy
from bench.speech.playback.spoken import SpeakingCall, SpokenText
from bench.speech.playback.transcripts import transcribe
from bench.speech.playback.writing_engine import WritingEngine
from bench.speech.sentences import CHINESE, ENGLISH
from fakes.server.server import ServerProcess
from joyvl_server.core.errors import JoyvlError

COLUMNS = (
    ("voice", "voice"),
    ("load", "busy processes, share of a core each"),
    ("utterances", "utterances"),
    ("unheard", "of them nothing was heard"),
    ("first_p50_ms", "text → first sound in the browser p50 ms"),
    ("first_p95_ms", "p95 ms"),
    ("gaps", "utterances with a gap > 40 ms"),
    ("longest_gap_ms", "longest gap ms"),
    ("longer_ms", "heard longer than made, median ms"),
    ("mistakes", "words (zh: characters) that whisper base mistakes"),
)
GAP_MS = 40.0
LOAD = 0.7
QUICK = 3


@dataclass(frozen=True, slots=True)
class Case:
    voice: str
    language: str
    texts: tuple[str, ...]


CASES = (
    Case("espeak", "en", ENGLISH),
    Case("piper", "en", ENGLISH),
    Case("kokoro", "en", ENGLISH),
    Case("kokoro", "zh", CHINESE),
)
QUICK_CASES = (CASES[0], CASES[1], CASES[3])


def bench_voices(environment: Path, *, quick: bool) -> dict[str, Any]:
    """A row for each voice at rest, and one while every core has a process that wants 70 % of it.

    `quick`: three utterances each, without Kokoro in English, and only Piper with the load. Raises `JoyvlError` where
    an utterance was not begun or did not end, and where nothing was heard at all.
    """
    cases = [(case, 0.0) for case in (QUICK_CASES if quick else CASES)]
    cases += [(case, LOAD) for case in ((CASES[1],) if quick else CASES)]
    rows, notes = [], []
    with (
        tempfile.TemporaryDirectory(prefix="joyvl-bench-") as folder,
        WritingEngine() as engine,
        speech_server(environment, engine=engine.settings, sessions={"listen": "off", "cooldown_s": "0"}) as server,
    ):
        wav = Path(folder) / "silence.wav"
        write_wav(wav, [], rate=16_000)
        with microphone_browser(wav) as browser:
            for case, load in cases:
                psutil.cpu_percent()
                with busy(load):
                    texts = case.texts[: QUICK if quick else None]
                    spoken, lost_s = _speak(server, browser, engine, case.voice, texts)
                notes.append(
                    f"{case.voice} {case.language}, load {load:g}: processor {psutil.cpu_percent():.0f} % busy, "
                    f"{lost_s:.2f} s not recorded"
                )
                if not spoken:
                    notes.append(f"Nothing was heard of it; the server's log ends with: {server.log[-1]}")
                rows.append(_row(environment, case, load, len(texts), spoken))
    if all(row["unheard"] == row["utterances"] for row in rows):
        raise JoyvlError("Nothing was heard of any voice.")
    return {"rows": rows, "notes": notes}


def _speak(
    server: ServerProcess, browser: Browser, engine: WritingEngine, voice: str, texts: Sequence[str]
) -> tuple[list[SpokenText], float]:
    """What was heard, and how many seconds the page did not record. Raises `JoyvlError` where nothing is spoken."""
    with BenchCall(server, browser, voice=voice) as call:
        speaking = SpeakingCall(call, engine)
        try:
            return [spoken for text in texts if (spoken := speaking.say(text)) is not None], speaking.lost_s
        finally:
            speaking.close()


def _row(environment: Path, case: Case, load: float, said: int, spoken: list[SpokenText]) -> dict[str, Any]:
    first = [one.first_ms for one in spoken]
    gaps = [max(one.starved_ms, one.concealed_ms) for one in spoken]
    longer = [1000 * (one.heard_s - one.made_s) for one in spoken]
    heard = transcribe(environment, [one.received for one in spoken], case.language)
    pairs = [(one.text, words) for one, words in zip(spoken, heard, strict=True)]
    return {
        "voice": f"{case.voice} {case.language}",
        "load": load,
        "utterances": said,
        "unheard": said - len(spoken),
        "first_p50_ms": percentile(first, 50) if first else None,
        "first_p95_ms": percentile(first, 95) if first else None,
        "gaps": sum(gap > GAP_MS for gap in gaps),
        "longest_gap_ms": max(gaps, default=None),
        "longer_ms": percentile(longer, 50) if longer else None,
        "mistakes": error_rate(pairs, case.language) if pairs else None,
        "heard": pairs,
    }
