"""Events and files of a timeline, as its tests need them."""

import os

from joyvl_server.kit.ids import new_id
from joyvl_server.store.events import EventRecord

NOW = 1_800_000_000.0


def remark(**changes):
    values = {
        "id": new_id("evt"),
        "session_id": "ses_1",
        "camera_id": "cam_1",
        "type": "spoke",
        "t": 1.5,
        "wall": NOW,
        "text": "Someone comes in.",
        "data": {"score": 0.75},
    }
    return EventRecord(**{**values, **changes})


class FilesUnderTest:
    """Files of a timeline whose task the test runs."""

    def __init__(self, files, events, db, clock):
        self.files = files
        self.events = events
        self.db = db
        self.clock = clock

    async def add(self, jpeg=b"jpeg", *, written=None, **changes):
        """An event with a picture on disk; `written`: Unix seconds."""
        event = remark(picture=True, **changes)
        self.events.post(event)
        await self.db.write(lambda connection: None)
        path = self.files.folders.path(event.id, event.wall, ".jpg")
        self.files.folders.write(path, jpeg)
        os.utime(path, (written or self.clock.wall(),) * 2)
        return event, path

    async def post(self, jpeg=b"jpeg", **changes):
        """As a session does it."""
        event = remark(**changes)
        kept = self.files.put(event, jpeg)
        self.events.post(remark(**{**changes, "id": event.id, "picture": kept}))
        return event

    async def written(self):
        """All that was posted so far is in files and database."""
        await self.files.removed()
        await self.db.write(lambda connection: None)

    async def get(self, event):
        await self.db.write(lambda connection: None)
        return await self.events.get(event.id)
