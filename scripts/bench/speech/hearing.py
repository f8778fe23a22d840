"""Speech into the microphone of a call in Chromium: when it was found to begin and end, what was invented, which words
came out.

The whole path: WAV file, the browser's capture, Opus, WebRTC, resampling, VAD, whisper `base`. The truth is the energy
of what the page sends, with the wall clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.speech.call import TRANSCRIPT, BenchCall, microphone_browser, speech_server, warm_up, whisper_options
from bench.speech.microphone import synthesise, write_wav
from bench.speech.mistakes import error_rate
from bench.speech.recording import spans
from bench.speech.sentences import CHINESE, ENGLISH
from fakes.media.speech import RATE, co_alarm, noise, smoke_alarm, tone
from fakes.server.server import ServerProcess
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.audio.pcm import Pcm

COLUMNS = (
    ("what", "what"),
    ("rate", "microphone Hz"),
    ("said", "said"),
    ("found", "found"),
    ("missed", "missed"),
    ("split", "in pieces"),
    ("invented", "invented"),
    ("start_p50_ms", "start off by p50 ms"),
    ("start_max_ms", "max ms"),
    ("end_p50_ms", "end off by p50 ms"),
    ("end_max_ms", "max ms"),
    ("close", "both within 150 ms"),
    ("mistaken", "words (zh: characters) mistaken %"),
)
CLOSE_S = 0.15
LANGUAGES = {"en": ENGLISH, "zh": CHINESE}
RATES = (16_000, 48_000)
GAP_S = 3.0
PAUSE_S = 1.2
"""shorter silence is within a sentence"""
LATE_S = 60.0
NOISE_S, QUICK_NOISE_S = 60.0, 10.0
QUICK = {"en": 3, "zh": 2}


@dataclass(slots=True)
class Utterance:
    """What a call was told, or made up: Unix seconds."""

    begins: float
    ends: float = 0.0
    text: str | None = None


@dataclass(slots=True)
class HeardCall:
    """What came of one call. `pairs`: (said, heard)."""

    said: int
    found: int = 0
    split: int = 0
    invented: int = 0
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    pairs: list[tuple[str, str]] = field(default_factory=list)

    def wrong(self, rate: int, language: str) -> list[str]:
        """Each sentence that was mistaken, in words."""
        wrong = [pair for pair in self.pairs if error_rate([pair], language)]
        return [f"{rate} Hz: {said!r} was heard as {heard!r}." for said, heard in wrong]

    def row(self, what: str, rate: int | None, language: str | None) -> dict[str, Any]:
        off = [max(abs(start), abs(end)) for start, end in zip(self.starts, self.ends, strict=True)]
        return {
            "what": what,
            "rate": rate,
            "said": self.said,
            "found": self.found,
            "missed": self.said - self.found,
            "split": self.split,
            "invented": self.invented,
            **_spread("start", self.starts),
            **_spread("end", self.ends),
            "close": sum(one <= CLOSE_S for one in off) if self.said else None,
            "mistaken": 100 * error_rate(self.pairs, language) if language else None,
        }


def bench_hearing(environment: Path, *, quick: bool) -> dict[str, Any]:
    """Twenty sentences of Piper and twenty of Kokoro, half of them at 16 kHz, half at 48; then a minute of noises and
    tones. `quick`: three and two sentences, ten seconds.

    `environment`: the folder of scripts/speech-test-env. Raises `JoyvlError` where the path does not work at all.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    count = QUICK if quick else {language: len(texts) for language, texts in LANGUAGES.items()}
    sounds = {name: synthesise(environment, texts[: count[name]], name) for name, texts in LANGUAGES.items()}
    options = {"asr": "whisper", "asr_options": {"whisper": whisper_options(environment, languages=["en", "zh"])}}
    with speech_server(environment, speech=options) as server, tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "first.wav"
        write_wav(wav, sounds["en"][:1], rate=RATES[0], lead_s=1.0, tail_s=8.0)
        warm_up(server, wav)
        for name, spoken in sounds.items():
            calls = [
                (rate, _hear(server, spoken[part], LANGUAGES[name][: len(spoken)][part], rate))
                for rate, part in _parts(name, len(spoken), quick=quick)
            ]
            rows += [call.row(name, rate, name) for rate, call in calls]
            rows.append(_sum([call for _, call in calls]).row(f"{name}, all", None, name))
            notes += [note for rate, call in calls for note in call.wrong(rate, name)]
        seconds = QUICK_NOISE_S if quick else NOISE_S
        invented = _hear_noise(server, seconds)
        rows.append(HeardCall(0, invented=invented).row(f"{seconds:.0f} s of noise and tones", RATE, None))
    if not any(row["found"] for row in rows):
        raise JoyvlError("Not one sentence was heard.")
    return {"rows": rows, "notes": notes}


