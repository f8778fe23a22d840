"""What hubs list: bounded, and told in words where it is no list."""

from __future__ import annotations

import json

import pytest

from fakes.server.file_server import file_server
from joyvl_server.kit.downloads import DownloadError
from joyvl_server.kit.hubs import listing
from joyvl_server.kit.hubs.hugging_face import ModelHub
from joyvl_server.kit.hubs.modelscope import ModelScope
from joyvl_server.kit.net.http import client
from joyvl_server.kit.net.redirects import HostToken

COMMIT = "a" * 40
TREE = f"/api/models/o/r/tree/{COMMIT}"
ON_MODELSCOPE = "/api/v1/models/o/r/repo/files?Revision=v&Recursive=false"


@pytest.fixture
async def server():
    async with file_server() as files:
        yield files


async def listed(url: str, hub: str, token: str | None = None) -> str:
    """The refusal of a hub, as a user reads it."""
    async with client() as http:
        given = None if token is None else HostToken.of(url, token)
        with pytest.raises(DownloadError) as told:
            await (
                ModelHub(http, url, given).files("o/r", COMMIT)
                if hub == "hub"
                else ModelScope(http, url).snapshot("o/r", "v")
            )
    return str(told.value)


def entries(count: int) -> list[dict]:
    return [{"type": "file", "Type": "blob", "path": f"{n}", "Path": f"{n}", "size": 1, "oid": "b" * 40,
             "Size": 1, "Sha256": "b" * 64} for n in range(count)]  # fmt: skip


@pytest.mark.parametrize("hub", ["hub", "modelscope"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[" + b" " * listing.LARGEST_LISTING + b"]", "with more than 8 MB"),
        (b"[" * 100_000, "does not list o/r as"),
        (b"<html>", "does not list o/r as"),
        (b"null", "does not list o/r as"),
        (b'"text"', "does not list o/r as"),
        (b'{"Data": {"Files": 3}}', "does not list o/r as"),
        (b'{"Code": 500, "Data": {"Files": []}}', "does not list o/r as"),
        (json.dumps({"Data": {"Files": entries(2001)}}).encode(), "more than 2000 files in o/r"),
    ],
)
async def test_what_is_no_list_of_files(server, hub, body, said):
    if hub == "hub" and b"2000" in body:
        body = json.dumps(entries(2001)).encode()
    server.files = {TREE: body, ON_MODELSCOPE: body}
    assert said in await listed(server.url, hub)


async def test_one_that_sends_no_end_is_given_up(server, monkeypatch):
    monkeypatch.setattr(listing, "LONGEST_S", 0.2)
    server.files[TREE] = b" " * 5000
    server.hold_after = 1000
    assert "has not listed o/r at " in await listed(server.url, "hub")


@pytest.mark.parametrize("hub", ["hub", "modelscope"])
async def test_a_listing_elsewhere_is_followed_by_rule(server, hub):
    server.files["/moved"] = b"<html>"
    server.redirects = dict.fromkeys((TREE, ON_MODELSCOPE), "/moved")
    assert "does not list o/r" in await listed(server.url, hub)
    server.redirects = dict.fromkeys((TREE, ON_MODELSCOPE), "http://127.0.0.2:9/moved")
    assert "redirects to an address without TLS" in await listed(server.url, hub)
    server.redirects = dict.fromkeys((TREE, ON_MODELSCOPE), TREE)
    if hub == "hub":
        assert "redirects 5 times" in await listed(server.url, hub)


async def test_what_not_everybody_may_read_is_told_with_what_it_needs(server):
    server.wanted_token = "hf_right"
    said = await listed(server.url, "hub")
    assert "status 401. It is private, its terms must be accepted first, or there is none." in said
    assert "HF_TOKEN, or --token-file" in said
    said = await listed(server.url, "hub", "hf_wrong")
    assert "The token given may not read it" in said
    assert "hf_wrong" not in said


async def test_a_password_in_the_address_of_a_mirror_is_not_told(server):
    url = server.url.replace("://", "://user:planted-secret@")
    assert "planted-secret" not in await listed(url, "hub")
