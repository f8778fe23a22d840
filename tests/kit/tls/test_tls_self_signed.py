"""The certificate that a server makes for itself: whom it is for, how long it stays the same, what not."""

from __future__ import annotations

import ssl
import stat

import pytest
from cryptography import x509

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import whole_files
from joyvl_server.kit.net import own_names
from joyvl_server.kit.tls.certificates import facts_of, read_certificate
from joyvl_server.kit.tls.contexts import server_context
from joyvl_server.kit.tls.self_signed import MAX_NAMES, SelfSigned

NOW = 1_800_000_000.0
DAY_S = 86_400.0
NAMES = ["nas", "nas.local", "192.168.1.5", "fd00::5"]


@pytest.fixture
def own(tmp_path) -> SelfSigned:
    made = SelfSigned(tmp_path / "data" / "tls")
    assert made.ensure(NAMES, NOW)
    return made


def facts(own: SelfSigned):
    return facts_of(read_certificate(own.certificate))


def test_it_is_for_every_name_and_address_and_its_key_for_nobody_else(own):
    assert set(facts(own).names) == set(NAMES)
    assert stat.S_IMODE(own.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.key.parent.stat().st_mode) == 0o700
    assert len(facts(own).fingerprint.split(":")) == 32
    server_context(own.certificate, own.key)
    assert sorted(path.name for path in own.key.parent.iterdir()) == ["cert.pem", "key.pem"]


def test_who_has_its_key_can_sign_for_no_other_server(own):
    certificate = read_certificate(own.certificate)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.value.ca, basic.critical) == (False, True)
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
    assert days <= 825  # what Apple's systems take


def test_it_stays_the_same_until_a_month_before_its_end_and_its_key_longer(own):
    before, key = facts(own), own.key.read_bytes()
    assert not own.ensure(NAMES, NOW + 700 * DAY_S)
    assert not own.ensure(NAMES[:1], NOW)
    assert not own.renew(before.expires - 31 * DAY_S)
    assert facts(own) == before
    assert own.renew(before.expires - 29 * DAY_S)
    assert set(facts(own).names) == set(NAMES)
    assert facts(own).expires > before.expires + 700 * DAY_S
    assert facts(own).fingerprint != before.fingerprint
    assert own.key.read_bytes() == key


def test_one_of_a_wrong_clock_is_made_again(own):
    assert not own.ensure(NAMES, NOW - 3600)
    assert own.ensure(NAMES, NOW - 3 * DAY_S)  # the clock was ahead when it was made
    assert own.ensure(NAMES, NOW + 9999 * DAY_S)


def test_a_new_name_makes_a_new_one_and_names_of_before_stay(own):
    assert own.ensure(["nas", "10.0.0.7"], NOW)
    assert set(facts(own).names) == {*NAMES, "10.0.0.7"}
    assert not own.ensure(NAMES, NOW)  # home again


def test_names_are_bounded_the_newest_stay(own):
    many = [f"10.0.{n // 200}.{n % 200}" for n in range(MAX_NAMES + 5)]
    assert own.ensure(many, NOW)
    assert set(facts(own).names) == set(many[:MAX_NAMES])
    assert not own.ensure(many, NOW)  # it does not try for ever
    assert own.ensure(["nas"], NOW)
    assert set(facts(own).names) == {"nas", *many[: MAX_NAMES - 1]}


@pytest.mark.parametrize("broken", ["cert.pem", "key.pem"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nx\n", None])
def test_what_is_broken_or_gone_is_made_again(own, broken, content):
    path = own.key.parent / broken
    path.unlink() if content is None else path.write_bytes(content)
    assert own.ensure(NAMES, NOW)
    server_context(own.certificate, own.key)


def test_a_key_of_something_else_is_replaced_together_with_the_certificate(own, tmp_path):
    other = SelfSigned(tmp_path / "other")
    other.ensure(["x"], NOW)
    own.key.write_bytes(other.key.read_bytes())
    assert own.ensure(NAMES, NOW)
    server_context(own.certificate, own.key)


def test_an_end_in_the_middle_leaves_the_old_one(own, monkeypatch):
    before = own.certificate.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_files.os, "replace", full)
    with pytest.raises(ConfigError, match=r"cannot be kept in .*: No space left on device"):
        own.ensure(["new"], NOW)
    assert own.certificate.read_bytes() == before
    assert len(list(own.key.parent.iterdir())) == 2


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path):
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(ConfigError, match="Check data_dir"):
        SelfSigned(tmp_path / "tls").ensure(["nas"], NOW)


# -------------------------------------------------------------------------------------------------- names of the host


@pytest.mark.parametrize(
    ("called", "names"),
    [("NAS", ["nas", "nas.local"]), ("nas.lan.", ["nas.lan"]), ("Büro", []), ("", []), ("-x", []), ("a" * 64, [])],
)
def test_the_machine_is_called_as_multicast_dns_has_it(monkeypatch, called, names):
    monkeypatch.setattr(own_names.socket, "gethostname", lambda: called)
    assert own_names.host_names() == names


def test_addresses_are_those_that_others_can_call_and_that_last(monkeypatch, tmp_path):
    found = ["127.0.0.1", "192.168.1.5", "169.254.3.4", "192.168.1.5", ("2001:db8::9", 0, 0)]
    listed = tmp_path / "if_inet6"
    listed.write_text(
        "20010db8000000000000000000000005 02 40 00 00     eth0\n"
        "20010db80000000000000000000000aa 02 40 00 01     eth0\n"  # temporary
        "20010db80000000000000000000000bb 02 40 00 20     eth0\n"  # deprecated
        "fe800000000000000000000000000005 02 40 20 80     eth0\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n"
    )
    monkeypatch.setattr(own_names, "_of_adapters", lambda: found)
    monkeypatch.setattr(own_names, "IF_INET6", listed)
    assert own_names.host_addresses() == ["192.168.1.5", "2001:db8::5"]
    monkeypatch.setattr(own_names, "IF_INET6", tmp_path / "none")
    assert own_names.host_addresses() == ["192.168.1.5", "2001:db8::9"]
    found.clear()
    assert own_names.host_addresses() == []


def test_a_client_that_trusts_it_checks_names_all_the_same(own):
    from joyvl_server.kit.tls.contexts import client_context

    trusting = client_context([own.certificate])
    assert trusting.check_hostname
    assert trusting.verify_mode == ssl.CERT_REQUIRED
    with pytest.raises(OSError, match="NO_CERTIFICATE"):
        client_context([own.key])
