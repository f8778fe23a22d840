"""Certificates as files: read what one says, make one that signs itself."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from joyvl_server.core.errors import ConfigError

VALID = datetime.timedelta(days=820)
"""Apple's systems refuse certificates that hold for more than 825 days."""
EARLIER = datetime.timedelta(days=1)
"""Clocks of phones may be behind ours."""
MAX_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """`names`: DNS names and addresses it is for, as texts. `begins` and `expires`: Unix seconds. `fingerprint`:
    SHA-256, as browsers show it."""

    names: tuple[str, ...]
    begins: float
    expires: float
    fingerprint: str


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            return x509.load_pem_x509_certificate(file.read(MAX_BYTES))
    except OSError as error:
        raise ConfigError(f"The certificate {path} cannot be read: {error.strerror}.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path} holds no certificate as PEM text (-----BEGIN CERTIFICATE-----).") from None


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        found = []
    digest = certificate.fingerprint(hashes.SHA256())
    begins, expires = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    return CertificateFacts(tuple(found), begins, expires, digest.hex(":").upper())


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def read_key(path: Path) -> PrivateKeyTypes | None:
    """None where there is none that can be read."""
    try:
        return serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None


def pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def belong_together(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    return certificate.public_key() == key.public_key()


def self_signed(key: ec.EllipticCurvePrivateKey, names: Iterable[str], title: str, now: float) -> bytes:
    """A certificate for these DNS names and addresses, as PEM text. `now`: Unix seconds. It may sign no others: who
    takes the key gets no more than this server."""
    begin = datetime.datetime.fromtimestamp(now, datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title[:64])])
    public = key.public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - EARLIER)
        .not_valid_after(begin - EARLIER + VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
