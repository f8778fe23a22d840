"""Big files over the network: whole and right, or not there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections import namedtuple

import pytest

from fakes.server.file_server import file_server
from joyvl_server.kit import downloads
from joyvl_server.kit.downloads import Downloader, DownloadError, RemoteFile
from joyvl_server.kit.hubs.hugging_face import ModelHub
from joyvl_server.kit.net.http import client

BODY = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(BODY).hexdigest()
COMMIT = "a" * 40


class Told:
    def __init__(self):
        self.last = (0, 0)

    def progress(self, name, done, total):
        self.last = (done, total)


@pytest.fixture
async def server():
    async with file_server() as files:
        files.files["/voice.onnx"] = BODY
        yield files


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    sleep = asyncio.sleep
    monkeypatch.setattr(downloads.asyncio, "sleep", lambda _: sleep(0))


async def fetch(server, target, *, path="/voice.onnx", size=None, told=None, **hashes):
    async with client() as http:
        file = RemoteFile(server.url + path, size or len(BODY), **(hashes or {"sha256": SHA256}))
        return await Downloader(http, told or Told()).fetch(file, target)


async def test_a_file_is_there_whole_and_its_progress_was_told(server, tmp_path):
    told = Told()
    assert await fetch(server, tmp_path / "voices/voice.onnx", told=told)
    assert (tmp_path / "voices/voice.onnx").read_bytes() == BODY
    assert told.last == (len(BODY), len(BODY))
    assert [p.name for p in (tmp_path / "voices").iterdir()] == ["voice.onnx"]


async def test_what_is_there_is_not_fetched_again(server, tmp_path):
    (tmp_path / "voice.onnx").write_bytes(BODY)
    assert not await fetch(server, tmp_path / "voice.onnx")
    assert server.asked == []


async def test_another_file_of_the_same_size_is_replaced(server, tmp_path):
    (tmp_path / "voice.onnx").write_bytes(b"x" * len(BODY))
    assert await fetch(server, tmp_path / "voice.onnx")
    assert (tmp_path / "voice.onnx").read_bytes() == BODY


async def test_where_the_connection_breaks_it_goes_on(server, tmp_path):
    server.cut_after = [1_000_000, 2_000_000]
    await fetch(server, tmp_path / "voice.onnx")
    assert (tmp_path / "voice.onnx").read_bytes() == BODY
    begins = [int(r.removeprefix("bytes=").rstrip("-") or 0) for _, r in server.asked]
    assert begins == sorted(begins)
    assert begins[-1] > 0


async def test_a_later_call_goes_on_where_the_last_one_broke_off(server, tmp_path):
    (tmp_path / "voice.onnx.part").write_bytes(BODY[:3_000_000])
    await fetch(server, tmp_path / "voice.onnx")
    assert (tmp_path / "voice.onnx").read_bytes() == BODY
    assert server.asked == [("/voice.onnx", "bytes=3000000-")]


@pytest.mark.parametrize("rest", [BODY + b"more", b"other" * 1000])
async def test_a_rest_that_is_none_of_this_file(server, tmp_path, rest):
    (tmp_path / "voice.onnx.part").write_bytes(rest)
    if len(rest) < len(BODY):
        with pytest.raises(DownloadError, match="hash"):
            await fetch(server, tmp_path / "voice.onnx")
    await fetch(server, tmp_path / "voice.onnx")
    assert (tmp_path / "voice.onnx").read_bytes() == BODY


async def test_a_server_without_ranges_sends_it_all_again(server, tmp_path):
    server.ranges = False
    server.cut_after = [1_000_000]
    (tmp_path / "voice.onnx.part").write_bytes(BODY[:3_000_000])
    await fetch(server, tmp_path / "voice.onnx")
    assert (tmp_path / "voice.onnx").read_bytes() == BODY


async def test_a_wrong_file_is_thrown_away_and_the_old_one_stays(server, tmp_path):
    (tmp_path / "voice.onnx").write_bytes(b"old")
    with pytest.raises(DownloadError, match="another one") as told:
        await fetch(server, tmp_path / "voice.onnx", sha256="0" * 64)
    assert told.value.code == "checksum"
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("voice.onnx", b"old")]


async def test_more_than_was_said_is_not_taken(server, tmp_path):
    with pytest.raises(DownloadError, match="more than") as told:
        await fetch(server, tmp_path / "voice.onnx", size=1000)
    assert told.value.code == "checksum"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (401, "unauthorized"), (403, "forbidden"), (400, "refused")]
)
async def test_a_refusal_is_told_at_once(server, tmp_path, status, code):
    server.statuses["/voice.onnx"] = [status]
    with pytest.raises(DownloadError) as told:
        await fetch(server, tmp_path / "voice.onnx")
    assert told.value.code == code
    assert len(server.asked) == 1


async def test_an_overloaded_server_is_asked_again(server, tmp_path):
    server.statuses["/voice.onnx"] = [503, 429]
    await fetch(server, tmp_path / "voice.onnx")
    assert (tmp_path / "voice.onnx").read_bytes() == BODY


async def test_one_that_is_down_is_given_up(server, tmp_path):
    server.statuses["/voice.onnx"] = [503] * 50
    with pytest.raises(DownloadError, match="cannot be reached"):
        await fetch(server, tmp_path / "voice.onnx")
    assert len(server.asked) == downloads.TRIES


async def test_redirects_are_followed_so_far(server, tmp_path):
    server.redirects = {"/a": f"{server.url}/b", "/b": "/voice.onnx", "/loop": "/loop"}
    await fetch(server, tmp_path / "voice.onnx", path="/a")
    assert (tmp_path / "voice.onnx").read_bytes() == BODY
    with pytest.raises(DownloadError, match="redirects 5 times"):
        await fetch(server, tmp_path / "other", path="/loop")
    server.redirects["/out"] = "file:///etc/passwd"
    with pytest.raises(DownloadError, match="without TLS"):
        await fetch(server, tmp_path / "other", path="/out")


async def test_a_full_disk_is_told_before_anything_is_fetched(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(1, 1, len(BODY))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match="MB are needed") as told:
        await fetch(server, tmp_path / "voice.onnx")
    assert told.value.code == "disk_full"
    assert server.asked == []


async def test_two_at_once_do_not_spoil_one_another(server, tmp_path):
    both = await asyncio.gather(*[fetch(server, tmp_path / "voice.onnx") for _ in range(2)], return_exceptions=True)
    assert {type(b) for b in both} <= {bool, DownloadError}
    assert (tmp_path / "voice.onnx").read_bytes() == BODY


def test_what_cannot_be_checked_is_not_fetched():
    with pytest.raises(ValueError, match="no hash"):
        RemoteFile("https://x/y", 5)


# ----------------------------------------------------------------------------------------------------- the hub's index


def blob_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


async def test_the_hubs_own_hashes_are_used(server, tmp_path):
    card = b"a card"
    listed = json.dumps(
        [
            {"type": "directory", "path": "en"},
            {"type": "file", "path": "v/a.onnx", "oid": "b" * 40, "lfs": {"oid": SHA256, "size": len(BODY)}},
            {"type": "file", "path": "v/CARD", "size": len(card), "oid": blob_id(card)},
        ]
    )
    server.files |= {
        "/api/models/o/r/revision/main": b'{"sha":"%s"}' % COMMIT.encode(),
        f"/api/models/o/r/tree/{COMMIT}/v": listed.encode(),
        f"/o/r/resolve/{COMMIT}/v/a.onnx": BODY,
        f"/o/r/resolve/{COMMIT}/v/CARD": card,
    }
    async with client() as http:
        hub = ModelHub(http, server.url)
        commit = await hub.commit("o/r", "main")
        files = await hub.files("o/r", commit, "v")
        assert sorted(files) == ["v/CARD", "v/a.onnx"]
        for name, file in files.items():
            await Downloader(http, Told()).fetch(file, tmp_path / name)
    assert (tmp_path / "v/a.onnx").read_bytes() == BODY
    assert (tmp_path / "v/CARD").read_bytes() == card


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b'[{"type":"file","path":"x"}]', b'[{"type":"file","path":"x","size":3,"oid":"short"}]']
)
async def test_an_index_that_is_none(server, body):
    server.files[f"/api/models/o/r/tree/{COMMIT}"] = body
    async with client() as http:
        with pytest.raises(DownloadError, match="does not list o/r"):
            await ModelHub(http, server.url).files("o/r", COMMIT)
