import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import joyvl_server
from joyvl_server.core.errors import NotAllowed
from joyvl_server.core.sealed import SHOWN
from joyvl_server.kit.masking import (
    address_secrets,
    is_masked,
    is_secret_name,
    mask_secrets,
    mask_text,
    mask_url,
    place_of,
    restore_url,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://cam:geheim@host/x", "rtsp://cam:***@host/x"),
        ("rtsp://cam:geheim@host:554/x?y=1#z", "rtsp://cam:***@host:554/x?y=1#z"),
        ("rtsp://cam:a@b@host/x@2", "rtsp://cam:***@host/x@2"),
        ("rtsp://:geheim@host", "rtsp://:***@host"),
        ("rtsp://cam:@host", "rtsp://cam:***@host"),
        ("rtsp://cam:a/b@host/x", "rtsp://cam:***@host/x"),
        ("rtsp://cam:a?b#c@host/x", "rtsp://cam:***@host/x"),
        ("rtsp://cam:geheim@[::1]:554/x", "rtsp://cam:***@[::1]:554/x"),
        ("http://h/v?user=admin&password=geheim&channel=1", "http://h/v?user=admin&password=***&channel=1"),
        ("http://h/v?access_token=geheim", "http://h/v?access_token=***"),
        ("rtsp://h/user=admin&password=geheim&channel=1", "rtsp://h/user=admin&password=***&channel=1"),
        ("rtsp://h/?pwd=geheim", "rtsp://h/?pwd=***"),
        ("http://h/cgi?loginuse=admin&loginpas=geheim", "http://h/cgi?loginuse=admin&loginpas=***"),
        ("rtsp://h/live?usr=admin&psw=geheim", "rtsp://h/live?usr=admin&psw=***"),
        ("http://h/v?userpwd=geheim&x=1", "http://h/v?userpwd=***&x=1"),
        ("rtsp://h/v?jwt=ge.he.im", "rtsp://h/v?jwt=***"),
        ("rtsp://h/v?sid=geheim", "rtsp://h/v?sid=***"),
        ("http://h/v?u=admin&p=geheim", "http://h/v?u=admin&p=***"),
        ("rtsp://h:554/admin:geheim/ch1", "rtsp://h:554/admin:***/ch1"),
        ("rtsp://h/user=admin_password=geheim_channel=1", "rtsp://h/user=admin_password=***"),
        ("rtsp://0a1b2c3d4e5f60718293@h/x", "rtsp://***@h/x"),
        ("rtsp://cam@host/x", "rtsp://cam@host/x"),
        ("rtsp://host/h264:main/ch1?channel=1&subtype=0", "rtsp://host/h264:main/ch1?channel=1&subtype=0"),
        ("rtsp://host/Streaming/Channels/101", "rtsp://host/Streaming/Channels/101"),
        ("rtsp://host:554/lobby@2x", "rtsp://host:554/lobby@2x"),
        ("rtsp://[::1]:554/a@b", "rtsp://[::1]:554/a@b"),
        ("file:///srv/a@b:c.mp4", "file:///srv/a@b:c.mp4"),
        ("rtsp://host/monkey=banana", "rtsp://host/monkey=banana"),
        ("no url", "no url"),
    ],
)
def test_a_url_shows_all_but_its_secrets(url, shown):
    assert mask_url(url) == shown
    assert mask_url(shown) == shown


@given(
    st.text(st.characters(exclude_characters="/?#@:[]\\", exclude_categories=("C", "Z")), min_size=1),
    st.text(st.characters(exclude_characters="/?#", exclude_categories=("C", "Z")), min_size=1),
)
def test_no_password_survives(user, password):
    assert mask_url(f"rtsp://{user}:{password}@host:554/path") == f"rtsp://{user}:***@host:554/path"


def test_every_secret_in_a_text_is_masked():
    text = (
        'rtsp://a:geheim@h/x failed; then "http://b:geheim@h/?token=geheim" (302). '
        "Authorization: Digest geheim\nsent bearer geheim-123 with api_key=geheim"
    )
    masked = mask_text(text)
    assert "geheim" not in masked
    assert masked.startswith('rtsp://a:***@h/x failed; then "http://b:***@h/?token=***" (302). ')


def test_a_digest_is_masked_to_its_end():
    told = 'Authorization: Digest username="cam", realm="x", nonce="1", response="geheim"'
    assert mask_text(f"{told}\nnext") == "Authorization: ***\nnext"


@pytest.mark.parametrize(
    "text",
    [
        "This server asks for an API key: send it as `Authorization: Bearer KEY`.",
        "Key sent as `Authorization: Bearer …`.",
        "Write it like rtsp://USER:PASSWORD@HOST:554/path.",
        "curl -H 'Authorization: Bearer TOKEN' http://h/",
    ],
)
def test_a_placeholder_is_no_secret(text):
    assert mask_text(text) == text


@pytest.mark.parametrize("secret", ["KEYgeheim", "PASSWORD1", "TOKEN-geheim", "KEY.geheim", "key1", "…x"])
def test_what_begins_like_a_placeholder_is_one(secret):
    assert secret not in mask_text(f"Authorization: Bearer {secret}")
    assert secret not in mask_text(f"rtsp://USER:{secret}@h/x")


