"""The least role of every route, in one place. A route that is not here is for admins only, and a test fails.

`none`: open to everybody. `any`: every key. `ingest`: media comes in; for ingest keys and operators. `viewer` looks,
`operator` works with what is there, `admin` changes what there is, who may call, and what the record holds.
"""

from __future__ import annotations

from typing import Literal

from joyvl_server.store.access.records import Role

Least = Literal["none", "any", "ingest", "viewer", "operator", "admin"]

_RANK = {"viewer": 1, "operator": 2, "admin": 3}

_ROUTES: dict[Least, tuple[str, ...]] = {
    "none": (
        "GET /",
        "HEAD /",
        "GET /assets/{path}",
        "HEAD /assets/{path}",
        "GET /healthz",
        "HEAD /healthz",
        "GET /health",
        "HEAD /health",
        "POST /v1/login",
    ),
    "any": ("GET /v1/me", "POST /v1/logout", "GET /version", "GET /v1/realtime/calls"),
    "ingest": (
        "POST /v1/realtime/calls",
        "GET /v1/realtime/calls/{call_id}",
        "DELETE /v1/realtime/calls/{call_id}",
        "POST /v1/realtime/calls/{call_id}/hangup",
    ),
    "viewer": (
        "GET /v1/cameras",
        "GET /v1/cameras/{camera_id}",
        "GET /v1/cameras/{camera_id}/snapshot.jpg",
        "GET /v1/cameras/{camera_id}/stream.mjpeg",
        "GET /v1/cameras/{camera_id}/zones",
        "GET /v1/sessions",
        "GET /v1/session-settings",
        "GET /v1/sessions/{session_id}",
        "GET /v1/sessions/{session_id}/snapshot.jpg",
        "GET /v1/sessions/{session_id}/ticks",
        "GET /v1/sessions/{session_id}/updates",
        "WEBSOCKET /v1/sessions/{session_id}/updates",
        "GET /v1/sessions/{session_id}/watches",
        "GET /v1/sessions/{session_id}/watches/{watch_id}",
        "GET /v1/sessions/{session_id}/queries",
        "GET /v1/sessions/{session_id}/queries/{query_id}",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "GET /v1/voices",
        "GET /v1/tasks",
        "GET /v1/tasks/{task_id}",
        "GET /v1/tasks/{task_id}/log",
        "GET /v1/tasks/{task_id}/files/{name}",
        "GET /v1/agents",
        "GET /v1/events",
        "GET /v1/events/{event_id}",
        "GET /v1/events/{event_id}/thumbnail.jpg",
        "GET /v1/events/{event_id}/clip.mp4",
        "GET /v1/alerts",
        "GET /v1/alerts/{alert_id}",
        "GET /v1/snoozes",
        "GET /v1/memories",
        "GET /v1/memories/export",
        "GET /v1/memories/collections",
        "GET /v1/memories/{memory_id}",
        "GET /v1/digests",
        "POST /v1/signed_urls",
        "GET /v1/engines",
        "GET /readyz",
        "GET /metrics",
        "GET /openapi.json",
    ),
    "operator": (
        "PUT /v1/cameras/{camera_id}/zones",
        "POST /v1/cameras/{camera_id}/enable",
        "POST /v1/cameras/{camera_id}/disable",
        "POST /v1/cameras/{camera_id}/probe",
        "PATCH /v1/sessions/{session_id}",
        "DELETE /v1/sessions/{session_id}",
        "POST /v1/sessions/{session_id}/watches",
        "PATCH /v1/sessions/{session_id}/watches/{watch_id}",
        "DELETE /v1/sessions/{session_id}/watches/{watch_id}",
        "POST /v1/sessions/{session_id}/queries",
        "DELETE /v1/sessions/{session_id}/queries/{query_id}",
        "POST /v1/sessions/{session_id}/playback",
        "PUT /v1/sessions/{session_id}/talking",
        "POST /v1/realtime/client_secrets",
        "WEBSOCKET /v1/realtime",
        "POST /v1/chat/completions",
        "POST /reset",
        "POST /v1/streaming/reset",
        "POST /v1/streaming/persona",
        "POST /v1/tasks",
        "POST /v1/tasks/{task_id}/cancel",
        "POST /v1/tasks/{task_id}/permissions/{permission_id}",
        "POST /v1/tasks/{task_id}/follow-up",
        "POST /v1/tasks/{task_id}/acknowledge",
        "GET /v1/agents/{name}",
        "PATCH /v1/events/{event_id}",
        "POST /v1/alerts/acknowledge",
        "POST /v1/alerts/{alert_id}/acknowledge",
        "POST /v1/alerts/{alert_id}/snooze",
        "DELETE /v1/snoozes/{scope}/{subject_id}",
        "GET /v1/hooks",
        "GET /v1/hooks/{hook_id}",
        "GET /v1/hooks/{hook_id}/deliveries",
        "POST /v1/memories",
        "PATCH /v1/memories/{memory_id}",
    ),
    "admin": (
        "POST /v1/cameras",
        "POST /v1/cameras/probe",
        "PATCH /v1/cameras/{camera_id}",
        "DELETE /v1/cameras/{camera_id}",
        "DELETE /v1/tasks/{task_id}",
        "DELETE /v1/events",
        "DELETE /v1/events/{event_id}",
        "DELETE /v1/memories",
        "DELETE /v1/memories/{memory_id}",
        "POST /v1/hooks",
        "PATCH /v1/hooks/{hook_id}",
        "DELETE /v1/hooks/{hook_id}",
        "POST /v1/hooks/{hook_id}/test",
        "GET /v1/hooks/{hook_id}/secret",
        "POST /v1/hooks/{hook_id}/deliveries/{delivery_id}/retry",
        "POST /v1/reload",
        "GET /v1/log_level",
        "PUT /v1/log_level",
        "GET /v1/keys",
        "POST /v1/keys",
        "DELETE /v1/keys/{key_id}",
        "GET /v1/logins",
        "DELETE /v1/logins/{login_id}",
    ),
}

