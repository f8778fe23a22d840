"""Keys and the table of failed ones."""

from __future__ import annotations

import base64

import pytest

from fakes.clock import ManualClock
from joyvl_server.api.http import auth
from joyvl_server.api.http.auth import ApiKeys, FailedKeyLimiter, bearer, bearer_of_subprotocols


def test_keys_are_known_by_digest_only():
    keys = ApiKeys(["one", "two"])
    assert keys
    assert not ApiKeys([])
    assert not ApiKeys([""])
    assert keys.check("one") != keys.check("two")
    assert keys.check("one") is not None
    for wrong in ("", "One", "one ", "onetwo", "\ud800"):
        assert keys.check(wrong) is None
    assert "one" not in repr(vars(keys))


def test_every_key_is_compared_even_after_a_match(monkeypatch):
    compared = []
    real = auth.hmac.compare_digest
    monkeypatch.setattr(auth.hmac, "compare_digest", lambda a, b: compared.append(len(a)) or real(a, b))
    ApiKeys(["a", "b", "c"]).check("a")
    assert compared == [64, 64, 64], "SHA-256 in hex"


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer k", "k"),
        ("BEARER  k ", "k"),
        ("Basic k", None),
        ("k", None),
    ],
)
def test_bearer(header, key):
    assert bearer(header) == key


@pytest.mark.parametrize("key", ["k", "kä§", "a-much-longer-key-with-~._-in-it"])
def test_a_key_survives_the_subprotocol(key):
    encoded = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    assert bearer_of_subprotocols(["joyvl.v1", f"joyvl.bearer.{encoded}"]) == key


def test_subprotocols_without_a_key():
    assert bearer_of_subprotocols([]) is None
    assert bearer_of_subprotocols(["joyvl.v1"]) is None
    assert bearer_of_subprotocols(["joyvl.bearer._w"]) is None


def test_an_address_is_blocked_for_the_rest_of_its_minute():
    clock = ManualClock()
    failed = FailedKeyLimiter(clock)
    for _ in range(auth.MAX_FAILURES - 1):
        failed.add("10.0.0.1")
    assert failed.blocked_for("10.0.0.1") == 0
    failed.add("10.0.0.1")
    assert failed.blocked_for("10.0.0.1") == auth.WINDOW_S
    assert failed.blocked_for("10.0.0.2") == 0


async def test_the_count_starts_anew_after_a_minute():
    clock = ManualClock()
    failed = FailedKeyLimiter(clock)
    for _ in range(auth.MAX_FAILURES):
        failed.add("10.0.0.1")
    await clock.advance(auth.WINDOW_S)
    assert failed.blocked_for("10.0.0.1") == 0
    failed.add("10.0.0.1")
    assert failed.blocked_for("10.0.0.1") == 0


def test_one_ipv6_customer_is_one_address_and_a_mapped_one_is_ipv4():
    failed = FailedKeyLimiter(ManualClock())
    for n in range(auth.MAX_FAILURES):
        failed.add(f"2001:db8:1:2::{n}")
        failed.add("::ffff:10.0.0.1")
    assert failed.blocked_for("2001:db8:1:2:ffff::1") > 0
    assert failed.blocked_for("2001:db8:1:3::1") == 0
    assert failed.blocked_for("::ffff:10.0.0.2") == 0


def test_the_table_is_bounded(monkeypatch):
    monkeypatch.setattr(auth, "MAX_ADDRESSES", 10)
    failed = FailedKeyLimiter(ManualClock())
    for n in range(100):
        failed.add(f"10.0.0.{n}")
    failed.add("no address")
    assert len(failed) == 10
