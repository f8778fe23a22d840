"""A stand-in for the API that the page's tests (and its makers) steer: same paths, same shapes, no video and no engine.

`cd tests && python -m fakes.page.server PORT` serves it with lively data. `POST /fake/…` moves it: make a tick, cut the
sockets, end a session. What the real server does is tested against the real server.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from fakes.page.alert_paths import add_alert_paths
from fakes.page.demo import demo_world, draw_room, run_lively
from fakes.page.event_paths import add_event_paths
from fakes.page.memory_paths import add_memory_paths
from fakes.page.problem import Problem
from fakes.page.shapes import SCORED, STRUCTURE
from fakes.page.task_paths import add_task_paths
from fakes.page.world import Camera, Session, World
from joyvl_server.api.schemas.settings import described
from joyvl_server.settings import Settings

WEB = Path(__file__).resolve().parents[3] / "web"
COOKIE = "signed-in"
CSP = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)


def make_app(world: World, *, live: bool = True, api_key: str | None = None) -> FastAPI:
    """`live`: sessions tick by themselves once a second; otherwise only `/fake/tick` makes ticks."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            runner = tasks.create_task(run_lively(world)) if live else None
            yield
            if runner:
                runner.cancel()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        return JSONResponse(error.body, error.body["status"], media_type="application/problem+json")

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        asks = request.url.path.startswith("/v1") and request.url.path != "/v1/login"
        if api_key and asks and request.cookies.get("joyvl_session") != COOKIE:
            body = {"title": "unauthorized", "status": 401, "code": "unauthorized", "detail": "An API key is needed."}
            return JSONResponse(body, 401)
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = CSP
        return response

    _login(app, api_key)
    _cameras(app, world)
    _sessions(app, world)
    _speech(app, world)
    add_task_paths(app, world)
    add_event_paths(app, world)
    add_memory_paths(app, world)
    add_alert_paths(app, world)
    _updates(app, world, api_key)
    _steering(app, world)

    @app.get("/version")
    async def version() -> dict[str, str]:
        return {"name": "joyvl-server", "version": "0", "api": "v1", "time_zone": world.time_zone}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    async def index() -> FileResponse:
        return FileResponse(WEB / "index.html", headers={"Cache-Control": "no-store"})

    app.mount("/assets", StaticFiles(directory=WEB))
    return app


def _login(app: FastAPI, api_key: str | None) -> None:
    who = {"auth": api_key is not None, "name": "ann", "role": "admin", "cameras": [], "expires_at": None}

    @app.post("/v1/login")
    async def login(body: dict[str, Any]) -> Response:
        if api_key is not None and api_key not in (body.get("key"), body.get("code")):
            raise Problem(401, "unauthorized", "This API key is not known.")
        answer = JSONResponse(who)
        answer.set_cookie("joyvl_session", COOKIE, httponly=True, samesite="strict")
        return answer

    @app.post("/v1/logout", status_code=204)
    async def logout(response: Response) -> None:
        response.delete_cookie("joyvl_session")

    @app.get("/v1/me")
    async def me() -> dict[str, Any]:
        return who


def _camera(world: World, camera_id: str) -> Camera:
    if camera_id not in world.cameras:
        raise Problem(404, "not_found", f"There is no camera {camera_id}.")
    return world.cameras[camera_id]


def _session(world: World, session_id: str) -> Session:
    if session_id not in world.sessions:
        raise Problem(404, "not_found", f"There is no session {session_id}.")
    return world.sessions[session_id]