def _hear(server: ServerProcess, sounds: Sequence[Pcm], texts: Sequence[str], rate: int) -> HeardCall:
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "said.wav"
        truth = write_wav(wav, sounds, rate=rate, gap_s=GAP_S)
        with microphone_browser(wav) as browser, BenchCall(server, browser, voice="off") as call:
            call.wait(lambda: call.recording.seconds > truth[-1][1], truth[-1][1] + LATE_S, "The microphone's end")
            call.listen(PAUSE_S)
            call.came(lambda: _whole(call), LATE_S)  # else words are missing, which counts
            recording = call.recording
            said = [(recording.wall(begin), recording.wall(end)) for begin, end in spans(recording.sent, gap_s=PAUSE_S)]
            if len(said) != len(sounds):
                raise JoyvlError(f"The page sent {len(said)} sentences, not {len(sounds)}: was it late for the first?")
            return _compare(said, texts, utterances(call))


def _hear_noise(server: ServerProcess, seconds: float) -> int:
    """How often somebody was thought to speak."""
    fifth = seconds / 5
    parts = [
        noise(fifth, 2500, slope=0.5),
        noise(fifth, 1500),
        np.concatenate([tone(fifth / 3, hz) for hz in (440.0, 1000.0, 2300.0)]),
        smoke_alarm(fifth),
        co_alarm(fifth),
    ]
    sound = Pcm(np.concatenate(parts).astype(np.int16), RATE)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "noise.wav"
        ((_, end),) = write_wav(wav, [sound], rate=RATE)
        with microphone_browser(wav) as browser, BenchCall(server, browser, voice="off") as call:
            call.wait(lambda: call.recording.seconds > end, end + LATE_S, "The microphone's end")
            call.listen(PAUSE_S)
            if not spans(call.recording.sent):
                raise JoyvlError("The page sent no noise.")
            return len(utterances(call))


def utterances(call: BenchCall) -> list[Utterance]:
    """What the session found in the sound of its call, in order."""
    zero = call.stream_zero()
    found: dict[str, Utterance] = {}
    for _, update in list(call.updates):
        match update["type"]:
            case "input_audio_buffer.speech_started":
                found[update["item_id"]] = Utterance(zero + update["t"])
            case "input_audio_buffer.speech_stopped":
                found[update["item_id"]].ends = zero + update["t"]
            case kind if kind == TRANSCRIPT:
                found[update["item_id"]].text = update["transcript"]
    return list(found.values())


def _whole(call: BenchCall) -> bool:
    """Has all that began its words? One that is not understood never gets any."""
    began = {update["item_id"] for _, update in call.found("input_audio_buffer.speech_started")}
    ended = {update["item_id"] for _, update in call.found(TRANSCRIPT)}
    return began <= ended


def _compare(said: list[tuple[float, float]], texts: Sequence[str], found: list[Utterance]) -> HeardCall:
    result = HeardCall(len(said))
    left = list(found)
    for (begin, end), text in zip(said, texts, strict=True):
        parts = [one for one in found if one.begins < end + CLOSE_S and one.ends > begin - CLOSE_S]
        left = [one for one in left if one not in parts]
        result.pairs.append((text, " ".join(one.text or "" for one in parts)))
        if parts:
            result.found += 1
            result.split += len(parts) > 1
            result.starts.append(parts[0].begins - begin)
            result.ends.append(parts[-1].ends - end)
    result.invented = len(left)
    return result


def _parts(language: str, count: int, *, quick: bool) -> list[tuple[int, slice]]:
    """Which sentences are said at which rate: half and half, where there is time for two calls."""
    if quick:
        return [(RATES[language == "en"], slice(count))]
    return [(RATES[0], slice(count // 2)), (RATES[1], slice(count // 2, count))]


def _sum(calls: list[HeardCall]) -> HeardCall:
    total = HeardCall(0)
    for call in calls:
        total.said += call.said
        total.found += call.found
        total.split += call.split
        total.invented += call.invented
        total.starts += call.starts
        total.ends += call.ends
        total.pairs += call.pairs
    return total


def _spread(name: str, errors: list[float]) -> dict[str, float | None]:
    values = sorted(1000 * abs(error) for error in errors)
    return {
        f"{name}_p50_ms": values[len(values) // 2] if values else None,
        f"{name}_max_ms": values[-1] if values else None,
    }
