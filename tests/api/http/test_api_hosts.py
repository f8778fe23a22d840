"""Host and Origin rules as values."""

from __future__ import annotations

import pytest

from joyvl_server.api.http.hosts import HostPolicy, OriginPolicy, parse_host, same_origin
from joyvl_server.settings import ServerSettings


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("localhost", ("localhost", None)),
        ("LocalHost:8099", ("localhost", 8099)),
        ("my.host.", ("my.host", None)),
        ("[::1]:80", ("::1", 80)),
        ("[fe80::1]", ("fe80::1", None)),
        ("", None),
        (":80", None),
        ("a:", None),
        ("a:b", None),
        ("a:70000", None),
        ("a,b", None),
        ("a/b", None),
        ("u@a", None),
        ("a b", None),
        ("[::1", None),
    ],
)
def test_parse_host(value, parsed):
    assert parse_host(value) == parsed


def answers(asked: str, **settings: object) -> bool:
    parsed = parse_host(asked)
    assert parsed is not None
    return HostPolicy.of(ServerSettings(**settings)).answers_to(parsed)


def test_names_hold_with_any_port_and_pairs_with_theirs():
    listed = ["joyvl.lan", "cam.lan:8443", "fd00::5", "[fd00::6]:9000"]
    assert answers("joyvl.lan", allowed_hosts=listed)
    assert answers("JOYVL.lan:1234", allowed_hosts=listed)
    assert answers("cam.lan:8443", allowed_hosts=listed)
    assert not answers("cam.lan:80", allowed_hosts=listed)
    assert not answers("cam.lan", allowed_hosts=listed)
    assert answers("[fd00::5]:1", allowed_hosts=listed)
    assert answers("[fd00::6]:9000", allowed_hosts=listed)
    assert not answers("[fd00::6]:9001", allowed_hosts=listed)
    assert not answers("sub.joyvl.lan", allowed_hosts=listed)


def test_the_listening_address_is_a_name_of_ours():
    assert answers("192.168.1.5:8099", host="192.168.1.5")
    assert not answers("192.168.1.6:8099", host="192.168.1.5")
    assert answers("[fd00::7]", host="fd00::7")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_on_every_address_any_literal_will_do_but_no_name(host):
    assert answers("10.1.2.3:8099", host=host)
    assert answers("[2001:db8::1]", host=host)
    assert not answers("evil.example", host=host)
    assert not answers("10.1.2.3.evil.example", host=host)


def test_a_star_answers_to_all():
    assert answers("evil.example", allowed_hosts=["*"])


@pytest.mark.parametrize(
    ("origin", "host", "secure", "same"),
    [
        ("http://localhost:8099", "localhost:8099", False, True),
        ("http://LOCALHOST:8099", "localhost:8099", False, True),
        ("http://localhost", "localhost", False, True),
        ("http://localhost:80", "localhost", False, True),
        ("https://my.host", "my.host", False, True),  # behind a proxy that ends TLS
        ("https://my.host:443", "my.host", True, True),
        ("http://my.host", "my.host", True, False),
        ("http://localhost:8098", "localhost:8099", False, False),
        ("https://localhost", "localhost:8099", False, False),
        ("http://127.0.0.1:8099", "localhost:8099", False, False),
        ("null", "localhost", False, False),
        ("", "localhost", False, False),
        ("file://localhost", "localhost", False, False),
        ("http://localhost:x", "localhost", False, False),
        ("chrome-extension://localhost", "localhost", False, False),
    ],
)
def test_same_origin(origin, host, secure, same):
    parsed = parse_host(host)
    assert parsed is not None
    assert same_origin(origin, parsed, secure=secure) is same


def test_listed_origins():
    policy = OriginPolicy.of(ServerSettings(allowed_origins=["https://my.page"]))
    assert policy.is_listed("https://my.page")
    assert policy.is_listed("https://MY.page")
    assert not policy.is_listed("http://my.page")
    assert not policy.is_listed("https://my.page.evil")
