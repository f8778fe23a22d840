"""The running server of a data folder: which process it is, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2

from joyvl_server.cli.doctor.machine.listening import ports_of
from joyvl_server.kit.net.http import client
from joyvl_server.settings import Settings
from joyvl_server.store.folder import holder_of

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
        holder, port = holder_of(settings.data_dir), server.port
        pid = None if holder is None else holder.pid
        # While it starts it has not told its port yet.
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
