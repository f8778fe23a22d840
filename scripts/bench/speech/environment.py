"""Where the engines of speech and their real weights are, that `scripts/speech-test-env` builds."""

from __future__ import annotations

import subprocess
from pathlib import Path

from joyvl_server.core.errors import JoyvlError

SCRIPT = Path(__file__).parents[2] / "speech-test-env"


def find_environment() -> Path:
    """The folder, with bin/python and models. Raises `JoyvlError` where it was not built; builds nothing."""
    found = subprocess.run([SCRIPT, "--find"], capture_output=True, text=True)
    if found.returncode:
        raise JoyvlError("The engines of speech are not there. Build them first: scripts/speech-test-env")
    return Path(found.stdout.strip().splitlines()[-1])
