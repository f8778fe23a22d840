"""What a hub answers when it is asked what there is: bounded in bytes and in time, and what it refuses in words."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import httpx2

from joyvl_server.kit.downloads import CODES, DownloadError, words_of
from joyvl_server.kit.masking import mask_url
from joyvl_server.kit.net.redirects import HostToken, RedirectRefused, get

LARGEST_LISTING = 8_000_000
"""Bytes. The 2,000 files that are looked at most have some 600,000."""
LONGEST_S = 120.0
MAX_FILES = 2000


class HubListings:
    """`like`: what the hub is said to be. `instead`: what to try where it cannot be reached. `client`: of
    `kit.net.http`, which the caller closes. `token`: goes to the hub's own address, whatever that redirects to."""

    def __init__(
        self, client: httpx2.AsyncClient, url: str, like: str, instead: str, token: HostToken | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.shown = mask_url(self.url)
        self.token = token
        self._client = client
        self._like = like
        self._instead = instead

    async def read(self, path: str, what: str) -> object:
        """The JSON at `path`; None for what is no JSON. `what` it is of, in words. Raises `DownloadError`. Cancelled,
        it gives up."""
        try:
            async with asyncio.timeout(LONGEST_S):
                status, body = await self._answer(path)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DownloadError(
                f"{self.shown} cannot be reached: {words_of(error)}. Is this machine online? {self._instead}"
            ) from None
        except RedirectRefused as error:
            raise DownloadError(f"{self.shown} {error}.", code="refused") from None
        except TimeoutError:
            raise DownloadError(f"{self.shown} has not listed {what} within {LONGEST_S:g} s.") from None
        if status == 404:
            raise DownloadError(f"{self.shown} has no {what}.", code="not_found")
        if status in CODES:
            raise DownloadError(f"{self.shown} refuses to list {what}: {self._refused(status)}", code=CODES[status])
        if status != 200:
            raise DownloadError(f"{self.shown} refuses to list {what}: status {status}.", code="refused")
        if body is None:
            raise DownloadError(
                f"{self.shown} lists {what} with more than {LARGEST_LISTING / 1e6:g} MB: that is no list of files.",
                code="refused",
            )
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    def checked(self, listed: object, repository: str) -> list[object]:
        """The listing of `repository`, where it is one. Raises `DownloadError`."""
        if not isinstance(listed, list):
            raise self.garbage(repository)
        if len(listed) > MAX_FILES:
            raise DownloadError(
                f"{self.shown} lists more than {MAX_FILES} files in {repository}: too many for a model.", code="refused"
            )
        return listed

    def garbage(self, repository: str) -> DownloadError:
        """For a listing that has another form."""
        return DownloadError(f"{self.shown} does not list {repository} as {self._like} does.", code="refused")

    async def _answer(self, path: str) -> tuple[int, bytes | None]:
        """Status and body; None for one that is too large."""
        # Unpacked, a small answer could be any size.
        answer = await get(self._client, self.url + path, {"accept-encoding": "identity"}, self.token)
        try:
            body = bytearray()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > LARGEST_LISTING:
                    return answer.status_code, None
            return answer.status_code, bytes(body)
        finally:
            await answer.aclose()

    def _refused(self, status: int) -> str:
        if self.token is None:
            return (
                f"status {status}. It is private, its terms must be accepted first, or there is none. With a token of "
                f"{urlsplit(self.url).hostname}: HF_TOKEN, or --token-file."
            )
        return f"status {status}. The token given may not read it, or its terms must be accepted on the hub's page."
