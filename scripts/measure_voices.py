#!/usr/bin/env python
"""How soon a voice is heard, how fast it is, and whether it stays small over many utterances.

    .venv/bin/python scripts/measure_voices.py espeak
    .venv/bin/python scripts/measure_voices.py piper --env "$(scripts/speech-test-env)"
    .venv/bin/python scripts/measure_voices.py kokoro --language zh --count 500 --env "$(scripts/speech-test-env)"

`first`: from the text to the first piece of sound, in the server. `rtf`: seconds of work for a second of sound. `rss`:
memory of the processes of the engine, and of this one, after the first twenty utterances and at the end. Run it on a
machine at rest; the line `loop` says how fast the machine was: about 0.5 s where it is.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

import psutil

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from joyvl_server.kit import logs  # noqa: E402
from joyvl_server.kit.clock import SystemClock  # noqa: E402
from joyvl_server.settings import Settings  # noqa: E402
from joyvl_server.speech.voices import SpeechEngines  # noqa: E402

TEXTS = {
    "en": [
        "Tell me when someone comes to the front door.",
        "Two people just entered the room from the left.",
        "There is smoke coming from the oven.",
        "The dog is sleeping next to the sofa.",
        "The window in the bedroom is open and it is raining.",
    ],
    "zh": [
        "有人来到前门的时候告诉我。",
        "刚才有两个人从左边走进房间。",
        "烤箱里正在冒烟。",
        "狗正在沙发旁边睡觉。",
        "卧室的窗户开着，外面在下雨。",
    ],
}
SETTLED = 20


def memory_mb() -> tuple[float, float]:
    """Of all children, and of this process."""
    ours = psutil.Process()
    children = sum(child.memory_info().rss for child in ours.children(recursive=True))
    return children / 1e6, ours.memory_info().rss / 1e6


def loop_s() -> float:
    began, total = time.perf_counter(), 0
    for number in range(10_000_000):
        total += number
    return time.perf_counter() - began


async def measure(arguments: argparse.Namespace) -> None:
    options = {}
    if arguments.env and arguments.engine in ("piper", "kokoro"):
        options = {arguments.engine: {"python": f"{arguments.env}/bin/python", "timeout_s": 120}}
    speech = {"tts": arguments.engine, "options": options}
    if arguments.env:
        speech["models_dir"] = f"{arguments.env}/models"
    engine = SpeechEngines(Settings(speech=speech), SystemClock())
    texts = TEXTS[arguments.language]
    tts = engine.engine(arguments.engine)
    began = time.perf_counter()
    await tts.start()
    async for _ in tts.speak(texts[0], voice=arguments.voice, language=arguments.language):
        pass
    print(f"loop: {loop_s():.2f} s; ready and warm after {time.perf_counter() - began:.1f} s", flush=True)
    firsts, work, sound, settled = [], 0.0, 0.0, (0.0, 0.0)
    for number in range(arguments.count):
        began, first = time.perf_counter(), None
        text = texts[number % len(texts)]
        async for pcm in tts.speak(text, voice=arguments.voice, language=arguments.language):
            first = first if first is not None else time.perf_counter() - began
            sound += pcm.seconds
        work += time.perf_counter() - began
        firsts.append((first or 0.0) * 1000)
        if number == min(SETTLED, arguments.count - 1):
            settled = memory_mb()
    ends = memory_mb()
    firsts.sort()
    print(
        f"{arguments.engine} {arguments.language}: {arguments.count} utterances, {sound:.0f} s of sound\n"
        f"first: p50 {statistics.median(firsts):.0f}, p95 {firsts[int(0.95 * (len(firsts) - 1))]:.0f}, "
        f"max {firsts[-1]:.0f} ms; rtf {work / sound:.3f}\n"
        f"rss: engine {settled[0]:.0f} → {ends[0]:.0f} MB, this process {settled[1]:.0f} → {ends[1]:.0f} MB; "
        f"descriptors {psutil.Process().num_fds()}, threads {psutil.Process().num_threads()}"
    )
    await engine.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["espeak", "piper", "kokoro", "openai"])
    parser.add_argument("--language", choices=sorted(TEXTS), default="en")
    parser.add_argument("--voice", help="Voice of the engine; without it, its own choice.")
    parser.add_argument("--count", type=int, default=20, help="Utterances.")
    parser.add_argument("--env", help="Folder of scripts/speech-test-env.")
    logs.configure("error", "text")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
