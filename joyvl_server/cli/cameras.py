"""`joyvl cameras …`: the cameras of a running server, over its REST API."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, BinaryIO

import httpx2
import typer

from joyvl_server.cli.connecting.address import URL_VARIABLE, chosen_server, key_headers, told_of_nobody
from joyvl_server.cli.connecting.trust import https_instead, told_of_distrust, trust_for
from joyvl_server.cli.exits import FAILED, errors_as_exit_codes
from joyvl_server.cli.watch import KINDS_HELP
from joyvl_server.core.errors import JoyvlError, NotFound
from joyvl_server.core.watches.kinds import read_kinds
from joyvl_server.kit.net.http import client
from joyvl_server.sessions.spec import SessionSpec

app = typer.Typer(help="Cameras of a running server: list, add, probe, enable, disable, remove.", no_args_is_help=True)

Server = Annotated[
    str,
    typer.Option(
        envvar=URL_VARIABLE,
        callback=chosen_server,
        show_default=False,
        help="Address of the server; without it the one of the data folder (JOYVL_DATA_DIR).",
    ),
]
Key = Annotated[str | None, typer.Option(envvar="JOYVL_KEY", help="API key of the server.")]
Name = Annotated[str, typer.Argument(help="Name or id of the camera.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEFAULT = ""
"""the server that has the data folder"""


@app.command("list")
def list_cameras(server: Server = DEFAULT, key: Key = None, json_out: Json = False) -> None:
    """List the cameras with their states."""
    cameras = call(server, key, "GET", "/v1/cameras?limit=200")["data"]
    if json_out:
        typer.echo(json.dumps(cameras, indent=2, ensure_ascii=False))
        return
    for camera in cameras:
        typer.echo(f"{camera['name']:<20} {_state(camera):<40} {camera['url']}")
    if not cameras:
        typer.echo("No camera yet. Add one: joyvl cameras add NAME rtsp://user:password@host/stream")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the camera.")],
    url: Annotated[str, typer.Argument(help="Address of the camera, like rtsp://user:password@host/stream.")],
    watch: Annotated[list[str] | None, typer.Option(help="What to watch for; give it once for each watch.")] = None,
    kinds: Annotated[str | None, typer.Option(help=KINDS_HELP)] = None,
    engine: Annotated[str | None, typer.Option(help="The engine that decides.")] = None,
    fidelity: Annotated[
        str | None,
        typer.Option(help="What frames may cost: faithful, adaptive or eco."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Frames of one second in a decision: 1, 2 or 4; more for fast scenes.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of its own, like threshold=0.7; may be given several times."),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Files: play from the start when the file ends.")] = False,
    server: Server = DEFAULT,
    key: Key = None,
) -> None:
    """Register a camera."""
    with errors_as_exit_codes():
        chosen = read_kinds(kinds)
        settings = dict(_setting(text) for text in setting or ())
    watches = [{"text": text, "kinds": chosen} for text in watch or ()]
    body = {"name": name, "url": url, "watches": watches, "loop": loop, "engine": engine}
    body |= {"fidelity": fidelity, "frames_per_tick": frames} | settings
    camera = call(server, key, "POST", "/v1/cameras", body)
    typer.echo(f"{camera['name']} is registered as {camera['id']}; its session is {camera['session_id']}.")
    for stored in camera["watches"]:
        if stored["note"]:
            typer.echo(f"“{stored['text']}”: {stored['note']}")


@app.command()
def probe(
    url: Annotated[str, typer.Argument(help="The address to try.")], server: Server = DEFAULT, key: Key = None
) -> None:
    """Let the server open an address once, and print what is there."""
    report = call(server, key, "POST", "/v1/cameras/probe", {"url": url})
    if not report["ok"]:
        typer.echo(" ".join(part for part in (report["error"], report["hint"]) if part), err=True)
        raise typer.Exit(FAILED)
    sound = "with sound" if report["has_audio"] else "without sound"
    fps = f", {report['fps']:g} fps" if report["fps"] else ""
    typer.echo(
        f"{report['width']}x{report['height']}{fps}, {report['codec']}, {sound}; opened in {report['took_s']:.1f} s."
    )


@app.command()
def enable(name: Name, server: Server = DEFAULT, key: Key = None) -> None:
    """Switch a camera on."""
    call(server, key, "POST", f"/v1/cameras/{_find(server, key, name)}/enable")
    typer.echo(f"{name} is enabled.")


@app.command()
def disable(name: Name, server: Server = DEFAULT, key: Key = None) -> None:
    """Switch a camera off; its settings, watches and events stay."""
    call(server, key, "POST", f"/v1/cameras/{_find(server, key, name)}/disable")
    typer.echo(f"{name} is disabled.")


@app.command()
def remove(name: Name, server: Server = DEFAULT, key: Key = None) -> None:
    """Delete a camera and its watches; its events stay."""
    call(server, key, "DELETE", f"/v1/cameras/{_find(server, key, name)}")
    typer.echo(f"{name} is removed.")


def _setting(text: str) -> tuple[str, Any]:
    """`threshold=0.7` as its name and its value; what is no JSON is a text."""
    from joyvl_server.api.schemas.cameras import CameraIn

    name, equals, value = text.partition("=")
    if not equals:
        raise JoyvlError(f"--set {text}: write NAME=VALUE, like threshold=0.7.")
    if name in CameraIn.model_fields.keys() - SessionSpec.model_fields.keys():
        raise JoyvlError(f"--set {name}: this is no setting of a session; use the arguments and the other options.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _state(camera: dict[str, Any]) -> str:
    state = camera["state"]
    if state is None:
        return "disabled"
    if state["status"] == "online":
        return f"online {state['width']}x{state['height']}"
    return f"{state['status']}: {state['error']}" if state["error"] else str(state["status"])


def _find(server: str, key: str | None, name: str) -> str:
    for camera in call(server, key, "GET", "/v1/cameras?limit=200")["data"]:
        if name in (camera["id"], camera["name"]):
            return str(camera["id"])
    with errors_as_exit_codes():
        raise NotFound(f"There is no camera {name} on {server}.")


def call(server: str, key: str | None, method: str, path: str, body: Any = None) -> Any:
    """What a running server answers, as JSON; else the program ends with its words."""
    with errors_as_exit_codes():
        return asyncio.run(_request(server, key, method, path, body))


async def download(server: str, key: str | None, path: str, out: BinaryIO) -> None:
    """Write what a running server answers, as it comes. Raises `JoyvlError` with its words, `OSError` of `out`."""
    begun = False
    server = server.rstrip("/")
    async with client(verify=trust_for(server)) as http:
        try:
            async with http.stream("GET", server + path, headers=key_headers(key)) as answer:
                if not answer.is_success:
                    await answer.aread()
                    if (secure := https_instead(server, answer)) is not None:
                        return await download(secure, key, path, out)
                    _content(answer)
                begun = True
                async for piece in answer.aiter_bytes():
                    out.write(piece)
        except httpx2.HTTPError as error:
            why = "The server went away; not all was written." if begun else _nobody(server, error)
            raise JoyvlError(why) from None


async def _request(server: str, key: str | None, method: str, path: str, body: Any) -> Any:
    server = server.rstrip("/")
    async with client(verify=trust_for(server)) as http:
        try:
            answer = await http.request(method, server + path, json=body, headers=key_headers(key))
        except httpx2.HTTPError as error:
            raise JoyvlError(_nobody(server, error)) from None
    if (secure := https_instead(server, answer)) is not None:
        return await _request(secure, key, method, path, body)
    return _content(answer)


def _nobody(server: str, error: httpx2.HTTPError) -> str:
    distrust = told_of_distrust(server, error)
    if distrust is not None:
        return distrust
    return told_of_nobody(server)


def _content(answer: httpx2.Response) -> Any:
    """Raises `JoyvlError` with the server's words."""
    if answer.status_code == 401 and "authorization" not in answer.request.headers:
        raise JoyvlError("The server asks for an API key: give it with --key or JOYVL_KEY.")
    try:
        content = answer.json() if answer.content else None
    except ValueError:
        content = None
    if answer.is_success:
        return content
    detail = content.get("detail") if isinstance(content, dict) else None
    raise JoyvlError(detail or f"The server answered {answer.status_code}.")
