"""A clip that is not there: a problem for programs, a small page for people, who open the link of an alert."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from joyvl_server.api.http.problems import problem
from joyvl_server.store.events import EventRecord

RETRY_S = 5
"""when to ask again for a clip that is still being recorded"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">{reload}
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
<p>{words}</p>
</body>
</html>
"""


def no_clip(event: EventRecord, request: Request) -> Response:
    """404 with the reason. While the clip is recorded it says when to ask again, and the page does so by itself."""
    recorded = event.clip == "recording"
    headers = {"Retry-After": str(RETRY_S)} if recorded else {}
    headers |= {"Vary": "Accept", "Cache-Control": "no-store"}
    if "text/html" not in request.headers.get("accept", ""):
        return problem(404, "no_clip", _why(event), headers=headers)
    title = "The clip is still being recorded" if recorded else "There is no clip"
    words = (
        "It shows what comes after, too. This page loads again by itself until it is there."
        if recorded
        else _why(event)
    )
    reload = f'\n<meta http-equiv="refresh" content="{RETRY_S}">' if recorded else ""
    return HTMLResponse(_PAGE.format(title=title, words=escape(words), reload=reload), 404, headers)


def _why(event: EventRecord) -> str:
    if event.clip == "recording":
        return "This clip is still being recorded. Try again in some seconds."
    return event.clip_reason or "There is no clip of this event."
