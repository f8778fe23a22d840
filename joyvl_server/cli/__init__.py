"""The command `joyvl`: one file a command."""
