"""The certificate of a running server: read again when its file is another, without losing a connection."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import structlog

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.tls.certificates import CertificateFacts, facts_of, read_certificate
from joyvl_server.kit.tls.contexts import server_context
from joyvl_server.kit.tls.self_signed import SelfSigned

log = structlog.get_logger(__name__)

LOOK_S = 30.0
SOON_S = 14 * 86_400.0

Stamp = tuple[int, int, int]


class ServedCertificate:
    """`context` is for the next connection; those that are open keep theirs. `facts` say what it is.

    Making one blocks and raises `ConfigError` for files that are wrong. `own`: where the server signs it itself.
    """

    def __init__(self, certificate: Path, key: Path | None, own: SelfSigned | None = None) -> None:
        self.own = own
        self._files = tuple(dict.fromkeys((certificate, key or certificate)))
        self._certificate, self._key = certificate, key
        self._stamps = self._look()
        self.context: ssl.SSLContext = server_context(certificate, key)
        self.facts: CertificateFacts = facts_of(read_certificate(certificate))
        self._told = ""
        self._told_end = ""

    async def watch(self, clock: Clock) -> None:
        """Look at the files every `LOOK_S`, until cancelled."""
        while True:
            self._tell_end(clock.wall())
            await clock.sleep(LOOK_S)
            await asyncio.to_thread(self.refresh, clock.wall())

    def refresh(self, now: float) -> bool:
        """Renew it where that is ours, read it again where its files are others. `now`: Unix seconds. Blocks.

        True: the next connection gets another one. Files that are wrong change nothing and are told once.
        """
        try:
            if self.own is not None:
                self.own.renew(now)
            stamps = self._look()
            if stamps == self._stamps:
                return False
            context = server_context(self._certificate, self._key)
            facts = facts_of(read_certificate(self._certificate))
        except ConfigError as error:
            if self._told != str(error):
                self._told = str(error)
                log.error("the new certificate cannot be used; the old one stays", error=self._told)
            return False
        self.context, self.facts, self._stamps, self._told = context, facts, stamps, ""
        log.info("the certificate was read again", fingerprint=facts.fingerprint)
        return True

    def _tell_end(self, now: float) -> None:
        """Once when it will be over soon, once when it is."""
        left = self.facts.expires - now
        state = "over" if left <= 0 else "soon" if left <= SOON_S else ""
        if state == self._told_end:
            return
        self._told_end = state
        if state == "over":
            log.error("the certificate has expired: browsers refuse it; renew server.tls_cert")
        elif state:
            log.warning("the certificate expires soon; renew server.tls_cert", days=round(left / 86_400, 1))
        else:
            log.info("the certificate holds long enough again")

    def _look(self) -> tuple[Stamp | None, ...]:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
