"""Utterances of a call as the browser received them: when the first sound came, where the sound broke off."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from websockets.sync.client import connect

from bench.speech.call import BenchCall
from bench.speech.playback.writing_engine import WritingEngine
from bench.speech.recording import RATE, spans
from joyvl_server.core.errors import JoyvlError
from joyvl_server.kit.audio.pcm import Pcm

POLL_MS = 100
PAUSE_S = 0.8
"""pauses within a sentence are shorter"""
WRITTEN_S, SPOKEN_S = 20.0, 90.0
STATS = """async () => {
  const stats = await window.recordedPeer.getStats();
  const found = [...stats.values()].find((one) => one.type === "inbound-rtp" && one.kind === "audio");
  return [Date.now() / 1000, found ? found.concealedSamples - (found.silentConcealedSamples ?? 0) : 0];
}"""


@dataclass(frozen=True, slots=True)
class MadePiece:
    """Sound that the server made: `came` (Unix seconds) is when it was handed to the playout."""

    came: float
    epoch: int
    sound: Pcm


@dataclass(frozen=True, slots=True)
class SpokenText:
    """`first_ms`: from the engine's text to the first sound in the browser. `starved_ms`: how long the playout had
    nothing to play in the middle, because the voice was late. `concealed_ms`: most sound made up by the browser within
    0.2 s, because packets were late. `received`: all that was heard of it."""

    text: str
    first_ms: float
    starved_ms: float
    concealed_ms: float
    made_s: float
    heard_s: float
    received: Pcm


class MadeSound:
    """Follows what the server makes for one session, in a thread."""

    def __init__(self, url: str, session_id: str) -> None:
        self.pieces: list[MadePiece] = []
        self.stopped: list[int] = []
        """epochs that play no more"""
        address = f"{url.replace('http', 'ws', 1)}/v1/sessions/{session_id}/updates?audio=true"
        self._socket = connect(address, max_size=2**24)
        threading.Thread(target=self._read, name="made sound", daemon=True).start()

    def _read(self) -> None:
        for message in self._socket:
            told: dict[str, Any] = json.loads(message)
            if told["type"] == "response.output_audio.delta":
                samples = np.frombuffer(base64.b64decode(told["delta"]), "<i2")
                self.pieces.append(MadePiece(time.time(), told["epoch"], Pcm(samples, told["rate"])))
            elif told["type"] == "output_audio_buffer.stopped":
                self.stopped.append(told["epoch"])

    def of(self, epoch: int) -> list[MadePiece]:
        return [piece for piece in self.pieces if piece.epoch == epoch]

    def close(self) -> None:
        self._socket.close()


class SpeakingCall:
    """Lets the engine write sentences into a call, one after the other, and hears how they come."""

    def __init__(self, call: BenchCall, engine: WritingEngine) -> None:
        self._call = call
        self._engine = engine
        self._made = MadeSound(call.server.url, call.session_id)
        self._stats: list[tuple[float, float]] = []

    def close(self) -> None:
        self._made.close()

    @property
    def lost_s(self) -> float:
        """What the page had no time to record; it counts as silence there."""
        return self._call.recording.lost_s

    def say(self, text: str) -> SpokenText | None:
        """None where nothing of it was heard. Raises `JoyvlError` where it was not even begun, or did not end."""
        call, engine = self._call, self._engine
        told = len(call.updates)
        engine.write(text)
        call.wait(lambda: engine.written is not None, WRITTEN_S, "A decision")
        assert engine.written is not None
        self._poll_until(lambda: self._epoch("output_audio_buffer.stopped", told), f"The end of “{text}”")
        epoch = self._epoch("output_audio_buffer.started", told)
        call.listen(PAUSE_S)
        return self._measure(text, engine.written, self._made.of(epoch))

    def _epoch(self, type: str, told: int) -> int:
        """Of the newest update of that type; 0 where none came since then."""
        return next((update["epoch"] for _, update in self._call.updates[told:] if update["type"] == type), 0)

    def _poll_until(self, condition: Any, what: str) -> None:
        end = time.monotonic() + SPOKEN_S
        page = self._call.page
        while not condition():
            if time.monotonic() > end:
                raise JoyvlError(f"{what} was not reported within {SPOKEN_S:.0f} s.")
            page.wait_for_timeout(POLL_MS)
            wall, concealed = page.evaluate(STATS)
            self._stats.append((wall, concealed))
        self._call.listen(POLL_MS / 1000)

    def _measure(self, text: str, written: float, made: list[MadePiece]) -> SpokenText | None:
        recording = self._call.recording
        begin = max(0, recording.index(written))
        received = recording.received[begin:]
        heard = spans(received, gap_s=PAUSE_S)
        if not heard or not made:
            return None
        first, last = heard[0][0], heard[-1][1]
        from_wall, to_wall = recording.wall(begin + first), recording.wall(begin + last)
        return SpokenText(
            text,
            first_ms=1000 * (from_wall - written),
            starved_ms=1000 * starved_s(made),
            concealed_ms=concealed_ms([(wall, count) for wall, count in self._stats if from_wall <= wall <= to_wall]),
            made_s=loud_s(made),
            heard_s=(last - first) / RATE,
            received=Pcm(received[max(0, int(first) - RATE // 10) : int(last) + RATE // 5], RATE),
        )


def starved_s(made: list[MadePiece]) -> float:
    """The longest time for which the playout, which begins with the first piece, had nothing before the next one."""
    played_until, longest = made[0].came, 0.0
    for piece in made:
        longest = max(longest, piece.came - played_until)
        played_until = max(played_until, piece.came) + piece.sound.seconds
    return longest


def concealed_ms(stats: list[tuple[float, float]]) -> float:
    """The most that was made up between three looks in a row, which are 0.1 s apart."""
    counts = [count for _, count in stats]
    return max((1000 * (after - before) / RATE for before, after in zip(counts, counts[2:], strict=False)), default=0.0)


def loud_s(made: list[MadePiece]) -> float:
    """From its first sound to its last."""
    samples = np.concatenate([piece.sound.samples for piece in made])
    rate = made[0].sound.rate
    level = np.convolve(np.abs(samples.astype(np.float32)), np.ones(rate // 200, np.float32) / (rate // 200), "same")
    loud = np.flatnonzero(level > max(0.02 * float(level.max(initial=0.0)), 20.0))
    return float(loud[-1] - loud[0]) / rate if len(loud) else 0.0
