"""`joyvl models get` and `joyvl models list`: what decides, what understands speech, what finds memories by meaning."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx2
import typer

from joyvl_server.cli.engine import Config, DataDir
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.cli.models.progress import PercentLines, TotalProgress
from joyvl_server.core.errors import ConfigError
from joyvl_server.engines.vllm.weights import HUGGING_FACE, MODELSCOPE, SOURCES, WEIGHTS, VllmWeights, find_weights
from joyvl_server.kit.downloads import Downloader, DownloadError
from joyvl_server.kit.hubs import modelscope
from joyvl_server.kit.hubs.hugging_face import HUB, ModelHub
from joyvl_server.kit.hubs.modelscope import ModelScope
from joyvl_server.kit.hubs.snapshot import Hub, SnapshotFetcher
from joyvl_server.kit.masking import mask_url
from joyvl_server.kit.net import http
from joyvl_server.kit.net.redirects import HostToken
from joyvl_server.kit.settings_layers import read_text
from joyvl_server.memory.models import CATALOGUE as EMBEDDERS
from joyvl_server.memory.models import EmbeddingModel, get_embedding_model
from joyvl_server.settings import is_loopback, load
from joyvl_server.speech.models import CATALOGUE, REVISION, SpeechModel, find_model, get_model

MIRROR_VARIABLE = "HF_ENDPOINT"
TOKEN_VARIABLE = "HF_TOKEN"
_TOKEN = re.compile(r"[!-~]{1,500}")
TIMEOUT_S = 60.0
WEIGHTS_TRIES = 40
"""in a row without a byte, with pauses of up to 8 s: a line that is away for minutes is waited for"""

Mirror = Annotated[
    str | None,
    typer.Option(help=f"Address of a mirror of the hub, with the same paths. Also: ${MIRROR_VARIABLE} (Hugging Face)."),
]


@dataclass(frozen=True, slots=True)
class WeightsPlace:
    """Where weights come from and go to. `mirror` and `revision`: None for the source's own; `out`: for the default."""

    source: str
    mirror: str | None
    revision: str | None
    out: Path | None
    check: bool

    @property
    def hub(self) -> str:
        """Address of the hub, or of a mirror of it."""
        if self.source == MODELSCOPE:
            return self.mirror or modelscope.MODELSCOPE
        return self.mirror or os.environ.get(MIRROR_VARIABLE) or HUB


