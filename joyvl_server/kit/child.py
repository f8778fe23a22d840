"""One child process with all that it starts: begun through `leash`, heard line by line, ended within a bound."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from joyvl_server.kit.processes import leash

LEASH = leash.__file__
KILL_S = 2.0
"""How long a killed process may take to be gone."""
LAST_LINES_S = 1.0
"""How long the last lines are waited for, once it has ended."""
STOP_BOUND_S = 2 * KILL_S + LAST_LINES_S
LONGEST_LINE = 500
PIPED = 65_536
"""bytes of each stream that wait here at most, twice over; more wait in the child"""

_LINE_END = re.compile(r"(\r?\n|\r(?!\n|$))")

Hear = Callable[[str, bool], None]
"""A line without its end, and whether the next one is written over it (a progress bar)."""


@dataclass(frozen=True)
class Launch:
    """How to start it this time. `fds` are handed to the child and closed here. `env` is added to ours; with `own_env`
    it is all that the child gets.

    `family`: it may start processes of its own. They are ended with it, also those that made a session of their own,
    and also when we are killed. False spares the small process that sees to that, for a program that starts none.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    fds: tuple[int, ...] = ()
    cwd: Path | None = None
    family: bool = True
    own_env: bool = False

    @property
    def full_argv(self) -> tuple[str, ...]:
        """With what ends it when we die."""
        return (sys.executable, "-I", "-S", LEASH, str(os.getpid()), *["--alone"] * (not self.family), *self.argv)

    @property
    def full_env(self) -> Mapping[str, str] | None:
        """None: ours."""
        if self.own_env:
            return self.env or {}
        return {**os.environ, **self.env} if self.env else None

    def close_fds(self) -> None:
        for fd in self.fds:
            with suppress(OSError):
                os.close(fd)


class Pipes:
    """What a child prints, as streams: `out`, and `err`. Made for one child."""

    def __init__(self) -> None:
        self.out = asyncio.StreamReader(limit=PIPED)
        self.err = asyncio.StreamReader(limit=PIPED)


_P = TypeVar("_P", bound=asyncio.SubprocessProtocol)


class ChildProcess:
    """`exited` is done as soon as the process has ended, with a sentence that says how. Get one from `start`."""

    def __init__(self, transport: asyncio.SubprocessTransport, output: _Output | _PipedOutput, family: bool) -> None:
        self.pid = transport.get_pid()
        self.exited = output.exited
        self._transport = transport
        self._output = output
        self._family = family

    @classmethod
    async def start(cls, launch: Launch, hear: Hear) -> ChildProcess:
        """Raises `OSError`, `ValueError`. Cancelled, it leaves no process behind."""
        loop = asyncio.get_running_loop()
        transport, output = await cls._begin(
            launch, lambda: _Output(loop, hear), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.STDOUT
        )
        return cls(transport, output, launch.family)

    @classmethod
    async def talk(cls, launch: Launch, pipes: Pipes) -> ChildProcess:
        """As `start`, for a child that one talks with: what it prints goes into `pipes`, which hold it back while
        nobody reads; it reads what `write` sends."""
        loop = asyncio.get_running_loop()
        transport, output = await cls._begin(
            launch, lambda: _PipedOutput(loop, pipes), stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        return cls(transport, output, launch.family)

    @staticmethod
    async def _begin(
        launch: Launch, protocol: Callable[[], _P], *, stdin: int, stderr: int
    ) -> tuple[asyncio.SubprocessTransport, _P]:
        loop = asyncio.get_running_loop()
        starting = loop.create_task(
            loop.subprocess_exec(
                protocol, *launch.full_argv, stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=stderr,
                env=launch.full_env, cwd=launch.cwd, pass_fds=launch.fds, start_new_session=True,
            ),
            name=f"start of {launch.argv[0]}",
        )  # fmt: skip
        starting.add_done_callback(lambda _: launch.close_fds())
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_end_unwanted)
            raise

    def write(self, data: bytes) -> None:
        """To its input, as soon as it reads; dropped once it has closed it. Only of one that was begun by `talk`."""
        pipe = cast(asyncio.WriteTransport | None, self._transport.get_pipe_transport(0))
        if pipe is not None and not pipe.is_closing():
            pipe.write(data)

    @property
    def unread(self) -> int:
        """Bytes that were written and that it has not read yet."""
        pipe = cast(asyncio.WriteTransport | None, self._transport.get_pipe_transport(0))
        return 0 if pipe is None else pipe.get_write_buffer_size()

    async def stop(self, timeout_s: float) -> bool:
        """SIGTERM to the process and its group; after `timeout_s` SIGKILL to it and to all that it started.

        Returns within `STOP_BOUND_S` more than `timeout_s`; False where the kernel could not end it by then. Cancelled,
        it kills at once and raises.
        """
        try:
            if not self.exited.done():
                self._signal_group(signal.SIGTERM)
                await asyncio.wait({self.exited}, timeout=timeout_s)
            self.kill()
            if not self.exited.done():
                await asyncio.wait({self.exited}, timeout=KILL_S)
            if not self.exited.done():  # the keeper itself hangs
                self._signal_group(signal.SIGKILL)
                await asyncio.wait({self.exited}, timeout=KILL_S)
            await asyncio.wait({self._output.closed}, timeout=LAST_LINES_S)
        except BaseException:
            self.kill()
            raise
        finally:
            self._transport.close()
        return self.exited.done()

    def kill(self) -> None:
        """SIGKILL to all of it, now. Does not wait."""
        if not self.exited.done():
            leash.kill_all(self.pid)
            if self._family:
                return  # the keeper kills what was begun meanwhile, then ends by itself
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, what: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, what)


