"""The port of the server: free, or taken, and by whom."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable

from joyvl_server.cli.doctor.machine.listening import holder_of
from joyvl_server.cli.doctor.report import Finding, ok, problem
from joyvl_server.cli.doctor.server import RunningServer
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.settings import Settings


class PortCheck:
    """See `Check`."""

    name = "port"
    limit_s = 15.0

    def __init__(self, settings: Settings, running: RunningServer) -> None:
        self._server = settings.server
        self._running = running

    async def run(self) -> Iterable[Finding]:
        return [await off_loop(self._look)]

    def _look(self) -> Finding:
        host, port = self._server.host.strip("[]"), self._server.port
        try:
            found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError:
            return problem(f"{host} (server.host) is not an address of this machine.", "Use 127.0.0.1 or 0.0.0.0.")
        for family, _, _, _, address in found:
            if (code := bind_error(family, address)) is not None:
                return self._refused(code, host, port)
        return ok(f"Port {port} of {host} is free." if port else "The system chooses a free port (server.port is 0).")

    def _refused(self, code: int, host: str, port: int) -> Finding:
        if code == errno.EADDRINUSE:
            holder = holder_of(port)
            ours = self._running.pid is not None and (
                self._running.url.endswith(f":{port}") if holder is None else holder.pid == self._running.pid
            )
            if ours:
                return ok(f"Port {port} is in use by the joyvl-server of this data folder ({self._running.pid}).")
            who = f"by {holder}" if holder else "by another program, which this user may not see"
            return problem(
                f"Port {port} of {host} is taken {who}.",
                "End that program, or choose another port: joyvl serve --port 8100 (server.port). If it is a "
                "joyvl-server of another data folder, name that folder with --data-dir.",
            )
        if code == errno.EACCES:
            return problem(
                f"Port {port} is reserved for root.",
                "Use a port from 1024 on, with a proxy before it.",
            )
        if code == errno.EADDRNOTAVAIL:
            return problem(
                f"{host} (server.host) is not an address of this machine.", "Use 127.0.0.1, 0.0.0.0 or one of its own."
            )
        return problem(
            f"Port {port} of {host} cannot be opened: {os.strerror(code)}.", "Check server.host, server.port."
        )


def bind_error(family: int, address: tuple[object, ...]) -> int | None:
    """The error number with which a server's socket is refused this address; None where it is not."""
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            trial.bind(address)
            trial.listen(1)
        except OSError as error:
            return error.errno or errno.EINVAL
    return None
