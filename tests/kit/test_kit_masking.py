import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.core.errors import NotAllowed
from joyvl_server.kit.masking import is_masked, is_secret_name, mask_text, mask_url, restore_url


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
        ("rtsp://cam@host/x", "rtsp://cam@host/x"),
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
