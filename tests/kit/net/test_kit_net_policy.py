import json
import os
import pickle
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.core.errors import ConfigError, NotAllowed, SourceError
from joyvl_server.kit.net.addresses import parse_rule
from joyvl_server.kit.net.policy import NetPolicy

DNS = {
    "cam.lan": ["192.168.1.20"],
    "two.lan": ["fe80::1", "192.168.1.21"],
    "metadata.example": ["169.254.169.254"],
    "rebound.example": ["8.8.8.8", "169.254.169.254"],
    "six.lan": ["fd12::5"],
}


def resolve(host):
    if host not in DNS:
        raise socket.gaierror(socket.EAI_NONAME, "not known")
    return DNS[host]


def check(url, **rules):
    return NetPolicy(**rules).check(url, resolve=resolve)


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("rtsp://192.168.1.20/x", "rtsp://192.168.1.20/x"),
        ("rtsp://127.0.0.1:8554/x", "rtsp://127.0.0.1:8554/x"),
        ("rtsp://[::1]:8554/x", "rtsp://[::1]:8554/x"),
        ("rtsp://[fd12::5]/x", "rtsp://[fd12::5]/x"),
        ("rtsp://8.8.8.8/x", "rtsp://8.8.8.8/x"),
        ("rtsp://u:p%40x@cam.lan:554/a/b?c=d", "rtsp://u:p%40x@192.168.1.20:554/a/b?c=d"),
        ("RTSP://CAM.lan./x", "rtsp://192.168.1.20/x"),
        ("rtsp://six.lan/x", "rtsp://[fd12::5]/x"),
        # a camera that also announces a link-local address is reached at the other one
        ("rtsp://two.lan/x", "rtsp://192.168.1.21/x"),
    ],
)
def test_cameras_are_reached_at_the_checked_address(url, checked):
    assert check(url).url == checked


def test_what_is_shown_holds_no_password():
    target = check("rtsp://u:geheim@cam.lan/x")
    assert target.display == "rtsp://u:***@cam.lan/x"
    assert "geheim" not in repr(target)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.1.1",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "0.0.0.0",
        "0.1.2.3",
        "[::]",
        "224.0.0.1",
        "239.255.255.250",
        "[ff02::1]",
        "255.255.255.255",
        "[::ffff:169.254.169.254]",
        "[::ffff:0.0.0.0]",
        "[::169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::169.254.169.254]",
        "[64:ff9b:1:a9fe:a9:fe00::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:a9fe:a9fe::1]",
        "metadata.example",
    ],
)
def test_what_no_camera_is_at_is_refused(host):
    with pytest.raises(NotAllowed, match=r"(metadata|link-local|multicast|broadcast|unspecified)"):
        check(f"rtsp://{host}/x")
    with pytest.raises(NotAllowed):
        check(f"rtsp://{host}/x", allow=("0.0.0.0/0", "::/0", "metadata.example"))


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0"])
def test_odd_spellings_of_an_address_hide_nothing(host):
    with pytest.raises(NotAllowed):
        NetPolicy().check(f"rtsp://{host}/x")


@given(st.integers(0, 2**32 - 1))
def test_an_embedded_address_is_judged_like_itself(number):
    def verdict(host):
        try:
            check(f"rtsp://{host}/")
        except NotAllowed as error:
            return str(error).partition(" is ")[2]
        return None

    plain = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    for prefix in ("::ffff:", "64:ff9b::"):
        assert verdict(f"[{prefix}{plain}]") == verdict(plain)


def test_an_exact_allow_opens_what_is_built_in_as_refused():
    assert check("rtsp://169.254.7.7/x", allow=("169.254.0.0/16",)).url
    assert check("rtsp://169.254.7.7/x", allow=("169.254.7.7",)).url
    assert check("rtsp://169.254.169.254/x", allow=("169.254.169.254",)).url
    with pytest.raises(NotAllowed, match="metadata"):
        check("rtsp://169.254.169.254/x", allow=("169.254.0.0/16",))
    with pytest.raises(NotAllowed, match="link-local"):
        check("rtsp://169.254.7.7/x", allow=("169.0.0.0/8",))


def test_the_more_exact_rule_wins():
    only_mine = {"deny": ("0.0.0.0/0", "::/0"), "allow": ("192.168.1.0/24",)}
    assert check("rtsp://192.168.1.20/x", **only_mine).url
    assert check("rtsp://cam.lan/x", **only_mine).url
    with pytest.raises(NotAllowed, match=r"net\.deny"):
        check("rtsp://192.168.2.20/x", **only_mine)
    with pytest.raises(NotAllowed, match=r"net\.deny"):
        check("rtsp://192.168.1.20/x", allow=("192.168.1.0/24",), deny=("192.168.1.20",))
    with pytest.raises(NotAllowed, match=r"net\.deny"):
        check("rtsp://192.168.1.20/x", allow=("192.168.1.0/24",), deny=("192.168.1.0/24",))


def test_rules_about_names():
    with pytest.raises(NotAllowed, match=r"cam\.lan"):
        check("rtsp://cam.lan/x", deny=("*.lan",))
    with pytest.raises(NotAllowed, match=r"cam\.lan"):
        check("rtsp://CAM.LAN./x", deny=("Cam.Lan",))
    assert check("rtsp://cam.lan/x", deny=("*.lan",), allow=("cam.lan",)).url
    assert check("rtsp://cam.lan/x", deny=("192.168.0.0/16",), allow=("cam.lan",)).url
    with pytest.raises(NotAllowed):
        check("rtsp://two.lan/x", deny=("192.168.0.0/16",), allow=("cam.lan",))


