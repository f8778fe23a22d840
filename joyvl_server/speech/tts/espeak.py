"""Voice `espeak`: the system's espeak-ng, a process for each sentence. Plain, quick, in a hundred languages."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

from pydantic import Field

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.speech.base import SpeechContext, SpeechError, SpeechState, Voice
from joyvl_server.speech.options import SpeechOptions
from joyvl_server.speech.text.language import base_language
from joyvl_server.speech.tts.sound_stream import SoundStream

WHERE = "speech.options.espeak"
AT_ONCE = 4
LIST_TIMEOUT_S = 10.0
END_S = 2.0

CHINESE = "cmn-latn-pinyin"
"""Its `cmn` reads Chinese characters as if they were English where it was built without a dictionary for them."""
_VARIANT = re.compile(r"[A-Za-z0-9_-]+")
_USUAL = {"en": "en-us", "zh": CHINESE, "pt": "pt", "no": "nb"}


class EspeakOptions(SpeechOptions):
    program: str = Field("espeak-ng", min_length=1, description="Name or path of the program.")
    voice: str | None = Field(None, description="Voice where nothing else names one; empty: one of the language.")
    words_per_minute: int = Field(165, ge=80, le=450, description="How fast it speaks.")
    timeout_s: float = Field(10.0, gt=0, le=60, description="Longest wait for the next piece of sound.")


class EspeakTts:
    name = "espeak"
    remote = False

    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError` for wrong options, and where the program is missing."""
        self._options = validated(EspeakOptions, context.options, WHERE)
        found = shutil.which(self._options.program)
        if found is None:
            raise ConfigError(
                f"The voice espeak needs the program {self._options.program}: apt-get install espeak-ng, or set "
                f"{WHERE}.program."
            )
        self._program = found
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._known: list[Voice] = []
        self._trouble = ""

    @property
    def state(self) -> SpeechState:
        return SpeechState("failed", self._trouble) if self._trouble else SpeechState("ready")

    async def start(self) -> None:
        """Read which voices there are. Raises `SpeechError`. Cancelling it changes nothing."""
        await self.voices()

    async def voices(self) -> list[Voice]:
        """As espeak-ng lists them; `id` is what it takes as `-v`. Raises `SpeechError`. Cancelling changes nothing."""
        if not self._known:
            process = await self._run("--voices", stdin=False)
            try:
                async with asyncio.timeout(LIST_TIMEOUT_S):
                    listed, _ = await process.communicate()
            except TimeoutError:
                raise SpeechError("espeak: It did not list its voices in time.", code="timeout") from None
            finally:
                await _end(process)
            self._known = _read_voices(listed.decode("utf-8", "replace"))
        return self._known

    async def speak(self, text: str, *, voice: str | None, language: str | None) -> AsyncIterator[Pcm]:
        """See `Tts.speak`. Cancelled or closed early, the process is killed."""
        name = await self._voice(voice or self._options.voice, language)
        async with self._at_once:
            speed = str(self._options.words_per_minute)
            process = await self._run("-v", name, "-s", speed, "-b", "1", "--stdin", "--stdout", stdin=True)
            writing = asyncio.create_task(_write(process, text), name="text for espeak")
            try:
                async for pcm in self._read(process, text):
                    yield pcm
                self._trouble = ""
            except SpeechError as error:
                self._trouble = str(error)
                raise
            finally:
                writing.cancel()
                await _end(process)

    async def aclose(self) -> None:
        """There is nothing to give back: a process ends with whoever listens to it. Never waits."""

    async def _run(self, *arguments: str, stdin: bool) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                self._program, *arguments,
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise SpeechError(
                f"espeak: {self._program} cannot be started: {error.strerror}.", code="unavailable"
            ) from None

    async def _read(self, process: asyncio.subprocess.Process, text: str) -> AsyncIterator[Pcm]:
        assert process.stdout is not None
        stream = SoundStream("espeak", text)
        while True:
            try:
                data = await asyncio.wait_for(process.stdout.read(16_384), self._options.timeout_s)
            except TimeoutError:
                raise SpeechError("espeak: It makes no sound.", code="timeout") from None
            if not data:
                break
            for pcm in stream.feed(data):
                yield pcm
        if not stream.began:
            raise SpeechError(f"espeak: It ended without a sound (status {await process.wait()}).")

    async def _voice(self, voice: str | None, language: str | None) -> str:
        """The name that espeak-ng knows it by. Raises `SpeechError` (no_voice)."""
        if voice is not None and base_language(voice) == "zh" and "latn" not in voice:
            voice = CHINESE
        known = {one.id.lower(): one.id for one in await self.voices()}
        if voice is not None:
            base, plus, variant = voice.partition("+")  # `en-us+f3` is a variant of a voice
            if base.lower() not in known or (plus and not _VARIANT.fullmatch(variant)):
                raise SpeechError(f"espeak: There is no voice {voice}.", code="no_voice")
            return known[base.lower()] + plus + variant
        wanted = (language or "en").lower()
        base = base_language(wanted)
        for name in (wanted, _USUAL.get(base, base), base):
            if name in known and not (base == "zh" and name != CHINESE):
                return known[name]
        for name in known.values():
            if base_language(name) == base and base != "zh":
                return name
        raise SpeechError(f"espeak: It has no voice for {base}.", code="no_voice")


def _read_voices(listed: str) -> list[Voice]:
    """Lines like ` 5  en-us   --/M   English_(America)   gmw/en-US   (en 3)`."""
    found = []
    for line in listed.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 5 and columns[0].isdigit():
            name = columns[1]
            if base_language(name) == "zh" and name != CHINESE:
                continue
            language = "zh" if name == CHINESE else name
            found.append(Voice(name, language, columns[3].replace("_", " ")))
    return found


async def _write(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError, BrokenPipeError):
        process.stdin.write(text.encode("utf-8", "replace") + b"\n")
        await process.stdin.drain()
        process.stdin.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill it where it still runs, and wait until it is gone and its pipes are closed."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    ending = asyncio.ensure_future(_drain(process))
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(ending), END_S)


async def _drain(process: asyncio.subprocess.Process) -> None:
    """What is left in a pipe keeps it open."""
    assert process.stdout is not None
    while await process.stdout.read(1 << 16):
        pass
    await process.wait()
