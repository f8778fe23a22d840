"""What a session that goes on for long holds of the pictures it has seen."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from fakes.media.frames import plain_grey
from fakes.observing import Shell
from joyvl_server.core.frame import Grey


@pytest.mark.parametrize("follows_instructions", [True, False])
def test_grey_pictures_are_gone_soon_after_their_second(follows_instructions: bool) -> None:
    shell = Shell(follows_instructions=follows_instructions, needs_every_frame=not follows_instructions)
    seen: list[weakref.ref[Grey]] = []
    for t in range(60):
        grey = np.array(plain_grey())
        seen.append(weakref.ref(grey))
        shell.tick(float(t), grey=grey)
        del grey
        shell.score(float(t), 0.0)
    gc.collect()
    assert sum(ref() is not None for ref in seen) <= 3