def _end_unwanted(starting: asyncio.Task[tuple[asyncio.SubprocessTransport, _P]]) -> None:
    """Whoever asked for it was cancelled meanwhile."""
    if starting.cancelled() or starting.exception() is not None:
        return
    transport = starting.result()[0]
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)  # the command dies with its keeper
    transport.close()


class _Output(asyncio.SubprocessProtocol):
    """Cuts the output into lines. The end of the process is told even while others hold its output open."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hear: Hear) -> None:
        self.exited: asyncio.Future[str] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._hear = hear
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._transport: asyncio.SubprocessTransport | None = None
        self._rest = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        # What ends with a carriage return alone is written over by the next: a progress bar.
        pieces = _LINE_END.split(self._rest + self._decoder.decode(data))
        self._rest = pieces.pop()[-LONGEST_LINE:]
        for line, end in zip(pieces[::2], pieces[1::2], strict=True):
            self._hear(line, end == "\r")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        rest, self._rest = self._rest, ""
        self._hear(rest, False)
        if not self.closed.done():
            self.closed.set_result(None)

    def process_exited(self) -> None:
        code = None if self._transport is None else self._transport.get_returncode()
        if not self.exited.done():
            self.exited.set_result(_how_ended(code))


class _PipedOutput(asyncio.SubprocessProtocol):
    """Hands what it prints on as it comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pipes: Pipes) -> None:
        self.exited: asyncio.Future[str] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._readers = {1: pipes.out, 2: pipes.err}
        self._open = {1, 2}
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        for fd, reader in self._readers.items():
            pipe = self._transport.get_pipe_transport(fd)
            if pipe is not None:
                reader.set_transport(pipe)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._readers[fd].feed_data(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in self._open:
            self._open.remove(fd)
            self._readers[fd].feed_eof()
        if not self._open and not self.closed.done():
            self.closed.set_result(None)

    def process_exited(self) -> None:
        code = None if self._transport is None else self._transport.get_returncode()
        if not self.exited.done():
            self.exited.set_result(_how_ended(code))


def _how_ended(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        with suppress(ValueError):
            return f"it was killed by {signal.Signals(-returncode).name}"
    return f"it ended with status {returncode}"
