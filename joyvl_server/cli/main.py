"""The command `joyvl`: one file a command."""

from __future__ import annotations

import typer

from joyvl_server.cli import bench, cameras, config, engine, memory, replay, serve, version, watch
from joyvl_server.cli.access import keys
from joyvl_server.cli.agents import commands as agents
from joyvl_server.cli.alerts import hooks
from joyvl_server.cli.doctor import command as doctor
from joyvl_server.cli.doctor.bundle import command as bundle
from joyvl_server.cli.models import commands as models
from joyvl_server.cli.secrets import commands as secrets
from joyvl_server.cli.speech import voices
from joyvl_server.cli.upkeep import backup, reload

app = typer.Typer(
    name="joyvl",
    help="A server that is present in a live video: every second it stays silent, speaks or delegates.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("watch")(watch.watch)
app.command("replay")(replay.replay)
app.command("version")(version.version)
app.command("doctor")(doctor.doctor)
app.command("support-bundle")(bundle.support_bundle)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(agents.app, name="agents")
app.add_typer(cameras.app, name="cameras")
config.app.command("reload")(reload.reload)
config.app.command("log-level")(reload.log_level)
app.add_typer(config.app, name="config")
app.add_typer(hooks.app, name="hooks")
app.add_typer(engine.app, name="engine")
app.add_typer(keys.app, name="keys")
app.add_typer(memory.app, name="memory")
app.add_typer(models.app, name="models")
app.add_typer(secrets.app, name="secrets")
app.add_typer(voices.app, name="voices")
app.add_typer(bench.app, name="bench")