def test_an_address_that_cannot_be_pinned_must_be_allowed_in_every_form():
    with pytest.raises(NotAllowed, match="metadata"):
        check("http://rebound.example/x", schemes=("http",))
    assert check("http://cam.lan/x", schemes=("http",)).url == "http://cam.lan/x"
    assert check("rtsp://rebound.example/x").url == "rtsp://8.8.8.8/x"


def test_the_name_is_looked_up_again_each_time():
    answers = iter([["192.168.1.20"], ["169.254.169.254"]])
    policy = NetPolicy()
    assert policy.check("rtsp://cam.lan/x", resolve=lambda host: next(answers)).url == "rtsp://192.168.1.20/x"
    with pytest.raises(NotAllowed):
        policy.check("rtsp://cam.lan/x", resolve=lambda host: next(answers))


def test_a_name_without_address_is_not_refused_for_ever():
    with pytest.raises(SourceError, match=r"nowhere\.lan") as caught:
        check("rtsp://nowhere.lan/x")
    assert caught.value.code == "unreachable"
    with pytest.raises(SourceError, match="no address"):
        check(f"rtsp://{'a' * 80}.lan/x", allow=())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rtsp",
        "rtsp:cam.lan/x",
        "//cam.lan/x",
        "rtsp:///x",
        "rtsp://:554/x",
        "rtsp://cam.lan:99999/x",
        "rtsp://cam.lan:abc/x",
        "rtsp://[::1/x",
        "rtsp://cam.lan/a b",
        "rtsp://cam.lan/a\nb",
        "rtsp://cam.lan\\@evil/x",
        "rtsp://cam.lan/\x00",
        "rtsp://u:pa/ss@cam.lan/x",
        "rtsp://" + "a" * 3000,
        "rtsp://" + "a." * 200 + "lan/",
    ],
)
def test_what_is_no_url(url):
    with pytest.raises(NotAllowed) as caught:
        check(url)
    assert caught.value.code == "bad_url"
    assert "pa/ss" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://cam.lan/x", "concat://a", "ftp://x/y", "data://x"])
def test_other_schemes(url):
    with pytest.raises(NotAllowed, match="rtsp, file"):
        check(url)


def test_files_come_from_their_folders_only(tmp_path):
    media, outside = tmp_path / "media", tmp_path / "secret"
    media.mkdir()
    outside.mkdir()
    clip, secret = media / "a clip%.mp4", outside / "passwd"
    clip.write_bytes(b"x")
    secret.write_bytes(b"x")
    (media / "way-out").symlink_to(secret)
    (media / "inside").symlink_to(clip)
    (media / "folder-out").symlink_to(outside)
    (tmp_path / "media-not").mkdir()
    (tmp_path / "media-not" / "x.mp4").write_bytes(b"x")
    roots = {"file_roots": (str(media),)}

    target = check(clip.as_uri(), **roots)
    assert (target.path, target.url) == (clip, clip.as_uri())
    assert check(f"file://localhost{media}/inside", **roots).path == clip
    for path in ("way-out", "folder-out/passwd", "../secret/passwd", "../media-not/x.mp4", "%2e%2e/secret/passwd"):
        with pytest.raises(NotAllowed, match="outside the folders"):
            check(f"file://{media}/{path}", **roots)
    # whether it exists elsewhere is nobody's business
    with pytest.raises(NotAllowed, match="outside the folders"):
        check(f"file://{outside}/no-such-file", **roots)
    with pytest.raises(NotAllowed, match="outside the folders"):
        check(clip.as_uri())


def test_files_that_cannot_be_played(tmp_path):
    roots = {"file_roots": (str(tmp_path),)}
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAllowed, match="not a file"):
        check(f"file://{tmp_path}/pipe", **roots)
    with pytest.raises(NotAllowed, match="not a file"):
        check(f"file://{tmp_path}", **roots)
    with pytest.raises(SourceError, match="No such file") as caught:
        check(f"file://{tmp_path}/later.mp4", **roots)
    assert caught.value.code == "not_found"
    for url in ("file://relative.mp4", "file://otherhost/x.mp4", f"file://{tmp_path}/a?b", "file:///a%00b"):
        with pytest.raises(NotAllowed) as refused:
            check(url, **roots)
        assert refused.value.code == "bad_url"


def test_the_policy_travels_to_workers():
    policy = NetPolicy(("rtsp",), ("10.0.0.0/8",), ("*.lan",), ("/srv",))
    assert NetPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy


@pytest.mark.parametrize("rule", ["10.0.0.0/99", "1.2.3", "a b", "", "http://x", "*", "cam.lan/24", "256.1.1.1"])
def test_a_rule_that_says_nothing_is_refused(rule):
    with pytest.raises(ConfigError, match="neither a network"):
        NetPolicy(allow=(rule,))


def test_rules_are_read_leniently():
    assert str(parse_rule(" 192.168.1.7/24 ")) == "192.168.1.0/24"
    assert parse_rule("Cam.Lan.") == "cam.lan"
