"""`joyvl voices …`: what speaks: which voices there are, get one, hear it."""

from __future__ import annotations

import asyncio
import os
import time
import wave
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from joyvl_server.cli.engine import Config, DataDir
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.cli.models.get import MIRROR_VARIABLE, TIMEOUT_S, Mirror
from joyvl_server.cli.models.progress import PercentLines
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import logs
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.hubs.hugging_face import HUB
from joyvl_server.kit.net import http
from joyvl_server.settings import Settings, load
from joyvl_server.speech.base import SpeechError
from joyvl_server.speech.text.language import language_of
from joyvl_server.speech.text.sentences import SentenceStream
from joyvl_server.speech.text.speakable import speakable
from joyvl_server.speech.tts.voice_pace import TOO_SLOW
from joyvl_server.speech.voice_catalog import ENTRIES, VoiceEntry, VoiceFetcher, find_voice, is_there
from joyvl_server.speech.voices import SpeechEngines, VoiceChoice

app = typer.Typer(help="Voices: list, get, try.", no_args_is_help=True)

SHOWN = 12
SAMPLE = {"en": "Someone is at the front door. It is half past nine.", "zh": "有人在门口。现在是九点半。"}


@app.command("list")
def list_voices(config: Config = None, data_dir: DataDir = None) -> None:
    """List the engines and their voices, and what `joyvl voices get` can fetch; * marks what is there."""
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        logs.configure("error", settings.log.format)
        asyncio.run(_list(settings))
        typer.echo("\nTo get (joyvl voices get NAME):")
        for entry in ENTRIES:
            there = "*" if is_there(entry, settings.speech_models_dir) else " "
            typer.echo(f"{there} {entry.name:<28} {entry.licence:<20} {entry.about}")


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="Like piper:en_US-joe-medium, kokoro or kokoro:zm_yunxi.")],
    config: Config = None,
    data_dir: DataDir = None,
    mirror: Mirror = None,
) -> None:
    """Fetch a voice from the project that publishes it. If it was interrupted, run it a second time to finish."""
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        hub_url = mirror or os.environ.get(MIRROR_VARIABLE) or HUB
        asyncio.run(_get(find_voice(name), settings.speech_models_dir, hub_url))


@app.command("try")
def try_voice(
    name: Annotated[str, typer.Argument(help="Engine, or engine:voice, like piper:en_US-joe-medium.")],
    text: Annotated[str | None, typer.Argument(help="What it says. Without it, a sentence or two.")] = None,
    config: Config = None,
    data_dir: DataDir = None,
    out: Annotated[Path, typer.Option(help="WAV file to write.")] = Path("voice.wav"),
) -> None:
    """Let a voice speak into a WAV file, and say how long it took."""
    with errors_as_exit_codes():
        settings = load(config, {"data_dir": data_dir})
        logs.configure("error", settings.log.format)
        asyncio.run(_try(settings, name, text, out))


async def _list(settings: Settings) -> None:
    engines = SpeechEngines(settings, SystemClock())
    try:
        for name in engines.installed:
            chosen = "*" if name == settings.speech.tts else " "
            try:
                voices = await engines.engine(name).voices()
            except (ConfigError, SpeechError) as error:
                typer.echo(f"{chosen} {name:<10} {error}")
                continue
            shown = ", ".join(voice.id for voice in voices[:SHOWN])
            more = f" and {len(voices) - SHOWN} more" if len(voices) > SHOWN else ""
            own = "the browser's own voices" if engines.engine(name).remote else "no voice yet"
            typer.echo(f"{chosen} {name:<10} {shown + more or own}")
    finally:
        await engines.aclose()


async def _get(entry: VoiceEntry, folder: Path, hub_url: str) -> None:
    """Raises `DownloadError`."""
    async with http.client(timeout_s=TIMEOUT_S) as client:
        fetcher = VoiceFetcher(client, PercentLines(), hub_url)
        planned = await fetcher.plan(entry)
        megabytes = sum(remote.size for _, remote in planned) / 1e6
        pinned = sum(file.pin is not None for file, _ in planned)
        typer.echo(f"{entry.name} ({entry.licence}), {megabytes:.1f} MB, from {hub_url}/{entry.repository}")
        typer.echo(f"Checked by hash: {pinned} against our own list, {len(planned) - pinned} against that of the Hub.")
        fetched = await fetcher.fetch(planned, folder)
    typer.echo(f"{entry.name} is {'ready' if fetched else 'there already'}.")


async def _try(settings: Settings, name: str, text: str | None, out: Path) -> None:
    """Raises `ConfigError`, `SpeechError`."""
    engines = SpeechEngines(settings, SystemClock())
    choice = VoiceChoice.parse(name)
    try:
        engine = engines.engine(choice.engine)
        if engine.remote:
            raise ConfigError(f"{choice.engine} speaks in the browser; there is nothing to hear here.")
        began = time.monotonic()
        await engine.start()
        typer.echo(f"ready after {time.monotonic() - began:.2f} s")
        if text is None:
            languages = {voice.id: voice.language[:2] for voice in await engine.voices()}
            text = SAMPLE.get(languages.get(choice.voice or "", "en"), SAMPLE["en"])
        sound: list[Pcm] = []
        stream = SentenceStream()
        for sentence in [*stream.feed(text), *stream.finish()]:
            began, first, made = time.monotonic(), 0.0, len(sound)
            language = language_of(sentence.text)
            async for pcm in engine.speak(speakable(sentence.text, language), voice=choice.voice, language=language):
                first = first or time.monotonic() - began
                sound.append(pcm)
            seconds = sum(pcm.seconds for pcm in sound[made:])
            took = time.monotonic() - began
            typer.echo(f"first sound after {first * 1000:.0f} ms, {seconds:.2f} s of it in {took:.2f} s")
            if took > TOO_SLOW * seconds:
                typer.echo("This machine is too slow for this voice: each sentence will be heard late. Try piper.")
    finally:
        await engines.aclose()
    await asyncio.to_thread(_write, sound, out)
    typer.echo(f"{out} is written.")


def _write(sound: list[Pcm], out: Path) -> None:
    """Raises `ConfigError`."""
    try:
        with out.open("wb") as opened, wave.open(opened, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sound[0].rate if sound else 16_000)
            file.writeframes(np.concatenate([pcm.samples for pcm in sound] or [np.zeros(0, np.int16)]).tobytes())
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}.") from None
