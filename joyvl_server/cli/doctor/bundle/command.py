"""`joyvl support-bundle`"""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
import time
from pathlib import Path
from typing import Annotated

import typer

from joyvl_server.cli.doctor.command import DataDir, Key, run_checks
from joyvl_server.cli.engine import Config
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import logs


def support_bundle(
    file: Annotated[Path, typer.Argument(help="File to write, like joyvl-support.tar.gz; it must not exist yet.")],
    config: Config = None,
    data_dir: DataDir = None,
    log: Annotated[Path | None, typer.Option(help="Log file of the server; its last lines go in.")] = None,
    key: Key = None,
) -> None:
    """Write what helpers need to see into one file: settings, versions, joyvl doctor, the running server's state.

    Secrets are masked. No picture, no clip and no words of people are in it. Only you can read the file.
    """
    from joyvl_server.cli.doctor.bundle.contents import files_of
    from joyvl_server.cli.doctor.bundle.log_lines import last_lines
    from joyvl_server.cli.doctor.checks import Patient, all_checks

    logs.configure("error", "auto")
    with errors_as_exit_codes():
        target = _opened(file)
        patient = Patient.find(config, data_dir, key)
        lines = None
        try:
            lines = None if log is None else last_lines(log, patient.mask)
        except OSError as error:
            _discard(file, target)
            raise ConfigError(f"The log {log} cannot be read: {error.strerror}.") from None
        typer.echo("Looking at everything; this takes up to a minute.", err=True)
        try:
            report = run_checks(all_checks(patient), patient.mask, quiet=True)
            files = asyncio.run(files_of(patient.settings, patient.running, report, patient.mask))
            if lines is not None:
                files["log.txt"] = "\n".join(lines) + "\n"
            with os.fdopen(target, "wb") as out:
                _write(files, out)
        except OSError as error:
            file.unlink(missing_ok=True)
            raise ConfigError(f"{file} cannot be written: {error.strerror}.") from None
        except BaseException:
            file.unlink(missing_ok=True)
            raise
    typer.echo(f"{file} is written: {', '.join(files)}. {report.summary()}")
    typer.echo("Look into it before you send it: it has the addresses of your network, but no secrets.")


def _opened(file: Path) -> int:
    """A descriptor of a new file for its owner alone. Raises `ConfigError`."""
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{file} exists already. Name a new file.") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from None


def _discard(file: Path, descriptor: int) -> None:
    os.close(descriptor)
    file.unlink(missing_ok=True)


def _write(files: dict[str, str], out: io.BufferedWriter) -> None:
    """Raises `OSError`."""
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            data = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"joyvl-support/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
