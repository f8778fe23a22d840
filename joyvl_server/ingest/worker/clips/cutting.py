"""One clip from main's request to the answer."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.base import ClipOrder
from joyvl_server.ingest.channel import Message
from joyvl_server.ingest.worker.clips.recorder import ClipRecorder

STILL = "no picture came any more"


async def cut(recorder: ClipRecorder, message: Message) -> Message:
    """`message`: the fields of a `ClipOrder`, and `limit_s`, after which the clip is made of what there is.

    Returns the fields of a `CutClip`. Raises `SourceError`. Cancelled, the file may still be written.
    """
    order = ClipOrder(Path(message["path"]), message["t"], message["before_s"], message["after_s"])
    outcome = recorder.cut(order)
    written = asyncio.wrap_future(outcome)
    done, _ = await asyncio.wait({written}, timeout=message["limit_s"])
    if not done:
        recorder.hurry(outcome, STILL)
        done, _ = await asyncio.wait({written}, timeout=message["limit_s"])
    if not done:
        raise SourceError("There is no clip: the disk does not keep up.", code="timeout")
    return asdict(written.result())
