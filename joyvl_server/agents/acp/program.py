"""The program of an agent: where it is found, what it is given, and how a process of it begins."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from joyvl_server.agents.acp import confine
from joyvl_server.agents.acp.options import AcpOptions
from joyvl_server.agents.acp.presets import PRESETS, Start, added_to
from joyvl_server.agents.base import AgentContext, AgentError
from joyvl_server.kit.child import ChildProcess, Launch
from joyvl_server.kit.clock import wait_until
from joyvl_server.kit.masking import mask_secrets, mask_text
from joyvl_server.kit.net.option_checks import read_key, validated
from joyvl_server.kit.processes import marks

log = structlog.get_logger(__name__)

NICE = 19
SESSION_NICE = 10
"""of its sessions, where the kernel shares the processor out among sessions first (autogroups): the nice value of a
process counts for nothing outside its own one then. A tenth of a busy machine is left for them, so that they end."""
VERSION_S = 10.0
TEMPORARY = ".tmp"
"""in the task's folder, for what the agent throws away"""
_NICENESS = ("--nice", str(NICE), "--session-nice", str(SESSION_NICE))
_VERSION = re.compile(r"v(\d+)\.(\d+)")


class AgentProgram:
    def __init__(self, context: AgentContext) -> None:
        """Raises `ConfigError` for wrong options. Reads the file of a key."""
        where = f"agents.entries.{context.name}.options"
        self.options = validated(AcpOptions, context.options, where)
        self.preset = PRESETS[self.options.preset]
        self.home = context.home
        self.name = context.name
        self._clock = context.clock
        self._checked = False
        model = self.options.model
        self._key = read_key(model.api_key, model.api_key_file, f"{where}.model") if model is not None else ""

    @property
    def confined(self) -> bool:
        """Does the kernel hold where it writes?"""
        return self.options.sandbox == "auto" and confine.version() > 0

    @property
    def sandbox(self) -> str:
        """In words."""
        if self.preset.works_elsewhere:
            return f"None of ours holds what it does. {self.preset.works_elsewhere}"
        if self.confined:
            return (
                "It writes only in its task's folder and in its HOME (Landlock). It can read files and use the network."
            )
        if self.preset.bwrap:
            return "Its own sandbox (bwrap)."
        why = "is turned off" if self.options.sandbox == "none" else "is not in this kernel"
        return f"None: Landlock {why}. It can do what the server's user can, once it is allowed to."

    async def check(self) -> None:
        """Is all there that it takes to start it? Raises `AgentError` (not_installed). Cancelled, nothing runs on."""
        self.command()
        if self._checked:
            return
        if self.preset.bwrap and not self.confined and shutil.which("bwrap", path=self._path()) is None:
            raise AgentError(
                f"{self.preset.name} runs commands in a sandbox of bwrap, which is not installed: "
                "apt-get install bubblewrap.", code="not_installed",
            )  # fmt: skip
        if self.preset.node is not None:
            await self._check_node(self.preset.node)
        self._checked = True

    def about_login(self) -> str:
        """What can be known of its login before a question, a sentence; empty where it is held by others. Raises
        `AgentError` (login) where it surely has none. Blocks."""
        preset, options = self.preset, self.options
        if preset.works_elsewhere or not preset.login:
            return ""
        if options.model is not None:
            return "Its model server was not asked."
        if options.env:
            return "Whether it is logged in is found out with the first question."
        if any(_holds(self.home / file, word) for file, word in preset.login_files):
            return "There is a login in its HOME; whether it is still good is found out with the first question."
        how = f"joyvl agents login {self.name}"
        if preset.needs_login and sys.platform == "linux":  # elsewhere it may lie with the system's own keys
            raise AgentError(f"It was never logged in, and has no key. Log in: {how}.", code="login")
        return f"No login was found in its HOME; if the first question needs one: {how}."

    def new_mark(self) -> str:
        """For one start; see `kit.processes.marks`. Blocks."""
        return marks.new_mark(self.home.parent)

    def launch(self, folder: Path, mark: str) -> Launch:
        """For a process that works in `folder`. Raises `AgentError` (not_installed), `OSError`. Blocks."""
        temporary = folder / TEMPORARY
        for made in (self.home, temporary):
            made.mkdir(parents=True, exist_ok=True, mode=0o700)
        added = added_to(self.preset, Start(self.options, self._key, temporary, self.confined))
        for place in added.writable:
            place.mkdir(exist_ok=True, mode=0o700)
        writable = (folder, self.home, *self.options.writable, *added.writable) if self.confined else ()
        rights = [word for path in writable for word in ("--write", str(path.expanduser().resolve()))]
        files = ("--file-mb", str(self.options.limits.file_mb))
        limited = (sys.executable, "-I", "-S", confine.__file__, *_NICENESS, *files, *rights, "--")
        env = {**self.environment(temporary), **added.env, **self._own_env(), "PATH": self._path()}
        env[marks.VARIABLE] = mark
        return Launch((*limited, *self.command(), *added.args, *self.options.args), env, cwd=folder, own_env=True)

    def environment(self, temporary: Path | None = None) -> Mapping[str, str]:
        """What it gets whoever it is: nothing of the server's own but where programs are, and the language."""
        env = {"PATH": self._path(), "LANG": os.environ.get("LANG", "C.UTF-8"), "HOME": str(self.home.absolute())}
        return env if temporary is None else {**env, "TMPDIR": str(temporary)}

    def masked(self, text: str) -> str:
        """Without the secrets that it was given."""
        return mask_text(mask_secrets(text, (self._key, *self._own_env().values())))

    def _own_env(self) -> dict[str, str]:
        return {name: value.get_secret_value() for name, value in self.options.env.items()}

    def _path(self) -> str:
        folders = [str(folder.expanduser()) for folder in self.options.path]
        return os.pathsep.join([*folders, self._own_env().get("PATH") or os.environ.get("PATH", os.defpath)])

    def command(self) -> tuple[str, ...]:
        """That starts it, where it is found. Raises `AgentError` (not_installed)."""
        command = self.options.command or self.preset.command
        found = shutil.which(command[0], path=self._path())
        if found is None:
            how = f" Install it: {self.preset.install}." if self.preset.install else ""
            raise AgentError(f"The program {command[0]} is not there.{how}", code="not_installed")
        return (found, *command[1:])

    async def _check_node(self, oldest: tuple[int, int]) -> None:
        needed = f"{self.preset.name} needs Node.js {oldest[0]}.{oldest[1]} or newer"
        node = shutil.which("node", path=self._path())
        if node is None:
            raise AgentError(f"{needed}, and there is no node. Name its folder in `path`.", code="not_installed")
        lines: list[str] = []
        child = await ChildProcess.start(
            Launch((node, "--version"), self.environment(), own_env=True), lambda line, _: lines.append(line)
        )
        try:
            await wait_until(self._clock, child.exited, self._clock.monotonic() + VERSION_S)
        finally:
            await child.stop(0.1)
        found = _VERSION.search(" ".join(lines))
        if found is None or (int(found[1]), int(found[2])) < oldest:
            what = f"this one is {found[0]}" if found else "this one does not tell its version"
            raise AgentError(f"{needed}; {what}. Name the folder of a newer one in `path`.", code="not_installed")


