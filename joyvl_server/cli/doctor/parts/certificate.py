"""https: which certificate, whose fingerprint, until when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.clock import Clock
from joyvl_server.kit.tls.contexts import FOLDER
from joyvl_server.kit.tls.self_signed import SelfSigned
from joyvl_server.kit.tls.served import SOON_S, ServedCertificate
from joyvl_server.settings import Settings, is_loopback

PHONES = "For phones start the server with --tls self-signed, or put a proxy with TLS in front (docs/security.md)."


class CertificateCheck:
    """See `Check`. Reads only: it makes no certificate."""

    name = "https"
    limit_s = 10.0

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def run(self) -> Iterable[Finding]:
        return [await off_loop(self._look)]

    def _look(self) -> Finding:
        server = self._settings.server
        if server.tls == "off":
            if is_loopback(server.host) or server.trusted_proxies:
                return skipped("https is off in these settings.")
            return warning("https is off: keys go in the clear, and browsers elsewhere give no camera.", PHONES)
        own = SelfSigned(self._settings.data_dir / FOLDER)
        signed = server.tls == "self-signed"
        if signed and not own.certificate.exists():
            return skipped("The next start of the server makes its certificate.")
        certificate, key = (
            (own.certificate, own.key) if signed else (server.tls_cert or own.certificate, server.tls_key)
        )
        try:
            facts = ServedCertificate(certificate, key).facts
        except ConfigError as error:
            return problem(f"https does not work: {error}", "See docs/security.md, HTTPS.")
        until = datetime.fromtimestamp(facts.expires, UTC).date()
        if facts.expires - self._clock.wall() <= SOON_S and not signed:
            return warning(
                f"The certificate {certificate} ends on {until}.", "Renew it; the server reads it by itself."
            )
        kind = "A self-signed certificate" if signed else f"The certificate {certificate}"
        return ok(f"{kind}, until {until}. SHA-256 fingerprint:", facts.fingerprint)