def test_a_stored_password_is_masked_whatever_it_is():
    assert mask_url("rtsp://USER:PASSWORD@h/x") == "rtsp://USER:***@h/x"


def spoken() -> Iterator[str]:
    """What this package says to people: the words of every error and every problem."""
    for path in Path(joyvl_server.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and re.search(
                r"(?i)problem$|refused$|error$|^not|^no", ast.unparse(node.func)
            ):
                yield from (
                    each.value
                    for each in ast.walk(node)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str) and " " in each.value
                )


def test_our_own_sentences_are_readable():
    sentences = set(spoken())
    assert len(sentences) > 100
    assert [text for text in sentences if mask_text(text) != text and "realm=" not in text] == []


def test_ordinary_text_stays():
    text = "camera door (rtsp://10.0.0.2:554/main) is back after 3 tries, 12 s; see docs, e.g. a@b.example"
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "name", ["api_key", "api_keys", "password", "server.api_keys", "db-password", "TOKEN", "client_secret"]
)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["context_tokens", "monkey", "key", "author", "secretary", "tokens"])
def test_names_that_are_none(name):
    assert not is_secret_name(name)


def test_a_masked_url_that_comes_back_gets_its_secret_again():
    stored = "rtsp://cam:geheim@host:554/a?token=x1"
    assert restore_url(mask_url(stored), stored) == stored
    assert restore_url("rtsp://cam:***@host:554/b", stored) == "rtsp://cam:geheim@host:554/b"
    assert restore_url("rtsp://cam:neu@host/b", stored) == "rtsp://cam:neu@host/b"


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://cam:***@evil:554/a",
        "rtsp://cam:***@host:555/a",
        "http://cam:***@host:554/a",
        "rtsp://bob:***@host:554/a",
        "rtsp://cam:***@host:554/b?token=***",
    ],
)
def test_a_stored_secret_goes_nowhere_else(url):
    with pytest.raises(NotAllowed, match="Write the secret again") as caught:
        restore_url(url, "rtsp://cam:geheim@host:554/a?token=x1")
    assert "geheim" not in str(caught.value)


def test_is_masked():
    assert is_masked("rtsp://cam:***@h/x")
    assert not is_masked("rtsp://cam:x@h/x")
    assert not is_masked("rtsp://h/x")
    assert is_masked("rtsp://***@h/x")
    assert is_masked("rtsp://h/x?sid=***")
    assert not is_masked("file:///srv/***.mp4")


def test_a_long_word_takes_no_longer_than_its_length() -> None:
    """A server may answer anything, and what it says is masked on the event loop."""
    took = []
    for length in (20_000, 200_000):
        began = time.process_time()
        assert mask_text("a" * length) == "a" * length
        took.append(time.process_time() - began)
    assert took[1] < 50 * max(took[0], 0.001)  # ten times the length; squared it would be a hundred times
    assert mask_text("x" * 80 + "rtsp://cam:hunter2@192.168.1.5/1").endswith("rtsp://cam:***@192.168.1.5/1")


def test_given_secrets_are_masked_also_where_they_were_wrapped():
    secrets = ("sk-very-secret-key", "a", "", "short12", "other.(key)")
    assert mask_secrets("a cat: sk-very-secret-key.", secrets) == "a cat: ***."
    assert mask_secrets("key sk-very-\n   secret-key!", secrets) == "key ***!"
    assert mask_secrets("short12 and other.(key)", secrets) == "short12 and ***"
    assert mask_secrets("sk-very-open", secrets) == "sk-very-open"


def test_masking_secrets_takes_no_longer_than_the_text_is_long() -> None:
    took = []
    for length in (5_000, 50_000):
        began = time.process_time()
        mask_secrets("s k " * length + " " * 2 * length, ("s" * 200, " " * 20 + "x"))
        took.append(time.process_time() - began)
    assert took[1] < 50 * max(took[0], 0.001)  # ten times the length; squared it would be a hundred times


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h.example/services/T0/B0/x", "https://h.example/…"),
        ("https://u:p@h.example:8443?tok=x", "https://h.example:8443/…"),
        ("https://u@h.example", "https://h.example"),
        ("https://h.example/", "https://h.example"),
        ("http://[::1]:80/#x", "http://[::1]:80/…"),
        ("rtsp://u:p/q@h.example/x", "rtsp://h.example/…"),
        ("h.example", "h.example"),
    ],
)
def test_where_a_url_leads(url, shown):
    assert place_of(url) == shown


def test_what_of_an_address_may_be_a_secret():
    secrets = address_secrets("https://h.example/services/T00/abcDEF12%2F3?to=somebody&tok=abcdefghijklmnop")
    assert mask_secrets("no abcDEF12/3 and abcdefghijklmnop in services", secrets) == "no *** and *** in services"
    assert mask_secrets("POST /services/T00/abcDEF12%2F3?to=somebody&tok=abcdefghijklmnop", secrets) == "POST ***"
    assert address_secrets("https://h.example") == []


def test_an_address_that_cannot_be_opened_is_shown_in_words_and_comes_back_as_it_was():
    sealed = "enc:v1:00000000:AAAA"
    assert mask_url(sealed) == SHOWN
    assert "enc:" not in SHOWN
    assert restore_url(SHOWN, sealed) == sealed
    assert restore_url("rtsp://h/x", sealed) == "rtsp://h/x"
