"""Weights of embedders that `joyvl models get` fetches from the Hugging Face Hub, never by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from joyvl_server.kit.downloads import Downloader, DownloadError
from joyvl_server.kit.hubs.hugging_face import ModelHub

REVISION = "main"
FOLDER = "onnx"
WEIGHTS = "model_quantized.onnx"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """`query` and `passage` are written before each text. `tokens`: of the longest text; the rest is cut off."""

    name: str
    repository: str
    megabytes: int
    about: str
    dimensions: int
    query: str = ""
    passage: str = ""
    tokens: int = 512
    licence: str = "MIT"

    def folder(self, models_dir: Path) -> Path:
        return models_dir / self.name

    def is_there(self, models_dir: Path) -> bool:
        return all((self.folder(models_dir) / name).is_file() for name in (TOKENIZER, WEIGHTS))


CATALOGUE = {
    model.name: model
    for model in (
        EmbeddingModel(
            "e5", "Xenova/multilingual-e5-small", 135, "memories by meaning, 100 languages", 384, "query: ", "passage: "
        ),
        EmbeddingModel(
            "minilm", "Xenova/all-MiniLM-L6-v2", 24, "memories by meaning, English, smaller and faster", 384,
            tokens=256, licence="Apache-2.0",
        ),
    )
}  # fmt: skip


async def get_embedding_model(model: EmbeddingModel, models_dir: Path, hub: ModelHub, downloader: Downloader) -> bool:
    """Fetch what is missing; False where all was there. Raises `DownloadError`.

    The weights come last: with them the model is whole. Cancelled, what was fetched is kept, and the next call goes on.
    """
    commit = await hub.commit(model.repository, REVISION)
    listed = await hub.files(model.repository, commit) | await hub.files(model.repository, commit, FOLDER)
    fetched = []
    for path in (TOKENIZER, f"{FOLDER}/{WEIGHTS}"):
        if path not in listed:
            raise DownloadError(f"{model.repository} no longer has {path}.", code="not_found")
        fetched.append(await downloader.fetch(listed[path], model.folder(models_dir) / Path(path).name))
    return any(fetched)
