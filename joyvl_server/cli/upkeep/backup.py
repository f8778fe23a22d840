"""`joyvl backup` and `joyvl restore`: all that a server keeps, in one file and back."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from joyvl_server import __version__
from joyvl_server.cli.engine import Config
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.core.errors import ConfigError, StoreError
from joyvl_server.settings import load
from joyvl_server.store.backup.backup import COMPRESSED, BackupReport, make_backup
from joyvl_server.store.backup.restore import check_backup, restore_backup
from joyvl_server.store.secrets import rotation

PREFIX = "joyvl-"
INTERRUPTED = 130
STAMP = "%Y-%m-%dT%H%M%SZ"

DataDir = Annotated[Path | None, typer.Option(help="Folder with the database and files (data_dir).")]


def backup(
    target: Annotated[
        Path, typer.Argument(help="New file, .tar or .tar.gz; or a folder, then the file is named by the time.")
    ],
    without_secrets: Annotated[
        bool,
        typer.Option("--without-secrets", help="Leave out the keys. Passwords that are kept cannot be read without."),
    ] = False,
    compress: Annotated[bool, typer.Option("--compress", help="Into a folder: write .tar.gz instead of .tar.")] = False,
    keep: Annotated[
        int | None, typer.Option(help="Into a folder: afterwards only this many backups stay there, the newest.", min=1)
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Write a backup of the data folder. The server may run, and goes on meanwhile.

    Run it as the user that the server runs as. The file is there whole or not at all. Where the key file does not open
    the stored passwords, it is made all the same, older ones stay, and the exit code is 1.
    """
    with errors_as_exit_codes(), _ended_cleanly(), TransferLine() as line:
        settings = load(config, {"data_dir": data_dir})
        folder = settings.data_dir
        into = target.is_dir()
        if keep is not None and not into:
            raise ConfigError("--keep is for a folder: it removes older backups from it.")
        if compress and not into and not target.name.endswith(COMPRESSED):
            raise ConfigError("--compress is for a folder: name the file .tar.gz and it is compressed.")
        if into:
            suffix = COMPRESSED[0] if compress else ".tar"
            target = target / f"{PREFIX}{time.strftime(STAMP, time.gmtime())}{suffix}"
        report = make_backup(folder, target, __version__, secrets=not without_secrets, told=line.progress)
        line.end()
        _tell(report)
        if settings.secret_key_file is not None:
            typer.echo(f"Not in it: {settings.secret_key_file} (the key of stored passwords: keep it, too).")
        fault = None if without_secrets else rotation.key_fault(folder, settings.secret_key_file)
        if fault is not None:
            rest = " No older backup was removed." if keep else ""
            raise StoreError(
                f"The backup is there, but its key does not open the stored passwords (joyvl secrets check): restored, "
                f"they are lost.{rest} {fault}",
                code="secrets_locked",
            )
        for old in _backups(target.parent)[: -keep if keep else 0]:
            old.unlink(missing_ok=True)
            typer.echo(f"Removed {old}.")


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    check: Annotated[
        bool, typer.Option("--check", help="Only read the backup and compare everything in it; write nothing.")
    ] = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Restore a backup into an empty data folder. No server may use that folder yet.

    Run it as the user that the server runs as.
    """
    with errors_as_exit_codes(), _ended_cleanly(), TransferLine() as line:
        folder = load(config, {"data_dir": data_dir}).data_dir
        if check:
            manifest = check_backup(file, told=line.progress)
            line.end()
            typer.echo(f"{file} is whole: made by joyvl-server {manifest.program} on {manifest.made_at}.")
            return
        manifest = restore_backup(file, folder, told=line.progress)
    typer.echo(f"{folder} is as it was on {manifest.made_at}. Start the server: joyvl serve --data-dir {folder}")
    if not manifest.secrets:
        typer.echo("This backup holds no keys: put secret.key back, or give passwords of cameras and hooks again.")


class TransferLine:
    """How much is done, on a terminal, in one line that changes."""

    def __init__(self) -> None:
        self._percent = -1
        self._shown = sys.stdout.isatty()

    def __enter__(self) -> TransferLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def progress(self, done: int, total: int) -> None:
        percent = 100 * done // total if total else 0
        if self._shown and percent != self._percent:
            self._percent = percent
            typer.echo(f"\r{percent:3d} % of {total / 1e6:,.1f} MB", nl=False)

    def end(self) -> None:
        """Whatever follows begins a line. Idempotent."""
        if self._percent >= 0:
            typer.echo()
            self._percent = -1


def _tell(report: BackupReport) -> None:
    typer.echo(f"{report.path}: {report.bytes / 1e6:,.1f} MB, {report.files} file{'' if report.files == 1 else 's'}.")
    for name, why in report.left_out.items():
        shown = name if name.isprintable() else ascii(name)  # a name may hold anything, words for the terminal too
        typer.echo(f"Not in it: {shown} ({why}).")
    if report.secrets:
        typer.echo("It holds keys and passwords. Keep it where nobody else can read it.")
    else:
        typer.echo("It holds what was seen and said. Keep it where nobody else can read it.")


def _backups(folder: Path) -> list[Path]:
    """Oldest first: the times in the names sort so."""
    found = [path for suffix in (".tar", COMPRESSED[0]) for path in folder.glob(f"{PREFIX}????-??-??T??????Z{suffix}")]
    return sorted(found, key=lambda path: path.name)


@contextmanager
def _ended_cleanly() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does, so that nothing half written is left."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop) if threading.current_thread() is threading.main_thread() else None
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("joyvl: Interrupted; nothing is left of it.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