LEAST: dict[str, Least] = {route: least for least, routes in _ROUTES.items() for route in routes}
"""`METHOD /path` (of a WebSocket `WEBSOCKET /path`) and who may ask for it"""

OF_NO_CAMERA = frozenset(
    {
        "GET /v1/me",
        "POST /v1/logout",
        "GET /version",
        "GET /v1/cameras",
        "GET /v1/sessions",
        "GET /v1/session-settings",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "GET /v1/voices",
        "GET /v1/engines",
        "GET /openapi.json",
    }
)
"""What a key for certain cameras may ask for though no camera is named; lists of cameras and sessions hold its own."""

OWN_ENTRIES = frozenset(
    {
        "GET /v1/events",
        "GET /v1/alerts",
        "GET /v1/digests",
        "GET /v1/memories",
        "GET /v1/memories/export",
        "GET /v1/tasks",
    }
)
"""Lists that hold only what is of its cameras (`own_cameras`), or of the one that it asks for by `camera_id`."""


OF_ONE = ("{camera_id}", "{session_id}", "{event_id}")
"""Places in a path that say of which camera it is."""


def names_camera(route: str) -> bool:
    """Can it be told of a route, as in `LEAST`, whose cameras it is about? Keys for certain cameras may not ask for
    the others at all."""
    return LEAST.get(route) == "none" or route in OF_NO_CAMERA | OWN_ENTRIES or any(place in route for place in OF_ONE)


def may(role: Role, least: Least) -> bool:
    """Is a route that asks for `least` for this role?"""
    if least in ("none", "any"):
        return True
    if least == "ingest":
        return role in ("ingest", "operator", "admin")
    return _RANK.get(role, 0) >= _RANK[least]


def routes_for(role: Role, *, of_cameras: bool) -> list[str]:
    """What is for this role, as in `LEAST`. `of_cameras`: with a key for certain cameras, where these are asked for."""
    found = [route for route, least in LEAST.items() if may(role, least)]
    if role == "ingest" or not of_cameras:
        return found
    return [route for route in found if names_camera(route)]
