"""The reference of the command line, written from the commands themselves: `python -m joyvl_server.cli.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

HEAD = """# Commands

`python -m joyvl_server.cli.reference` makes this page from the commands; a test checks it. Every command has `--help`.

A command that fails prints one sentence on stderr and ends with 1, or with 2 when settings or arguments are wrong.
`joyvl watch` ends with 3 when the engine decided nothing, or had stopped deciding at the end. Ctrl-C ends it with 130.

Commands that talk to a server over https trust what the system trusts and the certificate that a self-signed server
keeps in its data folder. On another machine, `JOYVL_CA` names a copy of that file ([security](../security.md#https)).
"""


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below this one with its whole name. Typer's own copy of click has no public types."""
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from commands(command.get_command(None, name), f"{path} {name}")
    else:
        yield path, command


def markdown() -> str:
    from joyvl_server.cli.main import app

    parts = [HEAD]
    for path, command in commands(typer.main.get_command(app), "joyvl"):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join([path, *(_argument(a) for a in arguments)])
        parts.append(f"## `{usage}`\n\n{(command.help or '').strip()}\n")
        rows = [_row(p) for p in command.params if p.name != "help"]
        if rows:
            parts.append("| option | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").upper()
    return name if argument.required else f"[{name}]"


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        name = ", ".join(f"`{o}`" for o in [*parameter.opts, *parameter.secondary_opts])
        env = f" Environment: `{parameter.envvar}`." if parameter.envvar else ""
        default = parameter.default
        shown = "" if default in (None, False, "") or callable(default) else f"`{default}`"
    else:
        name, env, shown = f"`{(parameter.name or '').upper()}`", "", ""
    help_text = (getattr(parameter, "help", None) or "").replace("|", "\\|")
    return f"| {name} | {help_text}{env} | {shown} |"


if __name__ == "__main__":
    print(markdown(), end="")
