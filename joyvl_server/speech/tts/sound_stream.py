"""Bytes of a stream of sound, raw or WAV, as pieces of whole samples, with a bound."""

from __future__ import annotations

import struct

import numpy as np

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.speech.base import SpeechError

MAX_HEADER = 65_536
LEAST_S, PER_CHARACTER_S = 30.0, 0.6
"""The longest sound that can be one sentence: the slowest speech there is, and something for silence."""
_OTHERS = {b"ID3": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC", b"\x1aE\xdf\xa3": "WebM", b"\0\0\0": "MP4 or AAC"}
_PCM, _EXTENSIBLE = 1, 0xFFFE


class SoundStream:
    """`rate` is that of raw sound; a WAV header says its own, whether or not one was expected. `called_mp3`: whoever
    sends it says that it is MP3, so what looks like that is no raw sound.

    `feed` raises `SpeechError`: failed for what is no such sound, too_long for what never ends.
    """

    def __init__(
        self,
        name: str,
        text: str,
        *,
        rate: int | None = None,
        longest_s: float | None = None,
        called_mp3: bool = False,
    ) -> None:
        self.began = False
        self._name = name
        self._rate = rate
        self._mp3 = called_mp3 or rate is None
        self._channels = 1
        self._longest_s = longest_s or LEAST_S + PER_CHARACTER_S * len(text)
        self._seconds = 0.0
        self._rest = b""
        self._header = True

    def feed(self, data: bytes) -> list[Pcm]:
        """The whole samples that came so far; half a sample waits for its other half."""
        self._rest += data
        if self._header and not self._read_header():
            return []
        width = 2 * self._channels
        usable = len(self._rest) - len(self._rest) % width
        if not usable:
            return []
        samples = np.frombuffer(self._rest[:usable], "<i2")
        self._rest = self._rest[usable:]
        if self._channels > 1:
            samples = samples.reshape(-1, self._channels).mean(axis=1).astype(np.int16)
        assert self._rate is not None
        pcm = Pcm(samples.astype(np.int16, copy=False), self._rate)
        self.began = True
        self._seconds += pcm.seconds
        if self._seconds > self._longest_s:
            raise SpeechError(f"{self._name}: It does not stop speaking.", code="too_long")
        return [pcm]

    def _read_header(self) -> bool:
        """True once it is known where the sound begins."""
        if len(self._rest) < 12:
            return False
        for magic, what in _OTHERS.items():
            if self._rest.startswith(magic):
                raise SpeechError(f"{self._name}: It sends {what}; only PCM and WAV are understood.")
        if self._rest[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2") and self._mp3:
            raise SpeechError(f"{self._name}: It sends MP3; only PCM and WAV are understood.")
        if self._rest[:4] != b"RIFF" or self._rest[8:12] != b"WAVE":
            if self._rate is None:
                raise SpeechError(f"{self._name}: What it sends is no WAV.")
            self._header = False
            return True
        return self._read_chunks()

    def _read_chunks(self) -> bool:
        at, known = 12, False
        while at + 8 <= len(self._rest):
            name, size = struct.unpack_from("<4sI", self._rest, at)
            if name == b"data":
                if not known:
                    raise SpeechError(f"{self._name}: Its WAV does not say what it holds.")
                # The size is not known while it streams: what comes is the sound, to the end.
                self._rest = self._rest[at + 8 :]
                self._header = False
                return True
            if at + 8 + size > MAX_HEADER:
                raise SpeechError(f"{self._name}: Its WAV has no sound.")
            if at + 8 + size > len(self._rest):
                return False
            if name == b"fmt ":
                self._read_format(self._rest[at + 8 : at + 8 + size])
                known = True
            at += 8 + size + size % 2
        return False

    def _read_format(self, data: bytes) -> None:
        try:
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data)
        except struct.error:
            kind = channels = rate = bits = 0
        if kind not in (_PCM, _EXTENSIBLE) or bits != 16 or not 1 <= channels <= 8 or not 4000 <= rate <= 192_000:
            raise SpeechError(f"{self._name}: Its WAV is not 16-bit PCM.")
        self._rate, self._channels = rate, channels
