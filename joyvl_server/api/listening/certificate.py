"""Which certificate the settings ask for, and what is said about it."""

from __future__ import annotations

from urllib.parse import urlsplit

from joyvl_server.api.http.hosts import LOOPBACK_NAMES, WILDCARDS, is_address, parse_host
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.net.own_names import host_addresses, host_names, is_dns_name
from joyvl_server.kit.tls.contexts import FOLDER
from joyvl_server.kit.tls.self_signed import SelfSigned
from joyvl_server.kit.tls.served import ServedCertificate
from joyvl_server.settings import ServerSettings, Settings
from joyvl_server.store import folder


def find_certificate(settings: Settings, now: float) -> ServedCertificate | None:
    """None without TLS. A self-signed one is made here, at the first start and where a name of the host is new.

    `now`: Unix seconds. Blocks. Raises `ConfigError`.
    """
    server = settings.server
    if server.tls == "off":
        return None
    if server.tls == "files":
        assert server.tls_cert is not None  # the settings see to it
        return ServedCertificate(server.tls_cert, server.tls_key)
    if settings.data_dir.exists() and not settings.data_dir.is_dir():
        raise ConfigError(f"The data folder {settings.data_dir} is a file, not a folder. Check data_dir.")
    try:
        folder.make(settings.data_dir)
    except OSError as error:
        raise ConfigError(
            f"The data folder {settings.data_dir} cannot be used: {error.strerror}. Check data_dir and who owns it."
        ) from None
    own = SelfSigned(settings.data_dir / FOLDER)
    own.ensure(names_of(server), now)
    return ServedCertificate(own.certificate, own.key, own)


def names_of(settings: ServerSettings) -> list[str]:
    """All names and addresses under which somebody may open this server: those of the settings first."""
    asked = [settings.public_url and urlsplit(settings.public_url).hostname, *settings.allowed_hosts, settings.host]
    found = [name for name in map(_bare, asked) if name]
    beyond = [*host_names(), *host_addresses()] if settings.host in WILDCARDS else host_names()
    return list(dict.fromkeys([*found, *beyond, *LOOPBACK_NAMES]))


def told_of_certificate(certificate: ServedCertificate) -> str:
    """For the terminal: what to compare where a browser warns."""
    said = f"SHA-256 fingerprint of its certificate: {certificate.facts.fingerprint}"
    if certificate.own is None:
        return said
    return f"{said}\nIt is self-signed: browsers warn once. Compare the fingerprint there, then go on."


def _bare(entry: str | None) -> str:
    """A name or an address without its port; empty for what a certificate cannot hold."""
    entry = (entry or "").lower().rstrip(".")
    address = entry.removeprefix("[").removesuffix("]")
    if address in WILDCARDS or entry == "*":
        return ""
    if is_address(address):
        return address
    parsed = parse_host(entry)
    name = "" if parsed is None else parsed[0]
    return name if is_address(name) or is_dns_name(name) else ""