def get(
    names: Annotated[
        list[str], typer.Argument(help="Models that `joyvl models list` names; or OWNER/NAME: weights for vLLM.")
    ],
    config: Config = None,
    data_dir: DataDir = None,
    mirror: Mirror = None,
    source: Annotated[
        str, typer.Option("--from", help="Weights: huggingface or modelscope.", metavar="HUB")
    ] = HUGGING_FACE,
    revision: Annotated[str | None, typer.Option(help="Weights: branch, tag or commit.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Weights: folder for the files, instead of models/NAME in the data folder.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with a token of the hub, or of the mirror, for models that are private or whose terms must be "
            f"accepted. Without it ${TOKEN_VARIABLE}, for the Hugging Face Hub itself only."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Weights that are there: read each file again, and ask the hub for changes.")
    ] = False,
) -> None:
    """Fetch models from those who publish them. If it was interrupted or killed, run it again to go on.

    Each file is checked against the hash that the hub names for it. What is there already is not asked for again.
    """
    with errors_as_exit_codes():
        place = WeightsPlace(source, mirror, revision, out, check)
        weights = [found for name in names if (found := find_weights(name)) is not None]
        _check(place, weights, len(names))
        others = [
            EMBEDDERS.get(name) or find_model(name, (*EMBEDDERS, *WEIGHTS))
            for name in names
            if find_weights(name) is None
        ]
        folder = load(config, {"data_dir": data_dir}).speech_models_dir
        token = read_token(token_file, place)
        try:
            asyncio.run(_get(others, weights, folder, place, token, given=token_file is not None))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except asyncio.CancelledError:
            raise typer.Exit(143) from None


def list_models(config: Config = None, data_dir: DataDir = None) -> None:
    """List the models that can be fetched, and which are there."""
    with errors_as_exit_codes():
        folder = load(config, {"data_dir": data_dir}).speech_models_dir
        models: list[SpeechModel | EmbeddingModel | VllmWeights] = [
            *WEIGHTS.values(), *CATALOGUE.values(), *EMBEDDERS.values()
        ]  # fmt: skip
        for model in models:
            here = "*" if model.is_there(folder) else " "
            typer.echo(f"{here} {model.name:<18} {model.megabytes:>5} MB  {model.licence:<13} {model.about}")
        typer.echo(f"*: it is in {folder}")


def _check(place: WeightsPlace, weights: list[VllmWeights], count: int) -> None:
    """Raises `ConfigError`."""
    if place.source not in SOURCES:
        raise ConfigError(f"--from is {' or '.join(SOURCES)}, not {place.source}.")
    if place.out is not None and (count != 1 or not weights):
        raise ConfigError("--out goes with the name of one model's weights, like joyai.")
    if (place.source != HUGGING_FACE or place.revision or place.check) and len(weights) != count:
        raise ConfigError("--from, --revision and --check go with weights only, like joyai.")


def read_token(file: Path | None, place: WeightsPlace) -> HostToken | None:
    """The token for the hub, and for nobody else. That of the environment is for the Hugging Face Hub: no mirror gets
    it; one that cannot be a token is told on stderr, and not used. Raises `ConfigError`. Never a word of the token."""
    if file is None and (place.hub.rstrip("/") != HUB or not os.environ.get(TOKEN_VARIABLE)):
        return None
    if place.source == MODELSCOPE:
        raise ConfigError("--token-file goes with Hugging Face's paths only: ModelScope is asked without a token.")
    if file is None:
        where, text = TOKEN_VARIABLE, os.environ[TOKEN_VARIABLE]
    else:
        where, text = str(file), read_text(file.expanduser(), " (--token-file)")
    if not _TOKEN.fullmatch(text.strip()):
        why = f"{where} holds no token: that is one line of letters and digits."
        if file is None:  # most models need none
            typer.echo(f"joyvl: {why} It is not used.", err=True)
            return None
        raise ConfigError(why)
    parts = urlsplit(place.hub)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ConfigError(f"{mask_url(place.hub)} would get the token without TLS: name an address with https://.")
    return HostToken.of(place.hub, text.strip())


async def _get(
    models: list[SpeechModel | EmbeddingModel],
    weights: list[VllmWeights],
    folder: Path,
    place: WeightsPlace,
    token: HostToken | None,
    *,
    given: bool,
) -> None:
    """`given`: somebody gave the token for this; otherwise it only stood in the environment, and may be an old one."""
    task = asyncio.current_task()
    if task is not None:  # as the first process of a container nothing else would end it
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with http.client(timeout_s=TIMEOUT_S) as client:
        try:
            await _fetch(client, models, weights, folder, place, token)
        except DownloadError as error:
            if token is None or given or error.code not in ("unauthorized", "forbidden"):
                raise
            if error.code == "forbidden":
                raise DownloadError(f"{error} The token is that of {TOKEN_VARIABLE}.", code=error.code) from None
            refused = f"The hub does not take the token that {TOKEN_VARIABLE} holds: it may be over"
            typer.echo(f"joyvl: {refused}. Trying without it.", err=True)
            try:
                await _fetch(client, models, weights, folder, place, None)
            except DownloadError as again:
                if again.code != "unauthorized":
                    raise
                raise DownloadError(f"{again} {refused}.", code=again.code) from None


async def _fetch(
    client: httpx2.AsyncClient,
    models: list[SpeechModel | EmbeddingModel],
    weights: list[VllmWeights],
    folder: Path,
    place: WeightsPlace,
    token: HostToken | None,
) -> None:
    hub = ModelHub(client, place.hub, token)
    source: Hub = ModelScope(client, place.hub) if place.source == MODELSCOPE else hub
    for model in models:
        typer.echo(f"{model.name}: {model.about} ({model.licence}), from {mask_url(hub.url)}/{model.repository}")
        downloader = Downloader(client, PercentLines(), token=token)
        if isinstance(model, EmbeddingModel):
            fetched = await get_embedding_model(model, folder, hub, downloader)
        else:
            fetched = await get_model(model, folder, hub, downloader)
        typer.echo(f"{model.folder(folder)} is {'ready' if fetched else 'there already'}.")
    for wanted in weights:
        progress = TotalProgress()
        downloader = Downloader(client, progress, WEIGHTS_TRIES, token)
        target = (place.out.expanduser() if place.out else wanted.folder(folder)).absolute()
        await _get_weights(wanted, place, SnapshotFetcher(source, downloader, progress, target), target, folder)


async def _get_weights(
    wanted: VllmWeights, place: WeightsPlace, fetcher: SnapshotFetcher, target: Path, folder: Path
) -> None:
    found = wanted.name in WEIGHTS and target == wanted.folder(folder).absolute()
    use = "engine vllm takes it from there." if found else "set engine.options.vllm.model to it."
    if not place.check and not place.revision and await asyncio.to_thread(wanted.is_in, target):
        typer.echo(f"{target} is there already: {use}")
        return
    repository = wanted.repositories[place.source]
    typer.echo(
        f"{wanted.name}: {wanted.about} ({wanted.licence}), from {mask_url(fetcher.hub.url)}/{repository}, to {target}"
    )
    branch = modelscope.REVISION if place.source == MODELSCOPE else REVISION
    same = wanted.repositories.values()
    fetched = await fetcher.fetch(repository, place.revision or branch, check=place.check, same=same)
    typer.echo(f"{target} is {'ready' if fetched else 'there already'}: {use}")