def _holds(path: Path, word: str) -> bool:
    try:
        return word in path.read_text(errors="replace")
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class LoginProgram:
    """What `joyvl agents login` runs in a terminal. `env` is all of its environment but what the terminal needs."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def login_command(preset: str) -> list[str]:
    """The command with which the agent of a preset logs in; empty where it has none of its own. Raises `KeyError`."""
    return list(PRESETS[preset].login)  # type: ignore[index]


def login_program(context: AgentContext) -> LoginProgram:
    """The login of an agent of the settings, with its own HOME.

    Raises `ConfigError`, `AgentError` (not_installed; login, where it has none). Makes the HOME; blocks.
    """
    program = AgentProgram(context)
    command = program.preset.login
    if not command:
        raise AgentError("This agent has no login that is known here: give it a key in `env`.", code="login")
    env = dict(program.environment())
    found = shutil.which(command[0], path=env["PATH"])
    if found is None:
        how = f" Install it: {program.preset.install}."
        raise AgentError(f"The program {command[0]} is not there.{how}", code="not_installed")
    program.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return LoginProgram((found, *command[1:]), env)


async def settled(child: ChildProcess, grace_s: float, mark: str) -> None:
    """End it with all that it started, also when its keeper was killed, and when this is cancelled meanwhile."""

    async def stop() -> None:
        await child.stop(grace_s)
        if not await asyncio.to_thread(marks.kill_marked, mark):
            log.warning("processes of an agent could not be killed")

    stopping = asyncio.create_task(stop(), name="end of an agent")
    try:
        await asyncio.shield(stopping)
    except asyncio.CancelledError:
        child.kill()
        await asyncio.wait({stopping})
        raise
