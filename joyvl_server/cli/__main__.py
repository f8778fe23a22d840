"""`python -m joyvl_server.cli`: the command without its script."""

from joyvl_server.cli.main import app

app(prog_name="joyvl")
