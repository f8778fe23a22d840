"""Names of topics: safe whatever a camera is called, and apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.core.errors import ConfigError
from joyvl_server.notify.mqtt.sender import MqttSender
from joyvl_server.notify.mqtt.topics import SLUG, Topics, level, prefix_fault, safe_id, slug


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("Front door", "front_door"),
        ("a/b", "a_b"),
        ("#", ""),
        ("+", ""),
        ("a\0b", "a_b"),
        ("  Garage  (left) ", "garage_left"),
        ("后门 2", "后门_2"),
        ("Straße", "strasse"),
        ("x" * 10_000, "x" * SLUG),
        ("$SYS/broker", "sys_broker"),
        ("\ud800", ""),
    ],
)
def test_a_name_is_cleaned(name, cleaned):
    assert slug(name) == cleaned


@given(st.text(max_size=200), st.text(max_size=80))
def test_a_level_is_one_level_without_wildcards(name, ident):
    found = level(name, ident)
    assert found
    assert not set("/#+\0$ ") & set(found)
    assert found.isprintable()
    assert len(found.encode()) < 1000


@given(st.lists(st.tuples(st.text(max_size=50), st.text(max_size=50)), unique_by=lambda pair: pair[1], max_size=10))
def test_two_ids_never_share_a_topic(pairs):
    topics = Topics("joyvl")
    assert len({topics.camera(ident, "One name").status for _, ident in pairs}) == len(pairs)


@given(st.text(min_size=1), st.text(min_size=1))
def test_safe_ids_stay_apart(one, other):
    assert (safe_id(one) == safe_id(other)) == (one == other)


@pytest.mark.parametrize("prefix", ["", "a//b", "/a", "a/", "a/#", "+/a", "$SYS", "a\nb", "x" * 201])
def test_a_prefix_that_is_none(prefix):
    assert prefix_fault(prefix)
    with pytest.raises(ConfigError, match=r"options\.topic: "):
        MqttSender.checked({"host": "broker.lan", "topic": prefix})


@pytest.mark.parametrize("host", ["", "a b", "mqtt://broker", "me@broker", "broker/x", "a\0b"])
def test_a_host_that_is_none(host):
    with pytest.raises(ConfigError, match=r"options\.host: "):
        MqttSender.checked({"host": host})


def test_the_password_is_masked_and_only_goes_where_it_was_meant_to():
    options, words = MqttSender.checked({"host": "broker.lan", "username": "me", "password": "secret words"})
    assert options["password"] == "secret words"
    assert words == ""
    shown = MqttSender.masked(options)
    assert "secret" not in str(shown)
    assert MqttSender.checked({**shown, "snooze_minutes": 5}, options)[0]["password"] == "secret words"
    moved, words = MqttSender.checked({**shown, "host": "elsewhere.lan"}, options)
    assert moved["password"] is None
    assert "dropped" in words
    assert MqttSender.checked({"host": "broker.lan", "password": "***"})[0]["password"] is None


def test_an_unknown_option_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean username"):
        MqttSender.checked({"host": "broker.lan", "user_name": "me"})
