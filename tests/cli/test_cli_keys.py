"""`joyvl keys`: on the data folder, before the first start, while a server has it, and after."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.server.house import house
from joyvl_server.api.listening.started import told_at_start
from joyvl_server.cli.main import app
from joyvl_server.settings import Settings
from joyvl_server.store.folder import DataFolder, tell_start


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["keys", *words, "--data-dir", str(folder)])
    return result.exit_code, result.stdout, result.stderr


def test_a_key_is_printed_once_and_listed_without_its_text(tmp_path):
    code, out, told = run(tmp_path, "add", "ann", "--role", "operator", "--expires", "30d")
    assert code == 0
    assert re.fullmatch(r"jvl_[\w-]{43}\n", out)  # alone, for scripts
    assert "not shown again" in told
    assert f"data folder {tmp_path}" in told  # a key for another folder would open nothing
    code, out, _ = run(tmp_path, "list")
    assert re.match(r"ann +operator +never used; until 20\d\d-", out)
    assert "jvl_" not in out
    (shown,) = json.loads(run(tmp_path, "list", "--json")[1])
    assert (shown["name"], shown["role"], shown["cameras"]) == ("ann", "operator", [])
    assert run(tmp_path, "remove", "ann")[:2] == (0, "ann is removed.\n")
    assert run(tmp_path, "list")[1].startswith("No key yet")
    assert run(tmp_path, "remove", "ann")[0] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--role", "root"), "choose one of ingest, viewer, operator, admin"),
        (("--expires", "soon"), "write 12h, 30d, 8w"),
        (("--expires", "2020-01-01"), "write 12h, 30d, 8w"),
        (("--camera", "door"), "there is no such camera"),
        (("--role", "admin", "--camera", "door"), "leave --camera out"),
        (("--role", "ingest", "--camera", ""), "--camera needs the name of a camera"),
        (("--role", "ingest", "--camera", " "), "--camera needs the name of a camera"),
        (("--role", "ingest", "--camera", "demo", "--camera", "demo"), "--camera demo: it is given twice"),
    ],
)
def test_what_is_no_key(tmp_path, words, said):
    code, out, told = run(tmp_path, "add", "ann", *words)
    assert (code, out) == (2, "")
    assert said in told
    run(tmp_path, "add", "bob")
    assert run(tmp_path, "list")[1].startswith("bob ")
    assert "ann" not in run(tmp_path, "list")[1]


@pytest.mark.parametrize("words", [("list",), ("remove", "ann"), ("link",), ("logins",)])
def test_a_folder_that_is_none_of_a_server_is_told_and_stays_as_it_is(tmp_path, words):
    code, out, told = run(tmp_path / "mistyped", *words)
    assert (code, out) == (1, "")
    assert "mistyped is not there" in told
    assert not (tmp_path / "mistyped").exists()
    code, _, told = run(tmp_path, *words)
    assert code == 1
    assert "holds no data of joyvl-server" in told
    assert list(tmp_path.iterdir()) == []


@contextmanager
def running(folder: Path, **flags: object) -> Iterator[None]:
    """A folder that a server has which was started with flags."""
    held = DataFolder.open(folder)
    try:
        tell_start(folder, told_at_start(Settings(data_dir=folder, server=flags), 8771))
        yield
    finally:
        held.close()


@pytest.mark.parametrize(
    ("flags", "begins"),
    [
        ({}, "http://127.0.0.1:8771/#/login?code="),
        ({"tls": "self-signed", "host": "::1"}, "https://[::1]:8771/#/login?code="),
        ({"tls": "self-signed", "public_url": "https://home.example"}, "https://home.example/#/login?code="),
    ],
)
def test_a_link_leads_to_the_server_as_it_was_started(tmp_path, flags, begins):
    run(tmp_path, "add", "ann")
    with running(tmp_path, **flags):
        assert run(tmp_path, "link")[1].startswith(begins)
    assert run(tmp_path, "link")[1].startswith("http://127.0.0.1:8099/#/login?code=")


def test_a_link_to_a_server_on_all_addresses_is_one_that_others_can_open(tmp_path):
    run(tmp_path, "add", "ann")
    with running(tmp_path, host="0.0.0.0"):
        link = run(tmp_path, "link")[1]
    assert link.startswith("http://")
    assert ":8771/#/login?code=" in link
    assert "0.0.0.0" not in link


@pytest.mark.parametrize(
    "url", ["foo", "192.168.1.5:8099", "ftp://home.example", "https://", "http://x:y", "http://a b"]
)
def test_a_link_that_would_lead_nowhere_is_none(tmp_path, url):
    run(tmp_path, "add", "ann")
    code, out, told = run(tmp_path, "link", "--url", url)
    assert (code, out) == (2, "")
    assert f"{url} is no address. Write one like http://127.0.0.1:8099 or https://" in told
    assert run(tmp_path, "link", "--url", "https://home.example/")[1].startswith("https://home.example/#/login?code=")


async def test_keys_and_links_made_while_the_server_runs_open_it(tmp_path):
    async with house(tmp_path, wall=time.time(), server={"auth": "on"}) as h:
        _, key, _ = run(tmp_path, "add", "ann", "--role", "admin")
        bearer = {"Authorization": f"Bearer {key.strip()}"}
        h.client.headers.update(bearer)
        camera = await h.camera("door")
        _, bound, _ = run(tmp_path, "add", "bob", "--camera", "door")
        me = (await h.client.get("/v1/me", headers={"Authorization": f"Bearer {bound.strip()}"})).json()
        # A key that is not known is looked for at most twice a second.
        if "code" in me:
            await h.clock.advance(3.0)
            me = (await h.client.get("/v1/me", headers={"Authorization": f"Bearer {bound.strip()}"})).json()
        assert (me["name"], me["role"], me["cameras"]) == ("bob", "viewer", [camera["id"]])
        assert "; for door  (key_" in run(tmp_path, "list")[1]
        _, link, _ = run(tmp_path, "link", "--url", "https://home.example/")
        assert link.startswith("https://home.example/#/login?code=")
        answer = await h.client.post("/v1/login", json={"code": link.strip().partition("=")[2]})
        assert answer.json()["role"] == "admin"
        assert run(tmp_path, "add", "ann")[0] == 1  # the name is in use


async def test_browsers_are_listed_and_one_is_signed_out_while_the_server_runs(tmp_path):
    async with house(tmp_path, wall=time.time(), server={"auth": "on"}) as h:
        _, key, _ = run(tmp_path, "add", "ann")
        await h.clock.advance(1.0)
        await h.client.post("/v1/login", json={"key": key.strip()})
        kept, told = dict(h.client.cookies), run(tmp_path, "logins")[1]
        assert re.match(r"login_[0-9a-f]{12} +ann +from 127.0.0.1, 20\d\d-.*; last used 20", told)
        (shown,) = json.loads(run(tmp_path, "logins", "--json")[1])
        assert not any(value in json.dumps(shown) for value in kept.values())
        assert run(tmp_path, "logins", "--end", "login_x")[0] == 1
        assert run(tmp_path, "logins", "--end", shown["id"])[:2] == (0, f"{shown['id']} is signed out.\n")
        assert run(tmp_path, "logins")[1] == "No browser is signed in.\n"

        async def status() -> int:
            await h.clock.advance(3.0)
            return int((await h.client.get("/v1/me")).status_code)

        for _ in range(20):
            if await status() == 401:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the browser is still signed in")
