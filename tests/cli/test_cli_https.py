"""Commands that talk to a server over https: whom they trust, and what they say when they don't."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

from fakes.patience import PATIENCE_S
from fakes.server.https_site import HttpsSite, https_site
from joyvl_server.cli.main import app


async def run(here: HttpsSite, *args: str, url: str | None = None, **env: str):
    variables = {"JOYVL_URL": url or here.url, "JOYVL_DATA_DIR": "", "JOYVL_CA": "", "JOYVL_CONFIG": "", **env}
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.to_thread(CliRunner().invoke, app, [*args], env=variables)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "of_nobody"))


async def test_on_its_own_machine_a_command_finds_the_certificate(tmp_path):
    async with https_site(tmp_path / "data") as here:
        found = await run(here, "cameras", "list", JOYVL_DATA_DIR=str(tmp_path / "data"))
        assert (found.exit_code, found.output.split()[0]) == (0, "door")
        config = tmp_path / "joyvl.yaml"
        config.write_text(f"data_dir: {tmp_path / 'data'}\n")
        assert (await run(here, "cameras", "list", JOYVL_CONFIG=str(config))).exit_code == 0
        memories = await run(here, "memory", "export", JOYVL_DATA_DIR=str(tmp_path / "data"))
        assert memories.exit_code == 0, memories.output


async def test_elsewhere_a_copy_is_named_and_the_name_still_counts(tmp_path):
    async with https_site(tmp_path / "data") as here:
        copy = tmp_path / "copy.pem"
        copy.write_bytes((tmp_path / "data" / "tls" / "cert.pem").read_bytes())
        assert (await run(here, "cameras", "list", JOYVL_CA=str(copy))).exit_code == 0
        wrong = await run(here, "cameras", "list", url=f"https://127.0.0.2:{here.port}", JOYVL_CA=str(copy))
        assert wrong.exit_code == 1


async def test_whom_it_does_not_know_it_gives_no_key(tmp_path):
    async with https_site(tmp_path / "data") as here:
        refused = await run(here, "cameras", "list", JOYVL_KEY="a-key-of-the-house")
        assert refused.exit_code == 1
        assert "is not trusted: self-signed certificate." in refused.output
        assert "JOYVL_CA" in refused.output
        none = await run(here, "cameras", "list", JOYVL_CA=str(tmp_path / "none.pem"))
        assert none.exit_code == 1
        assert "none.pem holds no certificate: No such file" in none.output


async def test_http_to_a_port_of_https_is_tried_again_on_loopback(tmp_path):
    async with https_site(tmp_path / "data") as here:
        plain = here.url.replace("https", "http")
        added = await run(
            here, "cameras", "add", "yard", "rtsp://127.0.0.1/two", url=plain, JOYVL_DATA_DIR=str(tmp_path / "data")
        )
        assert added.exit_code == 0, added.output
        assert "yard is registered" in added.output
        untrusted = await run(here, "memory", "export", url=plain)
        assert untrusted.exit_code == 1
        assert "is not trusted" in untrusted.output


def test_over_the_network_it_does_not_follow():
    import httpx2

    from joyvl_server.cli.connecting.trust import https_instead

    said = httpx2.Response(400, json={"code": "https_only"})
    assert https_instead("http://127.0.0.1:8099", said) == "https://127.0.0.1:8099"
    assert https_instead("http://localhost:8099", said) == "https://localhost:8099"
    assert https_instead("http://192.168.1.5:8099", said) is None
    assert https_instead("https://127.0.0.1:8099", said) is None
    assert https_instead("http://127.0.0.1:8099", httpx2.Response(400, text="no JSON")) is None
    assert https_instead("http://127.0.0.1:8099", httpx2.Response(200, json={"code": "https_only"})) is None
