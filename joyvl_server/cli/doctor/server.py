"""The running server of a data folder: which process it is, and what it answers."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import httpx2

from joyvl_server.cli.doctor.machine.listening import ports_of
from joyvl_server.kit.net.http import client
from joyvl_server.settings import Settings
from joyvl_server.store.folder import LOCK

TIMEOUT_S = 12.0
MOST_BYTES = 4_000_000
HTTPS_ONLY = '"https_only"'
"""the code of the answer to who speaks http with a port for https"""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """`status` 0: nobody answered, and `text` says why."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class RunningServer:
    """`pid`: of the process that has the data folder; None where none has. `url`: where it should answer."""

    pid: int | None
    url: str
    key: str | None = None

    @classmethod
    def find(cls, settings: Settings, key: str | None) -> RunningServer:
        """Looks at the lock of the data folder; takes it from nobody. Blocks shortly."""
        server = settings.server
        host = server.host.strip("[]")
        if host in ("0.0.0.0", "::", ""):
            host = "127.0.0.1"
        pid, port = lock_holder(settings.data_dir), server.port
        # It may have been started with a port of its own.
        listening = ports_of(pid) if pid else []
        if listening and port not in listening:
            port = listening[0]
        shown = f"[{host}]" if ":" in host else host
        secure = server.tls != "off"
        keys = [secret.get_secret_value() for secret in server.api_keys]
        return cls(pid, f"{'https' if secure else 'http'}://{shown}:{port}", key or next(iter(keys), None))

    async def get(self, path: str) -> ServerAnswer:
        """Never raises for what the server does. Cancelled, it gives up."""
        answer = await self._get(self.url + path)
        https_only = answer.status == 400 and HTTPS_ONLY in answer.text
        if https_only and self.url.startswith("http:"):  # it was started with --tls
            return await self._get(f"https{self.url.removeprefix('http')}{path}")
        return answer

    async def _get(self, url: str) -> ServerAnswer:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            # It is an address of this machine, and its certificate may be its own.
            async with client(timeout_s=TIMEOUT_S, verify=False, max_connections=2) as http:
                async with http.stream("GET", url, headers=headers) as answer:
                    body = bytearray()
                    async for piece in answer.aiter_bytes():
                        body += piece
                        if len(body) > MOST_BYTES:
                            break
                return ServerAnswer(answer.status_code, bytes(body[:MOST_BYTES]).decode("utf-8", "replace"))
        except (httpx2.HTTPError, OSError) as error:
            return ServerAnswer(0, f"{self.url} does not answer ({type(error).__name__})")


def lock_holder(folder: Path) -> int | None:
    """The process that has a data folder, 0 where its number cannot be read, None where nobody has it."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # A shared lock is refused while a server has it, and does not keep one from starting for longer than this.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode(errors="replace").strip()
        return int(holder) if holder.isdigit() else 0
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None
