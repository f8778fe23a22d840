"""Whose word counts on who calls and how: over real sockets, in front of a server that speaks https itself."""

from __future__ import annotations

import httpx2
import pytest

from fakes.patience import PATIENCE_S
from fakes.server.house import KEY
from fakes.server.https_site import HttpsSite, https_site
from joyvl_server.api.http import auth


def client(here: HttpsSite, **headers: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=here.url, verify=here.trust(), timeout=PATIENCE_S, trust_env=False, headers=headers
    )


async def status(http: httpx2.AsyncClient, forwarded: str) -> int:
    headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": forwarded}
    return (await http.get("/v1/cameras", headers=headers)).status_code


async def test_only_what_the_proxy_itself_added_counts(tmp_path):
    async with https_site(tmp_path, api_keys=[KEY], trusted_proxies=["127.0.0.1", "10.9.0.0/16"]) as here:
        async with client(here) as http:
            for n in range(auth.MAX_FAILURES):
                # What a client has made up stands in front; what proxies of ours add stands behind.
                assert await status(http, f"10.0.0.{n}, 192.0.2.1, 10.9.0.4") == 401
            assert await status(http, "10.0.1.1, 192.0.2.1") == 429
            assert await status(http, "127.0.0.1, 192.0.2.1") == 429
            assert await status(http, "192.0.2.1, 192.0.2.2") == 401


@pytest.mark.parametrize("made_up", ["", ",", "unknown", "[::1", "::1]:x", "1.2.3.4:99999999", "a" * 5000, "\x7f, ;"])
async def test_odd_words_of_a_proxy_break_nothing(tmp_path, made_up):
    async with https_site(tmp_path, api_keys=[KEY], trusted_proxies=["127.0.0.1"]) as here:
        async with client(here) as http:
            assert await status(http, made_up) == 401
            headers = {"Authorization": f"Bearer {KEY}", "X-Forwarded-For": made_up, "X-Forwarded-Proto": made_up}
            assert (await http.get("/v1/cameras", headers=headers)).status_code == 200


@pytest.mark.parametrize(("trusted", "scheme"), [([], "https"), (["10.0.0.0/8"], "https"), (["127.0.0.1"], "http")])
async def test_how_a_page_was_called_is_said_by_a_trusted_proxy_only(tmp_path, trusted, scheme):
    claims = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}
    async with https_site(tmp_path, api_keys=[KEY], trusted_proxies=trusted) as here:
        async with client(here, Authorization=f"Bearer {KEY}", **claims) as http:
            made = await http.post("/v1/signed_urls", json={"path": f"/v1/sessions/{here.session}/snapshot.jpg"})
            assert made.json()["url"].startswith(f"{scheme}://127.0.0.1:{here.port}/"), made.text
            # To a page of http we are another origin, unless the proxy says that this is how it was called.
            origin = {"Origin": here.url.replace("https", "http")}
            answer = await http.get("/v1/cameras", headers=origin)
            assert answer.status_code == (403 if scheme == "https" else 200)


@pytest.mark.parametrize("trusted", ["*", "proxy.lan", "10.0.0.0/99", ""])
def test_proxies_are_named_by_address_only(trusted):
    from pydantic import ValidationError

    from joyvl_server.settings import ServerSettings

    with pytest.raises(ValidationError, match="by its address or network"):
        ServerSettings(trusted_proxies=[trusted])
