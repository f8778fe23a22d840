"""Models that `joyvl models get` fetches from the projects that publish them, never by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.downloads import Downloader, DownloadError, RemoteFile
from joyvl_server.kit.hubs.hugging_face import ModelHub

REVISION = "main"
_WHISPER = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """`sha256` of files that are known for certain; of the others the Hub's own hash counts. `optional`: files that
    some have and others do not."""

    name: str
    repository: str
    megabytes: int
    about: str
    files: tuple[str, ...] = _WHISPER
    optional: tuple[str, ...] = ("vocabulary.txt", "vocabulary.json", "preprocessor_config.json")
    sha256: Mapping[str, str] = field(default_factory=dict)
    licence: str = "MIT"

    def folder(self, models_dir: Path) -> Path:
        return models_dir / self.name

    def is_there(self, models_dir: Path) -> bool:
        return all((self.folder(models_dir) / name).is_file() for name in self.files)


def _whisper(size: str, megabytes: int, about: str, **sha256: str) -> SpeechModel:
    hashes = {name.replace("_", "."): value for name, value in sha256.items()}
    return SpeechModel(f"whisper-{size}", f"Systran/faster-whisper-{size}", megabytes, about, sha256=hashes)


CATALOGUE = {
    model.name: model
    for model in (
        _whisper("tiny.en", 78, "English, the fastest"),
        _whisper("tiny", 78, "99 languages, the fastest, many mistakes beyond English"),
        _whisper("base.en", 148, "English"),
        _whisper(
            "base", 148, "99 languages: the usual choice without a graphics card",
            model_bin="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        ),
        _whisper("small.en", 487, "English, with fewer mistakes, three times as slow as base"),
        _whisper("small", 487, "99 languages, with fewer mistakes, three times as slow as base"),
        _whisper("medium", 1530, "99 languages, for a graphics card"),
        SpeechModel(
            "smart-turn", "pipecat-ai/smart-turn-v3", 9, "tells from the voice whether somebody has finished",
            files=("smart-turn-v3.2-cpu.onnx",), optional=(), licence="BSD-2-Clause",
        ),
    )
}  # fmt: skip


def find_model(name: str, others: tuple[str, ...] = ()) -> SpeechModel:
    """Raises `ConfigError` that says which there are, with those of another kind."""
    if name not in CATALOGUE:
        raise ConfigError(f"There is no model {name!r}. There are: {', '.join((*CATALOGUE, *others))}.")
    return CATALOGUE[name]


async def get_model(model: SpeechModel, models_dir: Path, hub: ModelHub, downloader: Downloader) -> bool:
    """Fetch what is missing; False where all was there. Raises `DownloadError`.

    The file that makes the model whole comes last. Cancelled, what was fetched is kept, and the next call goes on.
    """
    commit = await hub.commit(model.repository, REVISION)
    listed = await hub.files(model.repository, commit)
    if missing := [name for name in model.files if name not in listed]:
        raise DownloadError(f"{model.repository} no longer has {', '.join(missing)}.", code="not_found")
    wanted = [name for name in model.optional if name in listed] + list(model.files[::-1])
    fetched = [
        await downloader.fetch(_expected(model, name, listed[name]), model.folder(models_dir) / name) for name in wanted
    ]
    return any(fetched)


def _expected(model: SpeechModel, name: str, listed: RemoteFile) -> RemoteFile:
    """Our own hash counts where we have one: neither a mirror nor a stolen account can put another file there."""
    known = model.sha256.get(name)
    if known is None:
        return listed
    if listed.sha256 is not None and listed.sha256 != known:
        raise DownloadError(
            f"{model.repository} has another {name} than the one we know. It is not fetched.", code="checksum"
        )
    return replace(listed, sha256=known, blob_id=None)
