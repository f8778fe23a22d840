"""Where redirects may lead, and who sees a token on the way."""

from __future__ import annotations

import httpx2
import pytest

from joyvl_server.kit.net.http import client
from joyvl_server.kit.net.redirects import MOST_REDIRECTS, HostToken, RedirectRefused, get

TOKEN = "hf_planted-token"


class World(httpx2.MockTransport):
    """Hosts without a network: `leads` says where each address redirects to; all others answer with 200."""

    def __init__(self, leads: dict[str, str]) -> None:
        super().__init__(self._answer)
        self.leads = leads
        self.seen: list[tuple[str, str | None]] = []

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        url = str(request.url)
        self.seen.append((url, request.headers.get("authorization")))
        if url in self.leads:
            return httpx2.Response(302, headers={"location": self.leads[url]})
        return httpx2.Response(200)


async def asked(world: World, url: str) -> int:
    async with client(transport=world) as http:
        answer = await get(http, url, {"accept": "x/y"}, HostToken.of(url, TOKEN))
        await answer.aclose()
    return answer.status_code


@pytest.mark.parametrize(
    ("begin", "to", "with_token"),
    [
        ("https://hub.test/a", "/b", True),
        ("https://hub.test/a", "https://hub.test:443/b", True),
        ("https://hub.test/a", "https://HUB.test/b", True),
        ("https://hub.test/a", "https://cdn.hub.test/b", False),
        ("https://hub.test/a", "https://hub.test:8443/b", False),
        ("https://hub.test/a", "//elsewhere.test/b", False),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:8000/b", True),
        ("http://127.0.0.1:8000/a", "http://127.0.0.1:8001/b", False),
        ("http://127.0.0.1:8000/a", "https://hub.test/b", False),
    ],
)
async def test_a_token_is_seen_by_its_own_place_only(begin: str, to: str, with_token: bool):
    world = World({begin: to})
    assert await asked(world, begin) == 200
    (_, first), (_, second) = world.seen
    assert first == f"Bearer {TOKEN}"
    assert second == (f"Bearer {TOKEN}" if with_token else None)


async def test_back_at_its_own_place_it_is_sent_again():
    world = World({"https://hub.test/a": "https://cdn.test/b", "https://cdn.test/b": "https://hub.test/c"})
    assert await asked(world, "https://hub.test/a") == 200
    assert [token is not None for _, token in world.seen] == [True, False, True]


@pytest.mark.parametrize(
    ("begin", "to"),
    [
        ("https://hub.test/a", "http://hub.test/b"),
        ("https://hub.test/a", "file:///etc/passwd"),
        ("https://hub.test/a", "ftp://hub.test/b"),
        ("http://hub.test/a", "http://169.254.169.254/latest"),
        ("http://127.0.0.1/a", "http://127.0.0.2/b"),
        ("http://127.0.0.1/a", "http://[::1/b"),
    ],
)
async def test_where_nobody_should_go(begin: str, to: str):
    world = World({begin: to})
    with pytest.raises(RedirectRefused, match=r"^redirects to "):
        await asked(world, begin)
    assert len(world.seen) == 1


async def test_a_circle_comes_to_an_end():
    world = World({"https://hub.test/a": "/a"})
    with pytest.raises(RedirectRefused, match="redirects 5 times, and again"):
        await asked(world, "https://hub.test/a")
    assert len(world.seen) == MOST_REDIRECTS


def test_a_token_is_not_in_what_is_printed_of_it():
    assert TOKEN not in repr(HostToken.of("https://hub.test", TOKEN))
