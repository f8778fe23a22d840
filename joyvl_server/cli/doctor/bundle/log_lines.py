"""Lines of a log without what people said, saw or wrote: only fields that are known to be about the program."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from joyvl_server.cli.doctor.report import Mask

LAST_LINES = 1000
TAIL_BYTES = 2_000_000
KEPT = frozenset(
    {
        "timestamp", "level", "logger", "event", "error", "why", "reason", "code", "exception", "engine", "status",
        "state", "store", "sink", "agent", "hook", "restarts", "waited_s", "seconds", "attempt", "limit", "port",
    }
)  # fmt: skip
"""Fields of our log lines. Others may hold words of people: a question, an answer, the name of a camera."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_OURS = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z? +\[")
_FIELD = re.compile(r"""\s(\w+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)""")
_TRACE = re.compile(r'(?:Traceback \(most recent call last\):|\s+File "[^"]+", line \d+, in \w+)')


def last_lines(path: Path, mask: Mask) -> list[str]:
    """The end of a log file. Blocks. Raises `OSError`."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    return kept_lines(text.splitlines(), mask)


def kept_lines(lines: Iterable[str], mask: Mask) -> list[str]:
    """At most `LAST_LINES` of them; a line says how many others were left out."""
    found: deque[str] = deque(maxlen=LAST_LINES)
    left = 0
    for line in lines:
        kept = _kept(_COLOURS.sub("", line))
        left += kept is None
        if kept is not None:
            found.append(mask.text(kept))
    return [*found, f"({left} lines that are not the server's own were left out)"] if left else list(found)


def _kept(line: str) -> str | None:
    if line.startswith("{"):
        try:
            fields = json.loads(line)
        except ValueError:
            return None
        return json.dumps({name: value for name, value in fields.items() if name in KEPT}, ensure_ascii=False)
    if _OURS.match(line):
        return _FIELD.sub(lambda field: field.group() if field[1] in KEPT else "", line).rstrip()
    return line if _TRACE.fullmatch(line) else None
