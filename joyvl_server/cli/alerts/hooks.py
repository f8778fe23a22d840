"""`joyvl hooks …`: where alerts go, of a running server, over its REST API."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from joyvl_server.cli.cameras import DEFAULT, Json, Key, Server, call
from joyvl_server.cli.exits import FAILED, errors_as_exit_codes
from joyvl_server.core.errors import NotFound

app = typer.Typer(help="Hooks of a running server, where alerts go: list, test.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name or id of the hook.")]


@app.command("list")
def list_hooks(server: Server = DEFAULT, key: Key = None, json_out: Json = False) -> None:
    """List the hooks, with how they are doing."""
    hooks = call(server, key, "GET", "/v1/hooks")["data"]
    if json_out:
        typer.echo(json.dumps(hooks, indent=2, ensure_ascii=False))
        return
    for hook in hooks:
        typer.echo(f"{hook['name']:<20} {hook['kind']:<10} {_state(hook)}")
    if not hooks:
        typer.echo("No hook yet. Add one on the page, under Alerts.")


@app.command("test")
def try_hook(name: Name, server: Server = DEFAULT, key: Key = None) -> None:
    """Send a message to a hook now, and print what came back. Exit code 1 where it was not taken."""
    hook = _find(server, key, name)
    found = call(server, key, "POST", f"/v1/hooks/{hook['id']}/test")
    typer.echo(f"{'Taken' if found['ok'] else 'Not taken'}, after {found['took_s']:.1f} s. {found['message']}")
    if not found["ok"]:
        raise typer.Exit(FAILED)


def _find(server: str, key: str | None, name: str) -> dict[str, Any]:
    for hook in call(server, key, "GET", "/v1/hooks")["data"]:
        if name in (hook["id"], hook["name"]):
            found: dict[str, Any] = hook
            return found
    with errors_as_exit_codes():
        raise NotFound(f"There is no hook {name}.")


def _state(hook: dict[str, Any]) -> str:
    state = hook["state"]
    if not hook["enabled"]:
        return "disabled"
    count = state["waiting"]
    waiting = f"; {count} message{'s wait' if count > 1 else ' waits'}" if count else ""
    if state["ok"] is None:
        return f"nothing sent yet{waiting}"
    return f"{'works' if state['ok'] else (state['last_error'] or 'fails').rstrip('.')}{waiting}"
