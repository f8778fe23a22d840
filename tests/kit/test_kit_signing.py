"""Signed links: what fits, whose key it is, and how that key is kept."""

from __future__ import annotations

import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from joyvl_server.kit import signing
from joyvl_server.kit.signing import KEY_BYTES, KEY_FILE, UrlSigner

PATH = "/v1/cameras/cam_01jd3q0000000000000000000a/snapshot.jpg"


def signature_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["signature"][0]


def test_a_link_names_path_expiry_and_signature(tmp_path):
    url = UrlSigner(tmp_path).sign(PATH, 1_800_000_000.9)
    assert url.startswith(f"{PATH}?expires=1800000000&signature=")
    assert len(signature_of(url)) == 43
    assert UrlSigner(tmp_path, "https://home.example/").sign(PATH, 1).startswith(f"https://home.example{PATH}?")


def test_only_the_very_same_link_fits(tmp_path):
    signer = UrlSigner(tmp_path)
    good = signature_of(signer.sign(PATH, 100))
    assert signer.fits(PATH, 100, good)
    assert not signer.fits(PATH, 101, good)
    assert not signer.fits(PATH + "x", 100, good)
    assert not signer.fits(PATH, 100, good[:-1] + ("A" if good[-1] != "A" else "B"))
    for wrong in ("", "ä", "\ud800", good[:-1], good + "A"):
        assert not signer.fits(PATH, 100, wrong)


def test_path_and_expiry_cannot_flow_into_each_other(tmp_path):
    signer = UrlSigner(tmp_path)
    assert not signer.fits(f"{PATH}\n1", 23, signature_of(signer.sign(PATH, 123)))


def test_signatures_are_compared_in_constant_time(tmp_path, monkeypatch):
    compared = []
    real = signing.hmac.compare_digest
    monkeypatch.setattr(signing.hmac, "compare_digest", lambda a, b: compared.append(len(a)) or real(a, b))
    UrlSigner(tmp_path).fits(PATH, 1, "A" * 43)
    assert compared == [43]


def test_the_key_lives_in_the_folder_for_the_owner_alone(tmp_path):
    url = UrlSigner(tmp_path).sign(PATH, 100)
    file = tmp_path / KEY_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [KEY_FILE]
    assert UrlSigner(tmp_path).fits(PATH, 100, signature_of(url)), "another start"
    file.chmod(0o644)
    UrlSigner(tmp_path).prepare()
    assert file.stat().st_mode & 0o777 == 0o600
    assert not UrlSigner(tmp_path / "..").fits(PATH, 100, signature_of(url)), "another folder"


@pytest.mark.parametrize("broken", [b"", b"short", b"x" * (KEY_BYTES + 1)])
def test_what_is_no_whole_key_is_replaced(tmp_path, broken):
    (tmp_path / KEY_FILE).write_bytes(broken)
    url = UrlSigner(tmp_path).sign(PATH, 100)
    assert len((tmp_path / KEY_FILE).read_bytes()) == KEY_BYTES
    assert UrlSigner(tmp_path).fits(PATH, 100, signature_of(url))


def test_two_that_make_one_at_once_agree(tmp_path):
    signers = [UrlSigner(tmp_path) for _ in range(8)]
    threads = [threading.Thread(target=signer.prepare) for signer in signers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({signer.sign(PATH, 100) for signer in signers}) == 1


def test_without_a_place_for_the_key_links_work_until_the_end(tmp_path):
    signer = UrlSigner(tmp_path / "missing")
    assert signer.fits(PATH, 100, signature_of(signer.sign(PATH, 100)))