def _cameras(app: FastAPI, world: World) -> None:
    @app.get("/v1/session-settings")
    async def session_settings() -> dict[str, Any]:
        return {"data": described(Settings()), "next": None}

    @app.get("/v1/cameras")
    async def cameras() -> dict[str, Any]:
        return {"data": [c.to_dict(world) for c in world.cameras.values()], "next": None}

    @app.post("/v1/cameras", status_code=201)
    async def add(body: dict[str, Any]) -> dict[str, Any]:
        if any(c.name == body["name"] for c in world.cameras.values()):
            raise Problem(409, "conflict", f"There is already a camera named “{body['name']}”.")
        camera = world.add_camera(body["name"], body["url"], status="connecting", enabled=body.get("enabled", True))
        camera.spec.update({name: body[name] for name in camera.spec if name in body})
        for watch in body.get("watches", []):
            world.sessions[camera.session_id].add_watch(watch["text"], kinds=watch.get("kinds"))
        return camera.to_dict(world)

    @app.post("/v1/cameras/probe")
    async def probe(body: dict[str, Any]) -> dict[str, Any]:
        return world.probe(body["url"])

    @app.post("/v1/cameras/{camera_id}/probe")
    async def probe_camera(camera_id: str) -> dict[str, Any]:
        return world.probe(_camera(world, camera_id).url)

    @app.patch("/v1/cameras/{camera_id}")
    async def change(camera_id: str, body: dict[str, Any]) -> dict[str, Any]:
        camera = _camera(world, camera_id)
        for key in ("name", "url"):
            if key in body:
                setattr(camera, key, body[key])
        camera.spec.update({name: body[name] for name in camera.spec if name in body})
        return camera.to_dict(world)

    @app.post("/v1/cameras/{camera_id}/{action}")
    async def switch(camera_id: str, action: str) -> dict[str, Any]:
        camera = _camera(world, camera_id)
        camera.enabled = action == "enable"
        return camera.to_dict(world)

    @app.delete("/v1/cameras/{camera_id}", status_code=204)
    async def delete(camera_id: str) -> None:
        world.sessions.pop(_camera(world, camera_id).session_id, None)
        del world.cameras[camera_id]

    @app.get("/v1/cameras/{camera_id}/snapshot.jpg")
    async def snapshot(camera_id: str) -> Response:
        return _picture(_camera(world, camera_id).state)


def _picture(state: dict[str, Any]) -> Response:
    if state["status"] != "online":
        raise Problem(503, "no_frame", state["error"] or "There is no picture yet: the camera is connecting.")
    return Response(draw_room(time.time()), media_type="image/jpeg")


def _sessions(app: FastAPI, world: World) -> None:
    @app.get("/v1/engines")
    async def engines() -> dict[str, Any]:
        return {
            "data": [
                {"name": "motion", "default": True, "capabilities": STRUCTURE},
                {"name": "openai", "default": False, "capabilities": SCORED},
            ],
            "next": None,
        }

    @app.get("/v1/sessions")
    async def sessions() -> dict[str, Any]:
        return {"data": [s.to_dict() for s in world.sessions.values()], "next": None}

    @app.get("/v1/sessions/{session_id}")
    async def one(session_id: str) -> dict[str, Any]:
        return _session(world, session_id).to_dict()

    @app.patch("/v1/sessions/{session_id}")
    async def patch(session_id: str, body: dict[str, Any]) -> dict[str, Any]:
        session = _session(world, session_id)
        for key in ("threshold", "fidelity", "voice", "listen", "wake_word"):
            if key in body:
                setattr(session, key, "auto" if body[key] is None else body[key])
        session.publish("session.updated", session=session.to_dict())
        return session.to_dict()

    @app.get("/v1/sessions/{session_id}/ticks")
    async def ticks(session_id: str, limit: int = 600) -> dict[str, Any]:
        return {"data": _session(world, session_id).ticks[::-1][:limit], "next": None}

    @app.get("/v1/sessions/{session_id}/snapshot.jpg")
    async def snapshot(session_id: str) -> Response:
        return _picture(_session(world, session_id).state)

    @app.post("/v1/sessions/{session_id}/watches", status_code=201)
    async def add_watch(session_id: str, body: dict[str, Any]) -> dict[str, Any]:
        return _session(world, session_id).add_watch(body["text"], kinds=body.get("kinds"))

    @app.patch("/v1/sessions/{session_id}/watches/{watch_id}")
    async def change_watch(session_id: str, watch_id: str, body: dict[str, Any]) -> dict[str, Any]:
        session = _session(world, session_id)
        watch = next(w for w in session.watches if w["id"] == watch_id)
        watch.update(body)
        session.publish("watch.updated", watch=dict(watch))
        return watch

    @app.delete("/v1/sessions/{session_id}/watches/{watch_id}", status_code=204)
    async def remove_watch(session_id: str, watch_id: str) -> None:
        session = _session(world, session_id)
        session.watches = [w for w in session.watches if w["id"] != watch_id]
        session.publish("watch.deleted", watch_id=watch_id)

    @app.post("/v1/sessions/{session_id}/queries", status_code=201)
    async def ask(session_id: str, body: dict[str, Any]) -> dict[str, Any]:
        return _session(world, session_id).ask(body["text"])

    @app.delete("/v1/sessions/{session_id}/queries/{query_id}", status_code=204)
    async def withdraw(session_id: str, query_id: str) -> None:
        _session(world, session_id).close_query(query_id, "withdrawn")


