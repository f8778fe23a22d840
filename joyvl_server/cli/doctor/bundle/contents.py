"""What goes into a support bundle, file by file."""

from __future__ import annotations

import json
import platform
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import distributions, requires
from pathlib import Path
from typing import Any

import yaml

from joyvl_server import __version__
from joyvl_server.cli.config import shown
from joyvl_server.cli.doctor.machine.card import ask_driver
from joyvl_server.cli.doctor.report import Mask, Report, text_of
from joyvl_server.cli.doctor.server import RunningServer
from joyvl_server.settings import Settings
from joyvl_server.store.folder import MAIN
from joyvl_server.store.sqlite.database_file import read_only
from joyvl_server.store.store import TICKS

COUNT_S = 10.0
STEPS = 100_000
WIDTH = 100
PATHS = {"/version": "version.json", "/readyz": "readyz.json", "/v1/engines": "engines.json", "/metrics": "metrics.txt"}
README = """\
Made by `joyvl support-bundle` of joyvl-server {version}, {when}.

report.txt, report.json   what joyvl doctor found
settings.yaml             the settings, secrets as ***
versions.json             of joyvl-server, Python, the packages it needs, this machine
card.txt                  what nvidia-smi says
version.json, readyz.json, engines.json, metrics.txt
                          what the running server answers, where one runs
counts.json               how many rows each table has, and how large the files are
log.txt                   the last lines of the log, where --log named it; only fields about the program

There are no pictures, no clips, no questions, answers, watches or memories in it, and no names of cameras. Look into
it before you send it: settings.yaml has addresses of your network.
"""


async def files_of(settings: Settings, running: RunningServer, report: Report, mask: Mask) -> dict[str, str]:
    """The files by name, masked, all but the log. Raises nothing for what is missing. Cancelled, it gives up."""
    files = {
        "README.txt": README.format(version=__version__, when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        "report.txt": "\n".join(text_of(finding, WIDTH) for finding in report.findings) + f"\n\n{report.summary()}\n",
        "report.json": _json(report.as_json()),
        "settings.yaml": yaml.safe_dump(shown(settings), sort_keys=False, allow_unicode=True, width=1000),
        "versions.json": _json(versions()),
        "card.txt": (await ask_driver()).output or "nvidia-smi said nothing, or is not there.\n",
        "counts.json": _json(counts(settings.data_dir)),
    }
    if running.pid is not None:
        for path, name in PATHS.items():
            answer = await running.get(path)
            files[name] = answer.text if answer.status else f"{answer.text}\n"
    return {name: mask.text(text) for name, text in files.items()}


def versions() -> dict[str, Any]:
    """Of joyvl-server, of what it is built on, and of the machine."""
    needed = {
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower() for requirement in requires("joyvl-server") or ()
    }
    installed = {one.metadata["Name"].lower(): one.version for one in distributions()}
    return {
        "joyvl-server": __version__,
        "python": sys.version,
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: installed[name] for name in sorted(needed) if name in installed},
    }


def counts(data_dir: Path) -> dict[str, Any]:
    """Rows of each table and sizes of the databases; nothing that stands in them. Reads only. Blocks."""
    found: dict[str, Any] = {}
    for name in (MAIN, TICKS):
        path = data_dir / name
        if path.is_file():
            rows = dict(_rows(path))
            found[name] = {"bytes": path.stat().st_size, "rows": rows}
    return found


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    until = time.monotonic() + COUNT_S
    ended: Callable[[], bool] = lambda: time.monotonic() > until  # noqa: E731
    try:
        with closing(read_only(path, 2.0)) as connection:
            connection.set_progress_handler(ended, STEPS)
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            yield "schema version", connection.execute("PRAGMA user_version").fetchone()[0]
            for (table,) in tables:
                quoted = str(table).replace('"', '""')
                yield table, connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]
    except sqlite3.Error as error:
        yield "not everything was counted", str(error)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
