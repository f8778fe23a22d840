"""A TURN server: does it answer, and does it give a relay to who knows its secret?"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Iterable

from aioice.stun import TransactionFailed, TransactionTimeout
from aioice.turn import create_turn_endpoint

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped
from joyvl_server.core.errors import ConfigError

PORT = 3478
SECRET = "TURN_SECRET"
ANSWER_S = 15.0
VALID_S = 600
REFUSED = 401


class TurnCheck:
    """See `Check`. `address`: HOST or HOST:PORT, None where nobody named one. `secret`: the one that coturn has."""

    name = "turn"
    limit_s = ANSWER_S + 10

    def __init__(self, address: str | None, secret: str | None) -> None:
        """Raises `ConfigError` for an address that is none."""
        self._server = None if address is None else _parsed(address)
        self._secret = secret

    async def run(self) -> Iterable[Finding]:
        if self._server is None:
            return [
                skipped(
                    "No TURN server was looked at: the calls of this version use none.",
                    f"To try one: joyvl doctor turn --turn HOST:PORT, with its secret in {SECRET}.",
                )
            ]
        if not self._secret:
            return [
                problem(f"The secret of the TURN server is not in {SECRET}.", "It stands in .env of the compose file.")
            ]
        return [await self._allocate(self._server, self._secret)]

    async def _allocate(self, server: tuple[str, int], secret: str) -> Finding:
        host, port = server
        user, password = credentials(secret, time.time())
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                transport, _ = await create_turn_endpoint(asyncio.DatagramProtocol, server, user, password)
        except TransactionFailed as error:
            number, words = error.response.attributes.get("ERROR-CODE", (0, ""))
            if number == REFUSED:
                return problem(
                    f"The TURN server {host}:{port} refuses this secret.",
                    f"Is {SECRET} the one that it was started with?",
                )
            return problem(f"The TURN server {host}:{port} gives no relay: {number} {words}.", "Look into its log.")
        except (TransactionTimeout, TimeoutError):
            return problem(
                f"The TURN server {host}:{port} does not answer.",
                "Start it (profile turn), and allow UDP to this port.",
            )
        except OSError as error:
            return problem(
                f"The TURN server {host}:{port} cannot be reached: {error.strerror}.", "Check its name and the network."
            )
        relay = transport.get_extra_info("sockname")
        transport.close()
        took = time.monotonic() - began
        return ok(f"The TURN server {host}:{port} gave a relay in {took:.2f} s: {relay[0]}. Calls do not use it yet.")


def credentials(secret: str, now: float) -> tuple[str, str]:
    """User and password that hold for `VALID_S` (draft-uberti-behave-turn-rest, which coturn calls use-auth-secret)."""
    user = f"{int(now) + VALID_S}:doctor"
    digest = hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(digest).decode()


def _parsed(address: str) -> tuple[str, int]:
    host, colon, port = address.removeprefix("turn:").rpartition(":")
    if not colon:
        return port, PORT
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"--turn {address}: write HOST or HOST:PORT.")
    return host.strip("[]"), int(port)
