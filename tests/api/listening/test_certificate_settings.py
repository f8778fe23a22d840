"""Which names a certificate is made for, what the settings may say, what is told at the start."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from fakes.server.house import house
from fakes.server.https_site import https_site
from joyvl_server.api.http.hosts import HostPolicy, parse_host
from joyvl_server.api.listening import certificate
from joyvl_server.api.listening.certificate import find_certificate, names_of, told_of_certificate
from joyvl_server.core.errors import ConfigError
from joyvl_server.settings import ServerSettings, Settings, load

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(certificate, "host_names", lambda: ["nas", "nas.local"])
    monkeypatch.setattr(certificate, "host_addresses", lambda: ["192.168.1.5", "2001:db8::5"])
    monkeypatch.setattr("joyvl_server.api.http.hosts.host_names", lambda: ["nas", "nas.local"])


def test_names_are_those_of_the_settings_the_machine_and_loopback():
    listed = ["Cam.lan:8443", "10.0.0.9", "[fd00::6]:9000", "fd00::7", "*", "bad name", "über.lan"]
    settings = ServerSettings(host="0.0.0.0", public_url="https://home.example:8443", allowed_hosts=listed)
    assert names_of(settings) == [
        "home.example", "cam.lan", "10.0.0.9", "fd00::6", "fd00::7",
        "nas", "nas.local", "192.168.1.5", "2001:db8::5", "localhost", "127.0.0.1", "::1",
    ]  # fmt: skip
    assert names_of(ServerSettings()) == ["127.0.0.1", "nas", "nas.local", "localhost", "::1"]


def test_a_server_on_every_address_answers_to_the_names_of_its_certificate():
    everywhere = ServerSettings(host="0.0.0.0", public_url="https://home.example:8443", allowed_hosts=["cam.lan:8443"])
    policy = HostPolicy.of(everywhere)
    for name in names_of(everywhere):
        asked = parse_host(f"[{name}]:8443" if ":" in name else f"{name}:8443")
        assert asked is not None
        assert policy.answers_to(asked), name
    assert not HostPolicy.of(ServerSettings()).answers_to(("nas", 8099))
    assert not policy.answers_to(("nas.evil.example", 8443))


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ({"tls": "files"}, "name the certificate in tls_cert"),
        ({"tls_cert": "/x.pem"}, "tls_cert is given while tls is `off`"),
        ({"tls": "yes"}, "'off', 'self-signed' or 'files'"),
    ],
)
def test_settings_that_do_not_go_together(server, said):
    with pytest.raises(ValidationError, match=said):
        ServerSettings(**server)


def test_off_is_off_in_yaml_too(tmp_path):
    config = tmp_path / "joyvl.yaml"
    config.write_text("server: {tls: off}\n")
    assert load(config, environ={}).server.tls == "off"
    assert load(config, {"server": {"tls": "self-signed"}}, {}).server.tls == "self-signed"
    assert load(environ={"JOYVL_SERVER__TLS": "off", "JOYVL_CA": "x"}).server.tls == "off"


def test_the_folder_is_for_its_owner_alone_also_when_the_certificate_comes_first(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    found = find_certificate(Settings(data_dir=data, server={"tls": "self-signed"}), NOW)
    assert found is not None
    assert data.stat().st_mode & 0o777 == 0o700
    assert find_certificate(Settings(data_dir=data), NOW) is None
    with pytest.raises(ConfigError, match="Check data_dir"):
        find_certificate(Settings(data_dir=data / "tls" / "key.pem", server={"tls": "self-signed"}), NOW)


def test_phones_are_told_what_to_compare(tmp_path):
    settings = Settings(data_dir=tmp_path, server={"tls": "self-signed", "host": "0.0.0.0"})
    found = find_certificate(settings, NOW)
    assert found is not None
    assert found.facts.fingerprint in told_of_certificate(found)
    of_files = {"tls": "files", "tls_cert": tmp_path / "tls/cert.pem", "tls_key": tmp_path / "tls/key.pem"}
    owned = find_certificate(Settings(data_dir=tmp_path, server=of_files), NOW)
    assert owned is not None
    assert "self-signed" not in told_of_certificate(owned)


@pytest.mark.parametrize(
    ("host", "scheme", "sent"),
    [
        ("127.0.0.1", "https", True),
        ("127.0.0.1:443", "https", True),
        ("127.0.0.1:8099", "https", False),  # it would hold for http on all other ports of that name
        ("127.0.0.1", "http", False),
    ],
)
async def test_only_an_own_certificate_on_the_standard_port_is_for_ever(tmp_path, host, scheme, sent):
    async with https_site(tmp_path / "made") as made:
        own = made.certificate.own
        assert own is not None
        files = {"tls": "files", "tls_cert": own.certificate, "tls_key": own.key}
    async with house(tmp_path / "data", server=files) as h:
        answer = await h.client.get(f"{scheme}://{host}/healthz")
        assert ("strict-transport-security" in answer.headers) is sent
    async with house(tmp_path / "other", server={"tls": "self-signed"}) as h:
        assert "strict-transport-security" not in (await h.client.get(f"{scheme}://{host}/healthz")).headers
