"""Where the weights of engine `vllm` are on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from joyvl_server.engines.vllm.options import MODEL
from joyvl_server.engines.vllm.progress import Download
from joyvl_server.engines.vllm.weights import with_places
from joyvl_server.settings import Settings


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """`folder`: where the files are, or should be; None: nowhere on this machine yet. `named`: by its name on the Hub.

    `wanted`: the settings or the caller want this model. `downloading`: a download into the Hub's cache is unfinished.
    """

    name: str
    folder: Path | None
    named: bool = False
    wanted: bool = True
    downloading: bool = False


def model_place(settings: Settings, folder: Path | None, environ: Mapping[str, str] | None = None) -> ModelPlace:
    """`folder`: as the caller names it; else what engine `vllm` would load. Looks at the disk."""
    if folder is not None:
        return ModelPlace(str(folder), folder.expanduser().absolute())
    wanted = settings.engine.name == "vllm"
    given = with_places(settings.engine.options, settings.data_dir, settings.speech_models_dir)["vllm"]
    name = str(given.get("model") or MODEL)
    if name.startswith(("/", "~", ".")):
        return ModelPlace(name, Path(name).expanduser().absolute(), wanted=wanted)
    own = given.get("env")
    variables = {**(os.environ if environ is None else environ), **(own if isinstance(own, Mapping) else {})}
    download = Download(name, variables)
    found = _snapshot(download.folder.parent, str(given.get("revision") or "main"))
    return ModelPlace(name, found, named=True, wanted=wanted, downloading=download.so_far_gb() is not None)


def _snapshot(cache: Path, revision: str) -> Path | None:
    """The folder of a revision in the cache of the Hugging Face Hub."""
    try:
        commit = (cache / "refs" / revision).read_text().strip()
    except OSError:
        commit = revision
    found = cache / "snapshots" / commit
    return found if commit and found.is_dir() else None
