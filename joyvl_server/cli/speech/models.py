"""`joyvl models get` and `joyvl models list`: what understands speech, and what finds memories by meaning."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from joyvl_server.cli.engine import Config, DataDir
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.kit.downloads import Downloader
from joyvl_server.kit.model_hub import HUB, ModelHub
from joyvl_server.kit.net import http
from joyvl_server.memory.models import CATALOGUE as EMBEDDERS
from joyvl_server.memory.models import EmbeddingModel, get_embedding_model
from joyvl_server.settings import load
from joyvl_server.speech.models import CATALOGUE, SpeechModel, find_model, get_model

MIRROR_VARIABLE = "HF_ENDPOINT"
TIMEOUT_S = 60.0

Mirror = Annotated[
    str | None, typer.Option(help=f"Address of a mirror of the Hugging Face Hub. Also: ${MIRROR_VARIABLE}.")
]


class PercentLines:
    """A line for each tenth of a file: readable on a terminal and in a log."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def progress(self, name: str, done: int, total: int) -> None:
        tenth = 10 if total == 0 else done * 10 // total
        if self._told.get(name) != tenth:
            self._told[name] = tenth
            typer.echo(f"  {name}: {tenth * 10} % of {total / 1e6:.1f} MB")


def get(
    names: Annotated[list[str], typer.Argument(help="Models; `joyvl models list` names them.")],
    config: Config = None,
    data_dir: DataDir = None,
    mirror: Mirror = None,
) -> None:
    """Fetch models of speech and memory from those who publish them. If it was interrupted, run it again to go on."""
    with errors_as_exit_codes():
        models = [EMBEDDERS.get(name) or find_model(name, tuple(EMBEDDERS)) for name in names]
        folder = load(config, {"data_dir": data_dir}).speech_models_dir
        asyncio.run(_get(models, folder, mirror or os.environ.get(MIRROR_VARIABLE) or HUB))


def list_models(config: Config = None, data_dir: DataDir = None) -> None:
    """List the models of speech and memory, and which are there."""
    with errors_as_exit_codes():
        folder = load(config, {"data_dir": data_dir}).speech_models_dir
        models: list[SpeechModel | EmbeddingModel] = [*CATALOGUE.values(), *EMBEDDERS.values()]
        for model in models:
            here = "*" if model.is_there(folder) else " "
            typer.echo(f"{here} {model.name:<18} {model.megabytes:>5} MB  {model.licence:<13} {model.about}")
        typer.echo(f"*: it is in {folder}")


async def _get(models: list[SpeechModel | EmbeddingModel], folder: Path, hub_url: str) -> None:
    async with http.client(timeout_s=TIMEOUT_S) as client:
        hub = ModelHub(client, hub_url)
        for model in models:
            typer.echo(f"{model.name}: {model.about} ({model.licence}), from {hub_url}/{model.repository}")
            downloader = Downloader(client, PercentLines())
            if isinstance(model, EmbeddingModel):
                fetched = await get_embedding_model(model, folder, hub, downloader)
            else:
                fetched = await get_model(model, folder, hub, downloader)
            typer.echo(f"{model.folder(folder)} is {'ready' if fetched else 'there already'}.")
