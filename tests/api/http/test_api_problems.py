"""Every error of every route has one shape, and none holds a secret or a trace."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from fakes.media.media import picture
from fakes.media.wire import Wire
from fakes.server.house import KEY, House, house
from joyvl_server.api.http.problems import STATUS_OF, status_of
from joyvl_server.api.reference.routes import router as reference
from joyvl_server.core import errors

SECRET = "hunter2secret"
JSON = {"Content-Type": "application/json"}
FIELDS = [
    "name",
    "url",
    "zones",
    "points",
    "watches",
    "text",
    "threshold",
    "speed",
    "enabled",
    "engine",
    "sdp",
    "session",
]
MEMBERS = {"type", "title", "status", "detail", "code"}


@pytest.fixture
async def h(tmp_path):
    async with house(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/memories?since=yesterday", "since: Write a time with its zone, like 2026-11-20T09:30:00Z."),
        ("/v1/events?until=2026-11-20T09:30:00", "until: Write a time with its zone, like 2026-11-20T09:30:00Z."),
        ("/v1/events?after=x", "after: It is not written as it must be: see the description of the API."),
        ("/v1/events?query=%3F", "There is no letter and no digit to search for."),
    ],
)
async def test_what_is_wrong_is_said_in_words_for_people(h: House, path: str, detail: str):
    problem = (await h.client.get(path)).json()
    assert (problem["status"], problem["title"], problem["detail"]) == (422, "Unprocessable Content", detail)


def check(status: int, content_type: str, body: bytes) -> dict:
    """The shape of RFC 9457, ours."""
    text = body.decode()
    assert content_type == "application/problem+json", text
    problem = json.loads(text)
    assert MEMBERS <= set(problem) <= MEMBERS | {"errors", "parts", "ready"}
    assert problem["status"] == status
    assert problem["type"] == f"urn:joyvl:problem:{problem['code']}"
    assert re.fullmatch(r"[a-z][a-z0-9_]*", problem["code"])
    assert problem["title"]
    assert problem["detail"]
    for error in problem.get("errors", ()):
        assert set(error) == {"field", "message", "code"}
        assert error["message"]
    for leak in (SECRET, KEY, "Traceback", "site-packages", "joyvl_server/", ".py", "sqlite3", "pydantic", "s3cret"):
        assert leak not in text, leak
    return problem


def routes(h: House, fill: str = "no-such-thing") -> Iterator[tuple[str, str]]:
    """(method, path) of every route; `fill` stands in for the parameters, `{}` keeps their names.

    Those of the interaction model's own API are left out: their errors have another shape (tests/api/reference).
    """
    foreign = {route.path for route in reference.routes}
    for route in iter_route_contexts(h.app.routes):
        if route.path in foreign:
            continue
        if isinstance(route.original_route, Route) and route.path:
            path = re.sub(r":\w+\}", "}", route.path)
            for method in route.methods or ():
                yield method, path if fill == "{}" else re.sub(r"\{\w+\}", fill, path)


async def test_every_route_is_reached(h: House):
    assert len(set(routes(h))) > 35


async def test_a_body_with_a_secret_in_an_unknown_field_is_not_repeated_by_any_route(h: House):
    body = {"passwort": SECRET, "url": 7, "name": {"x": SECRET}, "text": [SECRET], "zones": SECRET, "threshold": SECRET}
    for method, path in routes(h):
        if method not in ("POST", "PUT", "PATCH"):
            continue
        answer = await h.client.request(method, path, json=body)
        if answer.status_code >= 400:
            check(answer.status_code, answer.headers["content-type"], answer.content)
        assert SECRET not in answer.text


async def test_wrong_methods_ids_queries_and_bodies_of_every_route(h: House):
    seen = set()
    for method, path in routes(h):
        for wrong in ("TRACE", "PROPFIND", "OPTIONS"):
            answer = await h.client.request(wrong, path)
            assert answer.status_code == 405, (wrong, path)
            assert answer.headers["allow"]
            seen.add(check(405, answer.headers["content-type"], answer.content)["code"])
        if method == "HEAD":
            continue
        for kwargs in (
            {"params": {"limit": SECRET, "after": "x" * 500, "password": SECRET}},
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            {"content": b"x", "headers": {"Content-Type": "text/plain"}},
            {"content": b"x" * 2_000_000, "headers": {"Content-Type": "application/json"}},
            {"headers": {"Origin": "https://evil.example"}},
            {"headers": {"Host": "evil.example"}},
            {"headers": {"Idempotency-Key": "x" * 300}},
        ):
            answer = await h.client.request(method, path, **kwargs)
            if answer.status_code >= 400:
                seen.add(check(answer.status_code, answer.headers["content-type"], answer.content)["code"])
    assert seen >= {
        "method_not_allowed",
        "not_found",
        "invalid",
        "bad_json",
        "unsupported_media_type",
        "body_too_large",
        "foreign_origin",
        "unknown_host",
        "bad_sdp",
    }


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=50)
    | st.sampled_from([SECRET, "cam", "rtsp://127.0.0.1/x", ""]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(FIELDS), anything, max_size=8) | anything


@pytest.mark.slow
def test_no_body_and_no_word_breaks_a_route(tmp_path):
    """One house for all examples: what one of them leaves there, the next ones meet."""
    answers: dict[str, Counter[int]] = defaultdict(Counter)

    @settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(body=bodies, word=st.text(max_size=30))
    def every_route(body, word: str):
        content = json.dumps(body).encode("utf-8", "surrogatepass")
        runner.run(send(content, word))

    async def send(content: bytes, word: str) -> None:
        ids = await watching(h, camera["id"])
        for method, template in every:
            path = re.sub(r"\{(\w+)\}", lambda m: ids.get(m[1], quote(word, safe="") or "x"), template)
            if method in ("POST", "PUT", "PATCH"):
                answer = await h.client.request(method, path, content=content, headers=JSON)
            else:
                answer = await h.client.request(method, path, params={"after": word, "type": word, "since": word})
            assert answer.status_code < 500 or answer.status_code == 503, (method, path, answer.text)
            if answer.status_code >= 400 and method != "HEAD":
                check(answer.status_code, answer.headers["content-type"], answer.content)
            answers[f"{method} {template}"][answer.status_code] += 1

    with asyncio.Runner() as runner:
        opened = house(tmp_path)
        h = runner.run(opened.__aenter__())
        camera = runner.run(h.camera("one"))
        # What ends the session of the camera comes last, so that all others meet it.
        every = sorted(filter(is_answered, routes(h, "{}")), key=lambda route: ends_the_session(*route))
        try:
            every_route()
        finally:
            runner.run(opened.__aexit__(None, None, None))
    # Nothing that the first ones left, or filled, kept the later ones from what they ask for.
    assert {route: counts for route, counts in answers.items() if counts[429] + counts[503] > 2} == {}
    of_the_camera = [route for route in answers if set(re.findall(r"\{(\w+)\}", route)) & {"camera_id", "session_id"}]
    assert len(of_the_camera) > 15
    assert {route: answers[route] for route in of_the_camera if answers[route][404] and route.count("{") == 1} == {}


async def watching(h: House, camera_id: str) -> dict[str, str]:
    """The ids of the camera and of its session, whatever was done to it before."""
    await h.client.post(f"/v1/cameras/{camera_id}/enable")
    camera = (await h.client.get(f"/v1/cameras/{camera_id}")).json()
    h.media.sources[camera_id].show(picture(h.clock.monotonic()))
    return {"camera_id": camera_id, "session_id": camera["session_id"]}


def is_answered(route: tuple[str, str]) -> bool:
    """What takes the camera away, and what never ends by itself, is left out."""
    method, template = route
    return method != "DELETE" and not template.endswith(("/updates", "/stream.mjpeg"))


def ends_the_session(method: str, template: str) -> bool:
    return template.endswith("/disable") or (method, template) == ("PATCH", "/v1/cameras/{camera_id}")


@pytest.mark.parametrize(
    "path", ["/nope", "/v1", "/v1/", "/v1/cameras/", "//v1/cameras", "/v1/cameras/a/b/c", "/assets/", "/assets"]
)
async def test_addresses_that_are_none(h: House, path: str):
    answer = await h.client.get(path)
    assert answer.status_code == 404
    check(404, answer.headers["content-type"], answer.content)


async def test_what_nobody_foresaw_is_a_plain_500_and_is_logged(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(
        "joyvl_server.api.http.middleware.log.exception", lambda event, **more: logged.append(more), raising=False
    )
    async with house(tmp_path) as h:

        def broken() -> None:
            raise RuntimeError(f"cannot open rtsp://u:{SECRET}@host/x")

        monkeypatch.setattr(h.registry.cameras, "all", broken)
        answer = await h.client.get("/v1/cameras")
        assert answer.status_code == 500
        assert check(500, answer.headers["content-type"], answer.content)["code"] == "internal"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert logged == [{"method": "GET", "route": "/v1/cameras"}]
        assert 'status="500"' in (await h.client.get("/metrics")).text

        monkeypatch.setattr(h.registry, "session", lambda _: broken())
        wire = Wire(h.app, "/v1/sessions/x/updates", kind="websocket")
        assert (await wire.open())["status"] == 500
        assert (await wire.problem())["code"] == "internal"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/cameras", "GET, POST"),
        ("/v1/cameras/cam_x", "DELETE, GET, PATCH"),
        ("/v1/cameras/cam_x/zones", "GET, PUT"),
        ("/healthz", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_taken_is_told_all_that_are(h: House, path, allowed):
    answer = await h.client.request("TRACE", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_a_cursor_that_is_none_is_refused(h: House):
    for path in ("/v1/events", "/v1/cameras", "/v1/sessions"):
        for cursor in ("xyz", "%00", "cam_01", "' OR 1=1"):
            answer = await h.client.get(path, params={"after": cursor})
            assert answer.status_code == 422, (path, cursor)
            assert check(422, answer.headers["content-type"], answer.content)["errors"][0]["field"] == "after"


async def test_the_mask_is_no_password(h: House):
    for url in ("rtsp://cam:***@127.0.0.1/x", "rtsp://127.0.0.1/x?token=***", "rtsp://127.0.0.1/admin:***/x"):
        for path, body in (("/v1/cameras", {"name": "new", "url": url}), ("/v1/cameras/probe", {"url": url})):
            answer = await h.client.post(path, json=body)
            assert check(422, answer.headers["content-type"], answer.content)["code"] == "masked_url", (path, url)
    assert h.registry.cameras.all() == []


async def test_secrets_in_the_words_of_an_error_are_masked(h: House, monkeypatch):
    async def broken(url: str) -> None:
        raise errors.SourceError(f"rtsp://u:{SECRET}@host/x refused", code="refused")

    monkeypatch.setattr(h.registry.cameras, "probe", broken)
    answer = await h.client.post("/v1/cameras/probe", json={"url": "rtsp://host/x"})
    problem = check(502, answer.headers["content-type"], answer.content)
    assert problem["detail"] == "rtsp://u:***@host/x refused"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound(""), 404),
        (errors.Conflict(""), 409),
        (errors.NotAllowed(""), 403),
        (errors.ConfigError(""), 422),
        (errors.SourceError(""), 502),
        (errors.SourceError("", code="bad_sdp"), 400),
        (errors.SourceError("", code="not_found"), 422),
        (errors.NotAllowed("", code="bad_url"), 422),
        (errors.NotAllowed("", code="too_many"), 409),
        (errors.StoreError("", code="store_busy"), 503),
        (errors.NoFrame("", code="offline"), 503),
        (errors.EngineError(""), 502),
        (errors.EngineTimeout(""), 504),
        (errors.EngineUnavailable(""), 503),
        (errors.StoreError(""), 500),
        (errors.JoyvlError(""), 422),
    ],
)
def test_status_of_each_error(error, status):
    assert status_of(error) == status


def test_every_error_class_has_a_status():
    classes = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.JoyvlError)}
    assert classes == set(STATUS_OF)
