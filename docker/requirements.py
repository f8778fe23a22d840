"""Prints what pyproject.toml asks for, one requirement a line: of the server and of the extras named, with commas."""

import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = [name for name in sys.argv[1].split(",") if name]
wanted = [*project["dependencies"], *(line for name in extras for line in project["optional-dependencies"][name])]
print(*wanted, sep="\n")
