"""Voices that can be fetched, from the projects that publish them.

A file whose SHA-256 stands here is checked against that. The others are checked against the hash that the Hub itself
names for the state of the repository that is fetched; what has no hash at all is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from joyvl_server.core.errors import NotFound
from joyvl_server.kit.downloads import Downloader, DownloadError, DownloadProgress, RemoteFile
from joyvl_server.kit.hubs.hugging_face import HUB, ModelHub

PIPER = "rhasspy/piper-voices"
KOKORO = "onnx-community/Kokoro-82M-v1.0-ONNX"
_PIPER_NAME = re.compile(r"(([a-z]{2,3})_[A-Z]{2})-([A-Za-z0-9_]+)-(x_low|low|medium|high)")
_KOKORO_NAME = re.compile(r"[abefhijpz][fm]_[a-z0-9]+")


@dataclass(frozen=True)
class VoiceFile:
    """`path` in its repository, `target` in the folder of models. `pin`: SHA-256 and size, where they are known."""

    path: str
    target: str
    pin: tuple[str, int] | None = None
    optional: bool = False


@dataclass(frozen=True)
class VoiceEntry:
    """`about` says what it is for, in a line."""

    name: str
    repository: str
    licence: str
    about: str
    files: tuple[VoiceFile, ...] = field(repr=False)
    revision: str = "main"

    @property
    def source(self) -> str:
        return f"{HUB}/{self.repository}"


def piper_entry(voice: str, licence: str, about: str, pin: tuple[str, int] | None = None) -> VoiceEntry:
    """Any voice of Piper: its name says where it is. Raises `NotFound` for what is no such name."""
    parts = _PIPER_NAME.fullmatch(voice)
    if parts is None:
        raise NotFound(f"{voice} is no voice of Piper; they are named like piper:en_US-joe-medium.")
    folder = f"{parts[2]}/{parts[1]}/{parts[3]}/{parts[4]}"
    return VoiceEntry(
        f"piper:{voice}", PIPER, licence, about,
        (
            VoiceFile(f"{folder}/{voice}.onnx.json", f"voices/{voice}.onnx.json"),
            VoiceFile(f"{folder}/MODEL_CARD", f"voices/{voice}.MODEL_CARD", optional=True),
            VoiceFile(f"{folder}/{voice}.onnx", f"voices/{voice}.onnx", pin),
        ),
    )  # fmt: skip


def kokoro_entry(voices: tuple[str, ...], name: str, about: str) -> VoiceEntry:
    """The model and some of its voices."""
    model = (
        VoiceFile("tokenizer.json", "kokoro/tokenizer.json"),
        VoiceFile("onnx/model_quantized.onnx", "kokoro/model.onnx"),
    )
    of_voices = tuple(VoiceFile(f"voices/{voice}.bin", f"kokoro/voices/{voice}.bin") for voice in voices)
    return VoiceEntry(name, KOKORO, "Apache-2.0", about, (*of_voices, *model))


_CARD = "see its MODEL_CARD"
ENTRIES = (
    piper_entry(
        "en_US-joe-medium", "CC0 (data)", "English, a man; quick on a CPU",
        ("58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06", 63_201_294),
    ),
    piper_entry("en_US-lessac-medium", _CARD, "English, a woman"),
    piper_entry("en_GB-alba-medium", _CARD, "English (Britain), a woman"),
    piper_entry("zh_CN-huayan-medium", _CARD, "Chinese, a woman"),
    piper_entry("de_DE-thorsten-medium", _CARD, "German, a man"),
    piper_entry("fr_FR-siwis-medium", _CARD, "French, a woman"),
    piper_entry("es_ES-davefx-medium", _CARD, "Spanish, a man"),
    kokoro_entry(("af_heart", "zf_xiaoxiao"), "kokoro", "English and Chinese; the best here, needs a quick CPU"),
    kokoro_entry(("am_michael",), "kokoro:am_michael", "English, a man"),
    kokoro_entry(("bf_emma",), "kokoro:bf_emma", "English (Britain), a woman"),
    kokoro_entry(("zm_yunxi",), "kokoro:zm_yunxi", "Chinese, a man"),
)  # fmt: skip
"""What is listed. Every other voice of Piper and of Kokoro can be fetched by its name too."""


def find_voice(name: str) -> VoiceEntry:
    """`piper:NAME` (also without `piper:`), `kokoro` or `kokoro:NAME`. Raises `NotFound`."""
    for entry in ENTRIES:
        if name in (entry.name, entry.name.removeprefix("piper:")):
            return entry
    engine, colon, voice = name.partition(":")
    if engine == "kokoro" and _KOKORO_NAME.fullmatch(voice):
        return kokoro_entry((voice,), name, "")
    if engine == "piper" or (not colon and _PIPER_NAME.fullmatch(name)):
        return piper_entry(voice if colon else name, _CARD, "")
    raise NotFound(f"{name} is no voice. There are: {', '.join(entry.name for entry in ENTRIES)}.")


def is_there(entry: VoiceEntry, models_dir: Path) -> bool:
    """Are its files there? Their names only; `fetch` looks at what is in them. Blocks."""
    return all((models_dir / file.target).is_file() for file in entry.files if not file.optional)


class VoiceFetcher:
    """`mirror`: an address with the Hub's own paths instead of the Hub. `client`: the caller closes it."""

    def __init__(self, client: httpx2.AsyncClient, progress: DownloadProgress, mirror: str = HUB) -> None:
        self._hub = ModelHub(client, mirror)
        self._downloader = Downloader(client, progress)

    async def plan(self, entry: VoiceEntry) -> list[tuple[VoiceFile, RemoteFile]]:
        """Where each file comes from, how big it is, how it will be checked. Raises `DownloadError`.

        Cancelling it changes nothing.
        """
        commit = await self._hub.commit(entry.repository, entry.revision)
        listed: dict[str, dict[str, RemoteFile]] = {}
        found = []
        for file in entry.files:
            if file.pin is not None:
                sha256, size = file.pin
                url = self._hub.file_url(entry.repository, commit, file.path)
                found.append((file, RemoteFile(url, size, sha256=sha256)))
                continue
            folder = file.path.rpartition("/")[0]
            if folder not in listed:
                listed[folder] = await self._hub.files(entry.repository, commit, folder)
            if file.path in listed[folder]:
                found.append((file, listed[folder][file.path]))
            elif not file.optional:
                raise DownloadError(f"{entry.repository} has no {file.path}.", code="not_found")
        return found

    async def fetch(self, planned: list[tuple[VoiceFile, RemoteFile]], models_dir: Path) -> int:
        """How many were not there yet. What is there and right stays. Raises `DownloadError`.

        Cancelled, or broken off, the next call goes on from there. The largest file comes last: where that is there,
        all of it is.
        """
        return sum([await self._downloader.fetch(remote, models_dir / file.target) for file, remote in planned])
