"""`joyvl models …`: weights: fetched; made smaller, in a separate Python environment."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from joyvl_server.cli.engine import Config, DataDir, DryRun, Installer, Python, Requirement, build
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.cli.models import get as fetching
from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.engines.vllm import quantize as recipe
from joyvl_server.engines.vllm.install import quantize_environment
from joyvl_server.engines.vllm.options import MODEL
from joyvl_server.settings import load

app = typer.Typer(help="Weights of models: fetch them, make large ones smaller.", no_args_is_help=True)
app.command("get")(fetching.get)
app.command("list")(fetching.list_models)

SCHEMES = {"w4a16": 0.42, "fp8": 0.6}
"""What each leaves of the size of bf16 weights of the 8B model, roughly; for the check of the disk."""


@app.command()
def quantize(
    model: Annotated[str, typer.Argument(help=f"Name on the Hugging Face Hub, like {MODEL}, or a folder.")],
    out: Annotated[Path, typer.Argument(help="Folder for the new weights; it must not exist yet.")],
    scheme: Annotated[str, typer.Option(help="w4a16: 4-bit weights. fp8: 8-bit weights.")] = "w4a16",
    group_size: Annotated[
        int, typer.Option(help="w4a16: number of weights that share a scale; fewer is more exact.")
    ] = 32,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 …")] = "auto",
    config: Config = None,
    data_dir: DataDir = None,
    python: Python = None,
    installer: Installer = "auto",
    requirement: Requirement = None,
    dry_run: DryRun = False,
) -> None:
    """Write weights of 4 or 8 bits for engine `vllm`. The first run makes the environment that this needs."""
    with errors_as_exit_codes():
        source, target = _checked(model, out, scheme, group_size)
        settings = load(config, {"data_dir": data_dir})
        environment = quantize_environment(settings.data_dir, tuple(requirement or ()))
        build(environment, python, installer, dry_run=dry_run)
        unfinished = target.with_name(f"{target.name}.unfinished")
        command = [str(environment.python), "-I", str(Path(recipe.__file__)), source, str(unfinished)]
        command += [scheme, str(group_size), device]
        if dry_run:
            typer.echo(f"Then:\n  {shlex.join(command)}\n  and {unfinished} becomes {target}.")
            return
        _run(command, unfinished, target)
        typer.echo(f"{target} is ready: set engine.options.vllm.model to it.")


def _checked(model: str, out: Path, scheme: str, group_size: int) -> tuple[str, Path]:
    """Model and folder as the script takes them. Raises `ConfigError`."""
    if scheme not in SCHEMES:
        raise ConfigError(f"--scheme is {' or '.join(SCHEMES)}, not {scheme}.")
    if group_size not in (32, 64, 128):
        raise ConfigError(f"--group-size is 32, 64 or 128, not {group_size}.")
    target = out.expanduser().absolute()
    if target.exists():
        raise ConfigError(f"{target} already exists. Name a new folder.")
    folder = Path(model).expanduser()
    if not folder.exists():
        if model.startswith((".", "/", "~")) or model.count("/") != 1:
            raise ConfigError(f"There is no folder {folder}, and a name on the Hub is like owner/name.")
        return model, target
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} holds no model: it needs config.json and *.safetensors.")
    place = next(parent for parent in target.parents if parent.exists())
    needed = int(weights * SCHEMES[scheme])
    if (free := shutil.disk_usage(place).free) < needed:
        raise ConfigError(f"{place} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed.")
    return str(folder.absolute()), target


def _run(command: list[str], unfinished: Path, target: Path) -> None:
    """Run the script; the folder has its name only once all is in it. Raises `JoyvlError`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(unfinished, ignore_errors=True)
    status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    if status == -9:
        raise JoyvlError("Out of memory, most likely: it was killed. A file of weights must fit into memory twice.")
    if status != 0:
        raise JoyvlError(f"The weights could not be made (status {status}); the lines above say why.")
    unfinished.replace(target)
