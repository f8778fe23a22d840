"""Does speech stay small over many utterances: memory, threads and descriptors of what speaks.

Two ways: `engines` lets a voice speak one sentence after the other, as fast as it can, in this process; `session` is a
real server with a session whose engine writes a short remark each second, which a listener of its sound gets.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.speech.call import speech_server
from bench.speech.microphone import speech_settings
from bench.speech.playback.spoken import MadeSound
from bench.speech.playback.writing_engine import WritingEngine
from bench.speech.sentences import ENGLISH
from fakes.server.server import ServerProcess
from joyvl_server.core.errors import JoyvlError
from joyvl_server.ingest.demo import draw_demo
from joyvl_server.kit.clock import SystemClock
from joyvl_server.settings import Settings
from joyvl_server.speech.voices import SpeechEngines

COLUMNS = (
    ("voice", "voice"),
    ("way", "way"),
    ("utterances", "utterances"),
    ("main_mb", "main process, RSS at each eighth, MB"),
    ("others_mb", "its children, MB"),
    ("growth_kb", "growth in the second half, KB an utterance"),
    ("threads", "threads at each eighth"),
    ("descriptors", "descriptors"),
)
PARTS = 8
COUNTS = (("espeak", "engines", 500), ("piper", "engines", 120), ("espeak", "session", 500), ("piper", "session", 60))
QUICK_COUNTS = (("espeak", "engines", 40), ("piper", "engines", 16), ("espeak", "session", 16))
LONGEST_S = 60.0
"""for one utterance"""
SETTLE_S = 0.5
"""a process that has spoken ends a moment later"""

Say = Callable[[int], None]
"""says the utterance with this number, and returns when it was said"""


@dataclass(frozen=True, slots=True)
class HeldNow:
    main: int
    others: int
    threads: int
    descriptors: int


def bench_long(environment: Path, *, quick: bool) -> dict[str, Any]:
    """A row for each voice and way. Raises `JoyvlError` where an utterance was not spoken."""
    rows = [_row(environment, *case) for case in (QUICK_COUNTS if quick else COUNTS)]
    return {"rows": rows, "notes": ["Growth below zero: less was held at the end than in the middle."]}


def _row(environment: Path, voice: str, way: str, count: int) -> dict[str, Any]:
    speaking = _engines if way == "engines" else _session
    held = []
    with speaking(environment, voice) as (say, pid):
        for number in range(count):
            say(number)
            if (number + 1) * PARTS // count > number * PARTS // count:
                held.append(_held(pid))
    half = held[PARTS // 2 - 1 :]
    grown = half[-1].main + half[-1].others - half[0].main - half[0].others
    return {
        "voice": voice,
        "way": way,
        "utterances": count,
        "main_mb": [round(one.main / 1e6, 1) for one in held],
        "others_mb": [round(one.others / 1e6, 1) for one in held],
        "growth_kb": grown / 1e3 / (count / 2),
        "threads": [one.threads for one in held],
        "descriptors": [one.descriptors for one in held],
    }


def _held(pid: int) -> HeldNow:
    time.sleep(SETTLE_S)
    gc.collect()
    main = psutil.Process(pid)
    children = main.children(recursive=True)
    family = [main, *children]
    return HeldNow(
        main.memory_info().rss,
        sum(child.memory_info().rss for child in children),
        sum(process.num_threads() for process in family),
        sum(process.num_fds() for process in family),
    )


@contextmanager
def _engines(environment: Path, voice: str) -> Iterator[tuple[Say, int]]:
    with asyncio.Runner() as runner:
        engines = SpeechEngines(Settings(speech=speech_settings(environment)), SystemClock())

        async def speak(number: int) -> None:
            text = ENGLISH[number % len(ENGLISH)]
            async with asyncio.timeout(LONGEST_S):
                made = [pcm.seconds async for pcm in engines.engine(voice).speak(text, voice=None, language="en")]
            if sum(made) < 0.5:
                raise JoyvlError(f"{voice} said nothing.")

        try:
            runner.run(engines.engine(voice).start())
            yield lambda number: runner.run(speak(number)), psutil.Process().pid
        finally:
            runner.run(engines.aclose())


@contextmanager
def _session(environment: Path, voice: str) -> Iterator[tuple[Say, int]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="joyvl-bench-")))
        engine = stack.enter_context(WritingEngine())
        sessions = {"voice": voice, "cooldown_s": "0"}
        groups = {"engine": engine.settings, "sessions": sessions, "media": {"file_roots": [str(folder)]}}
        # Only what is measured is to run: a voice for each language would load in the background.
        groups["speech"] = {"tts": voice, "voices": {}}
        server = stack.enter_context(speech_server(environment, **groups))
        clip = folder / "demo.mp4"
        draw_demo(clip)
        camera = server.camera("bench", clip.resolve().as_uri(), loop=True)
        server.wait_online(camera["id"])
        made = MadeSound(server.url, camera["session_id"])
        stack.callback(made.close)
        yield lambda number: _write(engine, server, made, number), server.pid


def _write(engine: WritingEngine, server: ServerProcess, made: MadeSound, number: int) -> None:
    told, end = len(made.stopped), time.monotonic() + LONGEST_S
    engine.write(f"Number {number}.")
    while len(made.stopped) == told:
        if time.monotonic() > end:
            raise JoyvlError(f"Utterance {number} was not spoken.\n{''.join(server.log[-20:])}")
        time.sleep(0.05)
    if not made.of(made.stopped[-1]):
        raise JoyvlError(f"Nothing was to be heard of utterance {number}.\n{''.join(server.log[-20:])}")
    made.pieces.clear()
