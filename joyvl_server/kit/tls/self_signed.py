"""The certificate that a server makes for itself: kept in a folder, renewed before it ends or when a name is new."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.net.own_names import host_names
from joyvl_server.kit.tls import certificates
from joyvl_server.kit.tls.certificates import CertificateFacts
from joyvl_server.kit.tls.contexts import CERTIFICATE, KEY
from joyvl_server.kit.whole_files import write_whole

log = structlog.get_logger(__name__)

RENEW_S = 30 * 86_400.0
MAX_NAMES = 64
"""Names of earlier networks stay: a laptop that comes home needs no new one. Beyond this the oldest are left out."""


class SelfSigned:
    """`DATA/tls/key.pem`, made once, and `DATA/tls/cert.pem` for it."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / CERTIFICATE
        self.key = folder / KEY
        self._folder = folder

    def ensure(self, names: Iterable[str], now: float) -> bool:
        """See that there is a certificate for all these names that holds for a month from `now` (Unix seconds). True:
        it is a new one. Blocks. Raises `ConfigError` where the folder cannot be written."""
        wanted = list(dict.fromkeys(names))[:MAX_NAMES]
        held = self._held()
        if held is not None and held.begins <= now < held.expires - RENEW_S and set(wanted) <= set(held.names):
            return False
        kept = [] if held is None else [name for name in held.names if name not in wanted]
        self._issue([*wanted, *kept][:MAX_NAMES], now)
        return True

    def renew(self, now: float) -> bool:
        """As `ensure`, for the names that it has."""
        held = self._held()
        return self.ensure(() if held is None else held.names, now)

    def _held(self) -> CertificateFacts | None:
        """What the certificate says; None where there is none, or none that goes with the key."""
        key = certificates.read_key(self.key)
        try:
            found = certificates.read_certificate(self.certificate)
            if key is None or not certificates.belong_together(found, key):
                return None
            return certificates.facts_of(found)
        except ConfigError:
            return None

    def _issue(self, names: list[str], now: float) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            key = certificates.read_key(self.key)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                if self.key.exists():
                    log.warning("the key of the self-signed certificate cannot be read; a new one is made")
                key = certificates.new_key()
                write_whole(self.key, certificates.pem_of_key(key))
            title = " on ".join(["joyvl-server", *host_names()[:1]])
            write_whole(self.certificate, certificates.self_signed(key, names, title, now), mode=0o644)
        except OSError as error:
            raise ConfigError(
                f"The certificate cannot be kept in {self._folder}: {error.strerror}. Check data_dir and who owns it."
            ) from None
