"""A certificate in files: what is wrong with them is said in words; when they are others they are read again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.tls.certificates import new_key
from joyvl_server.kit.tls.self_signed import SelfSigned
from joyvl_server.kit.tls.served import ServedCertificate

NOW = 1_800_000_000.0
DAY_S = 86_400.0


def made(folder: Path, name: str = "nas", now: float = NOW) -> SelfSigned:
    own = SelfSigned(folder)
    own.ensure([name], now)
    return own


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    own = made(tmp_path / "of_mine")
    return own.certificate, own.key


def wrong(certificate: Path, key: Path | None) -> str:
    with pytest.raises(ConfigError) as caught:
        ServedCertificate(certificate, key)
    return str(caught.value)


def test_key_and_certificate_may_be_one_file(files, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(files[0].read_bytes() + files[1].read_bytes())
    assert ServedCertificate(both, None).facts.names == ("nas",)


def test_what_is_wrong_is_said_in_words(files, tmp_path):
    certificate, key = files
    other = made(tmp_path / "other")
    assert "none.pem cannot be read: No such file" in wrong(tmp_path / "none.pem", key)
    assert "none.pem cannot be read: No such file" in wrong(certificate, tmp_path / "none.pem")
    assert "is not that of the certificate" in wrong(certificate, other.key)
    assert (
        wrong(certificate, None)
        == f"server.tls_cert: {certificate} holds no key; set server.tls_key to the file with the key."
    )
    assert "server.tls_cert: " in wrong(key, key)
    assert "holds no certificate" in wrong(key, key)
    assert wrong(key, certificate).startswith("server.tls_cert and server.tls_key are the wrong way round")
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"\0nothing" * 100)
    assert wrong(certificate, garbage).startswith(f"server.tls_key: {garbage} holds no key")
    assert wrong(garbage, key).startswith(f"server.tls_cert: {garbage} holds no certificate")
    garbage.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert wrong(certificate, garbage) == f"server.tls_key: the key in {garbage} is damaged."
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        new_key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
    )
    assert "has a passphrase" in wrong(certificate, locked)


def replace(files: tuple[Path, Path], by: SelfSigned) -> None:
    for old, new in zip(files, (by.certificate, by.key), strict=True):
        shutil.copy(new, old.with_suffix(".new"))
        os.replace(old.with_suffix(".new"), old)


def test_new_files_are_read_and_the_next_connection_gets_them(files, tmp_path):
    served = ServedCertificate(*files)
    before = served.context
    assert not served.refresh(NOW)
    replace(files, made(tmp_path / "renewed", "nas.example"))
    assert served.refresh(NOW)
    assert served.context is not before
    assert served.facts.names == ("nas.example",)


def test_a_renewed_certificate_behind_a_link_is_seen(files, tmp_path):
    """As ACME clients do it: the file is a link to one with a number."""
    live = tmp_path / "live.pem"
    live.symlink_to(files[0])
    served = ServedCertificate(live, files[1])
    other = made(tmp_path / "renewed")
    shutil.copy(files[1], other.key)
    other.ensure(["nas.example"], NOW)
    live.unlink()
    live.symlink_to(other.certificate)
    assert served.refresh(NOW)
    assert "nas.example" in served.facts.names


def test_wrong_files_change_nothing_and_are_told_once(files, tmp_path):
    served = ServedCertificate(*files)
    before = served.context, served.facts
    other = made(tmp_path / "renewed", "nas.example")
    with structlog.testing.capture_logs() as logs:
        shutil.copy(other.certificate, files[0])  # its key is still to come
        assert not any(served.refresh(NOW) for _ in range(3))
        files[0].unlink()
        assert not any(served.refresh(NOW) for _ in range(3))
        assert (served.context, served.facts) == before
        replace(files, other)
        assert served.refresh(NOW)
    assert [entry["log_level"] for entry in logs] == ["error", "error", "info"]
    assert "is not that of the certificate" in logs[0]["error"]
    assert "No such file" in logs[1]["error"]


def test_a_self_signed_one_is_renewed_while_the_server_runs(tmp_path):
    own = made(tmp_path / "tls")
    served = ServedCertificate(own.certificate, own.key, own)
    assert not served.refresh(served.facts.expires - 31 * DAY_S)
    before = served.facts
    assert served.refresh(served.facts.expires - 29 * DAY_S)
    assert served.facts.expires > before.expires
    assert served.facts.names == before.names


async def test_the_end_of_a_certificate_is_told_once_and_so_is_a_new_one(files, tmp_path):
    from fakes.clock import ManualClock

    served = ServedCertificate(*files)
    clock = ManualClock(wall=served.facts.expires - 13 * DAY_S)
    import asyncio

    with structlog.testing.capture_logs() as logs:
        watching = asyncio.create_task(served.watch(clock))
        await clock.settle()
        told = [entry["event"] for entry in logs]
        assert told == ["the certificate expires soon; renew server.tls_cert"]
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        served._tell_end(served.facts.expires + 1)
        served._tell_end(served.facts.expires + 2)
        replace(files, made(tmp_path / "renewed", now=served.facts.expires))
        assert served.refresh(served.facts.expires)
        served._tell_end(NOW)
    assert [entry["log_level"] for entry in logs] == ["warning", "error", "info", "info"]


@pytest.mark.processes
def test_openssl_reads_it_as_we_mean_it(files):
    said = subprocess.run(
        ["openssl", "x509", "-in", files[0], "-noout", "-fingerprint", "-sha256", "-checkhost", "nas"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    served = ServedCertificate(*files)
    assert served.facts.fingerprint in said
    assert "does match certificate" in said
