"""The certificate: does it hold, for which names, and until when?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatch
from urllib.parse import urlsplit

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.clock import Clock, SystemClock
from joyvl_server.kit.net.own_names import host_addresses, host_names
from joyvl_server.kit.tls.certificates import CertificateFacts, facts_of, read_certificate
from joyvl_server.kit.tls.contexts import CERTIFICATE, FOLDER, KEY, server_context
from joyvl_server.kit.tls.served import SOON_S
from joyvl_server.settings import Settings, is_loopback

RENEW = "Renew it; the server reads the new file by itself (docs/security.md)."
LISTED = 6


class HttpsCheck:
    """See `Check`."""

    name = "https"
    limit_s = 10.0

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()

    async def run(self) -> Iterable[Finding]:
        return [await off_loop(self._look)]

    def _look(self) -> Finding:
        server = self._settings.server
        if server.tls == "off":
            return self._without()
        if server.tls == "files" and server.tls_cert is not None:
            certificate, key = server.tls_cert, server.tls_key
        else:
            folder = self._settings.data_dir / FOLDER
            certificate, key = folder / CERTIFICATE, folder / KEY
            if not certificate.exists():
                return skipped("The next start makes a self-signed certificate for the names of this machine.")
        try:
            server_context(certificate, key)
            facts = facts_of(read_certificate(certificate))
        except ConfigError as error:
            return problem(str(error), "Name the right files in server.tls_cert and server.tls_key.")
        return self._judged(facts, own=server.tls != "files")

    def _without(self) -> Finding:
        server = self._settings.server
        if is_loopback(server.host):
            return skipped("The server listens on this machine only, so it needs no HTTPS.")
        if server.public_url.startswith("https:"):
            return ok("A proxy before this server brings HTTPS (server.public_url).")
        if server.trusted_proxies:
            return skipped("HTTPS is left to the proxy before this server (server.trusted_proxies).")
        return warning(
            "The page is served without HTTPS: keys go in the clear, and browsers on phones and other machines "
            "give it no camera or microphone.",
            "Start with --tls self-signed, use your own certificate, or put a proxy with HTTPS before it.",
        )

    def _judged(self, facts: CertificateFacts, *, own: bool) -> Finding:
        now, ends = self._clock.wall(), datetime.fromtimestamp(facts.expires, UTC).strftime("%Y-%m-%d")
        if now >= facts.expires:
            return problem(f"The certificate has expired on {ends}: browsers refuse it.", RENEW)
        if now < facts.begins:
            return problem("The certificate does not hold yet: is the clock of this machine right?", "Set the clock.")
        missing = [name for name in self._wanted() if not any(fnmatch(name, known) for known in facts.names)]
        if own:
            if missing:
                return warning(
                    f"The self-signed certificate does not have {', '.join(missing[:LISTED])}.",
                    "Restart the server: it makes one with all names of this machine.",
                )
            return ok(f"Self-signed, until {ends}. Compare what a phone shows: SHA-256 {facts.fingerprint}")
        if facts.expires - now <= SOON_S:
            return warning(f"The certificate expires on {ends}.", RENEW)
        public = urlsplit(self._settings.server.public_url).hostname
        if public in missing:
            return warning(
                f"The certificate is for {', '.join(facts.names[:LISTED])}, and server.public_url says {public}.",
                "Use a certificate for that name, or correct server.public_url.",
            )
        return ok(f"The certificate is for {', '.join(facts.names[:LISTED])} and holds until {ends}.")

    def _wanted(self) -> list[str]:
        """Names and addresses under which people call this server."""
        server = self._settings.server
        public = urlsplit(server.public_url).hostname
        own = [server.host] if is_loopback(server.host) else [*host_names(), *host_addresses()]
        return [*own, *([public] if public else [])]
