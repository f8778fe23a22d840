"""Pictures, clips and streams by a signed, expiring link, for those that cannot send a key: Home Assistant, mail, chat.

A link opens the one address it was made for, by GET, and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Scope

from joyvl_server.api.access.caller import Caller
from joyvl_server.api.context import ApiDep
from joyvl_server.api.http.encoding import JsonResponse
from joyvl_server.api.http.problems import problem
from joyvl_server.api.schemas.system import SignedUrlIn, SignedUrlOut
from joyvl_server.core.errors import JoyvlError
from joyvl_server.sessions import payloads

if TYPE_CHECKING:
    from joyvl_server.api.context import ApiContext

router = APIRouter(tags=["server"])

_ID = "[0-9a-z]{26}"
SIGNABLE = re.compile(
    rf"/v1/(?:events/evt_{_ID}/(?:thumbnail\.jpg|clip\.mp4)|cameras/cam_{_ID}/(?:snapshot\.jpg|stream\.mjpeg)"
    rf"|sessions/ses_{_ID}/snapshot\.jpg)"
)
"""what a link may open"""
_QUERY = re.compile(r"expires=([0-9]{1,12})&signature=([A-Za-z0-9_-]{43})")
_SIGNED = re.compile(rb"(?:^|&)signature=")


VIEWERS_S = 3600


class NotSignable(JoyvlError):
    code = "not_signable"


@router.post("/v1/signed_urls", response_model=SignedUrlOut)
async def sign_url(api: ApiDep, request: Request, body: SignedUrlIn) -> Response:
    """A link to one picture, clip or stream that works without a key until it is over.

    It cannot be taken back alone. A viewer's is over within an hour, and no link is longer valid than the key.
    """
    if not SIGNABLE.fullmatch(body.path):
        raise NotSignable("No link can be made to this path, only to thumbnails, clips, snapshots and picture streams.")
    caller: Caller = request.state.who
    expires = int(api.clock.wall()) + (min(body.expires_s, VIEWERS_S) if caller.role == "viewer" else body.expires_s)
    if caller.until_wall is not None:
        expires = min(expires, int(caller.until_wall))
    url = api.registry.signer.sign(body.path, expires)
    if url.startswith("/"):
        url = str(request.base_url).rstrip("/") + url
    return JsonResponse({"url": url, "expires_at": payloads.rfc3339(expires)})


class SignedLinks:
    """What the guard asks. See `SignedLinkCheck`."""

    def __init__(self, api: ApiContext) -> None:
        self._api = api

    def is_one(self, scope: Scope) -> bool:
        """See `SignedLinkCheck.is_one`."""
        return scope["type"] == "http" and _SIGNED.search(scope.get("query_string", b"")) is not None

    def refused(self, scope: Scope) -> Response | None:
        """See `SignedLinkCheck.refused`."""
        found = _QUERY.fullmatch(scope["query_string"].decode("latin-1"))
        path = scope["path"]
        # What is compared is what was asked for, letter by letter: no escapes, no second way to write it.
        plain = scope.get("raw_path", path.encode()).partition(b"?")[0] == path.encode()
        if scope["method"] != "GET" or found is None or not plain or not SIGNABLE.fullmatch(path):
            return _bad("This link was changed, or it does not lead to a picture, a clip or a stream.")
        if not self._api.registry.signer.fits(path, int(found[1]), found[2]):
            return _bad("This link was changed, or it was made with another key.")
        if int(found[1]) <= self._api.clock.wall():
            return problem(403, "link_expired", "This link is over. Ask for a new one.")
        state: dict[str, Any] = scope.setdefault("state", {})
        state["link_until"] = float(found[1])
        return None


def _bad(detail: str) -> Response:
    return problem(403, "bad_link", detail)