def _speech(app: FastAPI, world: World) -> None:
    @app.get("/v1/voices")
    async def voices() -> dict[str, Any]:
        return {"data": world.voices, "next": None}

    @app.post("/v1/sessions/{session_id}/playback", status_code=204)
    async def playback(session_id: str, body: dict[str, Any]) -> None:
        world.reported.append(body)

    @app.put("/v1/sessions/{session_id}/talking", status_code=204)
    async def talking(session_id: str, body: dict[str, Any]) -> None:
        world.talked.append(body["talking"])


def _updates(app: FastAPI, world: World, api_key: str | None) -> None:
    @app.websocket("/v1/sessions/{session_id}/updates")
    async def updates(socket: WebSocket, session_id: str, after: str | None = None) -> None:
        offered = socket.scope.get("subprotocols", [])
        out = api_key and socket.cookies.get("joyvl_session") != COOKIE
        if out or session_id not in world.sessions or time.time() < world.refuse_until:
            await socket.close(1008)
            return
        session = world.sessions[session_id]
        await socket.accept(subprotocol="joyvl.v1" if "joyvl.v1" in offered else None)
        world.sockets.add(socket)
        world.resumed_from.append(after)
        asked = {name: value for name, value in socket.query_params.items() if name != "after"}
        world.asked_for.append(asked)
        sounding = asyncio.create_task(_sound(socket, world, session_id)) if "audio" in asked else None
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            async for update in session.since(after):
                await socket.send_json(update)
        if sounding is not None:
            sounding.cancel()
        world.sockets.discard(socket)


async def _sound(socket: WebSocket, world: World, session_id: str) -> None:
    pieces = world.sound.setdefault(session_id, [])
    sent = len(pieces)
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            while sent < len(pieces):
                sent += 1
                await socket.send_json(pieces[sent - 1])
            await asyncio.sleep(0.02)


def _steering(app: FastAPI, world: World) -> None:
    @app.post("/fake/sessions/{session_id}/tick")
    async def tick(session_id: str, body: dict[str, Any]) -> dict[str, Any]:
        return _session(world, session_id).tick(**body)

    @app.post("/fake/sessions/{session_id}/end")
    async def end(session_id: str, body: dict[str, Any]) -> None:
        session = world.past[session_id] = world.sessions.pop(session_id)
        session.publish("session.ended", reason=body["reason"], code=body.get("code", "ended"))

    @app.post("/fake/sessions/{session_id}/state")
    async def state(session_id: str, body: dict[str, Any]) -> None:
        _session(world, session_id).change_state(**body)

    @app.post("/fake/cut")
    async def cut(body: dict[str, Any]) -> None:
        world.refuse_until = time.time() + body.get("for_s", 0)
        for socket in list(world.sockets):
            await socket.close(1011)

    @app.get("/fake/resumed")
    async def resumed() -> list[str | None]:
        return world.resumed_from


if __name__ == "__main__":
    uvicorn.run(make_app(demo_world()), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
