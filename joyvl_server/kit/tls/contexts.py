"""TLS contexts of both sides: of the server with its certificate, of a client that trusts one more certificate."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from pathlib import Path

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.tls.certificates import read_key

FOLDER, CERTIFICATE, KEY = "tls", "cert.pem", "key.pem"
"""Where in the data folder a self-signed certificate is."""


MOST_BYTES = 1_048_576
_BEGIN = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*?(CERTIFICATE|PRIVATE KEY)-----")


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and newer, HTTP/1.1 inside. `key` None: it is in the certificate's file. Blocks.

    Raises `ConfigError` with a sentence; never asks for a passphrase on the terminal.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    file = key or certificate
    try:
        for path in dict.fromkeys((certificate, file)):
            path.open("rb").close()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}. Check server.tls_cert and server.tls_key."
        ) from None
    asked: list[str] = []

    def passphrase() -> str:
        asked.append(file.name)
        return ""

    try:
        context.load_cert_chain(certificate, key, passphrase)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(_why(error, certificate, file, bool(asked))) from None
    return context


def _why(error: Exception, certificate: Path, key: Path, encrypted: bool) -> str:
    reason = getattr(error, "reason", None)
    if encrypted:
        return f"server.tls_key: the key in {key} has a passphrase; write it without: openssl pkey -in {key} -out FILE"
    if reason == "KEY_VALUES_MISMATCH":
        return f"server.tls_key: the key in {key} is not that of the certificate in {certificate}."
    if reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return f"server.tls_cert: the certificate in {certificate} is too weak: at least RSA of 2048 bits and SHA-256."
    in_first, in_second = (_kinds(path) for path in (certificate, key))
    if "CERTIFICATE" not in in_first:
        if "PRIVATE KEY" in in_first and "CERTIFICATE" in in_second and key != certificate:
            return f"server.tls_cert and server.tls_key are the wrong way round: {certificate} holds the key."
        return f"server.tls_cert: {certificate} holds no certificate as PEM text (-----BEGIN CERTIFICATE-----)."
    if "PRIVATE KEY" not in in_second:
        if key == certificate:
            return f"server.tls_cert: {certificate} holds no key; set server.tls_key to the file with the key."
        return f"server.tls_key: {key} holds no key as PEM text (-----BEGIN PRIVATE KEY-----)."
    if key != certificate and read_key(key) is None:
        return f"server.tls_key: the key in {key} is damaged."
    return f"server.tls_cert: {certificate} and {key} hold no certificate with its key as PEM text."


def _kinds(path: Path) -> set[str]:
    """What a PEM file says that it holds: CERTIFICATE, PRIVATE KEY. Nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            begun = _BEGIN.findall(file.read(MOST_BYTES))
    except OSError:
        return set()
    return {kind.decode() for kind in begun}


def client_context(trusted: Iterable[Path]) -> ssl.SSLContext:
    """What the system trusts, and the certificates of these files. Names are checked all the same. Blocks.

    Raises `OSError` (also `ssl.SSLError`) for a file that holds none.
    """
    context = ssl.create_default_context()
    # A certificate that signs itself and no others is trusted as it is.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for path in trusted:
        context.load_verify_locations(path)
    return context
