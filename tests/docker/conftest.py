"""What the tests of docker/ share: our image, made from docker/Dockerfile without Docker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_replay import Image, ImageReplay

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The stages that change seldom were made by scripts/test; those with the server's code are made here."""
    found = subprocess.run([ROOT / "scripts/image-test-env", "--find"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("the stages of the image are not there; as root on Debian run scripts/image-test-env")
    work = tmp_path_factory.mktemp("image")
    yield ImageReplay(Path(found.stdout.strip()), work).make("joyvl")
    subprocess.run(["rm", "-rf", str(work)], check=True)
