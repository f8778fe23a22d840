"""Questions on the terminal: whether an agent may do what it asks for."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby

import typer

from joyvl_server.agents.base import PermissionRequest
from joyvl_server.agents.visible_text import looks_empty, one_line

YES, NO = ("y", "yes"), ("n", "no")
LONGEST, LONGEST_LINE = 8000, 300
LONGEST_NAME = 60
MANY_EMPTY = 3


class TerminalPermissions:
    """`ask` is an `AskPermission`. `terminal`: its file descriptor; None: there is nobody to ask, all is denied.

    `close` afterwards.
    """

    def __init__(self, timeout_s: float, terminal: int | None = None) -> None:
        self._timeout_s = timeout_s
        self._terminal = sys.stdin.fileno() if terminal is None and _is_terminal() else terminal
        self._asking = asyncio.Lock()
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._reading = False

    async def ask(self, request: PermissionRequest) -> str | None:
        """The option that allows it once, or the one that rejects it; what nobody answers in time is denied."""
        denied = next((option.id for option in request.options if option.kind == "reject_once"), None)
        allowed = next((option for option in request.options if option.kind == "allow_once"), None)
        async with self._asking:
            typer.echo(f"It asks: {one_line(request.title)[:LONGEST_LINE]}", err=True)
            for line in _shown(request.detail[:LONGEST]):
                typer.echo(f"    {line}", err=True)
            if self._terminal is None:
                typer.echo("Denied: there is no terminal to ask on.", err=True)
                return denied
            if allowed is None:
                typer.echo("Denied: it cannot be allowed only once.", err=True)
                return denied
            if len(request.detail) > LONGEST:
                typer.echo(f"Denied: it is too long to be shown, {len(request.detail)} characters.", err=True)
                return denied
            return allowed.id if await self._said_yes(allowed.name) else denied

    async def _said_yes(self, called: str) -> bool:
        """`called`: how the agent names what a yes is."""
        self._read_lines()
        while not self._lines.empty():  # typed before it was asked
            self._lines.get_nowait()
        called = one_line(called)[:LONGEST_NAME]
        if called.casefold() not in ("", "allow", "allow once"):
            typer.echo(f"(A yes allows it. The agent calls that “{called}”.)", err=True)
        typer.echo("Allow this once? y/n ", nl=False, err=True)
        try:
            async with asyncio.timeout(self._timeout_s):
                while (word := (await self._lines.get()).strip().casefold()) not in (*YES, *NO, "\x04"):
                    typer.echo("y or n? ", nl=False, err=True)
        except TimeoutError:
            typer.echo("\nDenied: nobody answered.", err=True)
            return False
        return word in YES

    def _read_lines(self) -> None:
        if not self._reading and self._terminal is not None:
            self._reading = True
            asyncio.get_running_loop().add_reader(self._terminal, self._readable)

    def _readable(self) -> None:
        """A terminal gives one line at a time."""
        assert self._terminal is not None, "read without a terminal"
        try:
            data = os.read(self._terminal, 4096)
        except OSError:  # it was closed
            data = b""
        if not data:
            self.close()
            self._lines.put_nowait("\x04")  # end of file: no more answers
            self._terminal = None
            return
        self._lines.put_nowait(data.decode(errors="replace"))

    def close(self) -> None:
        """Idempotent."""
        if self._reading and self._terminal is not None:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self._terminal)


def _shown(detail: str) -> Iterator[str]:
    """All of it; many lines without anything would push what comes after them out of sight, so they are counted."""
    for empty, run in groupby(detail.splitlines(), looks_empty):
        lines = list(run)
        if empty and len(lines) >= MANY_EMPTY:
            yield f"[{len(lines)} empty lines]"
            continue
        for line in lines:
            yield from textwrap.wrap(one_line(line), LONGEST_LINE, break_on_hyphens=False) or [""]


def _is_terminal() -> bool:
    try:
        return sys.stdin.isatty()
    except (ValueError, AttributeError):  # closed, or none
        return False
