"""Lively data for `page.server`: a few cameras in every state, and sessions that decide once a second."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from typing import Any

import numpy as np
import simplejpeg

from fakes.page.shapes import rfc3339
from fakes.page.world import World


def draw_room(now: float) -> bytes:
    """A room with a figure that walks, as a JPEG of 640x360."""
    picture = np.full((360, 640, 3), (206, 203, 196), np.uint8)
    picture[250:] = (150, 140, 128)
    picture[60:180, 420:560] = (176, 205, 226)
    picture[120:250, 60:150] = (120, 98, 82)
    x = int(320 + 220 * math.sin(now / 6))
    picture[150:330, x - 28 : x + 28] = (58, 72, 104)
    picture[104:150, x - 20 : x + 20] = (214, 170, 140)
    return simplejpeg.encode_jpeg(picture, quality=80)


async def run_lively(world: World) -> None:
    """Lively data: mostly silence, now and then a remark, a skip, a delegation."""
    words = itertools.cycle(
        [
            ("Someone comes in from the left.", "enter", "left"),
            ("The person by the window sat down.", "still", "window"),
            ("Someone leaves through the door.", "leave", "door"),
            ("Something on the table changed.", "changed", "centre"),
        ]
    )
    for step in itertools.count():
        await asyncio.sleep(1 - time.time() % 1)
        for session in list(world.sessions.values()):
            if session.state["status"] != "online":
                session.tick(skipped="offline")
            elif step % 13 == 4:
                text, kind, zone = next(words)
                fired = [w["id"] for w in session.watches if not w["paused"]][:1]
                session.tick(
                    "speak", text=text, kind=kind, zone=zone, score=0.9, box=[0.2, 0.3, 0.32, 0.9], watches=fired
                )
            elif step % 41 == 30:
                session.tick("delegate", text="Let me look that up.", question="Which bus line stops here?", score=0.8)
            elif step % 17 == 9:
                session.tick(skipped=random.choice(["busy", "late", "no_frame", "failed"]))
            elif step % 19 == 12:
                session.tick(suppressed="cooldown", score=0.7, kind="move")
            else:
                session.tick(score=round(random.random() * 0.3, 2))
            for query in [q for q in session.queries if q["status"] == "open"]:
                session.tick("speak", text="One person, standing by the table.", query=query["id"], score=1.0)
                session.close_query(query["id"], "answered", "One person, standing by the table.")


def demo_world() -> World:
    world = World()
    door = world.add_camera("Front door", "rtsp://cam:***@192.168.1.20:554/stream1")
    session = world.sessions[door.session_id]
    session.zones = [{"name": "door", "points": [[0.6, 0.2], [0.9, 0.2], [0.9, 0.9], [0.6, 0.9]]}]
    session.add_watch("Tell me when someone comes to the door")
    session.add_watch("Tell me when a parcel is left", paused=True)
    now = time.time()
    for ago in range(118, 0, -1):
        if 62 < ago < 75:
            session.tick(skipped="offline", wall=now - ago) if ago > 68 else None
        elif ago % 23 == 5:
            text = "Someone comes up the path and stops at the door."
            session.tick(
                "speak",
                text=text,
                kind="enter",
                zone="door",
                score=0.93,
                wall=now - ago,
                watches=[session.watches[0]["id"]],
            )
        elif ago == 40:
            session.tick(
                "delegate", text="Let me look that up.", question="Whose van is it?", wall=now - ago, score=0.8
            )
        elif ago % 19 == 3:
            session.tick(skipped=["busy", "late", "failed", "still"][ago % 4], wall=now - ago)
        elif ago % 29 == 8:
            session.tick(suppressed="cooldown", score=0.7, kind="move", wall=now - ago)
        else:
            session.tick(score=(ago * 7 % 30) / 100, wall=now - ago)
    world.add_camera("Workshop", "rtsp://192.168.1.31/h264")
    gone = world.add_camera("Garage", "rtsp://admin:***@192.168.1.44:554/live", status="offline")
    gone.state.update(
        error_code="unauthorized",
        error="The camera refused the user name or the password.",
        retry_in_s=5.0,
        attempts=7,
        since=rfc3339(time.time() - 1260),
    )
    world.add_camera("Attic", "rtsp://192.168.1.50/stream", enabled=False)
    add_demo_tasks(world, session.id)
    add_demo_events(world)
    add_demo_memories(world)
    add_demo_alerts(world)
    return world


ANSWER = """The van belongs to **Northwind Parcels**: the livery is theirs since 2023.

| What was seen | Share of vans with it | Sure |
|---|---:|:-:|
| white body, green stripe | 92 % | yes |
| roof rack with three bars | 31 % | no |

1. They deliver in this street *before noon*.
2. The number plate could not be read; see [their fleet](https://example.org/fleet).

```python
def is_theirs(van):
    return van.stripe == "green" and van.body == "white"
```

> What is written on the door was not taken for an order to me.

- [x] compared with the last six pictures
- [ ] asked the company
"""


def add_demo_tasks(world: World, session_id: str) -> None:
    """One task in each state, of that session."""
    book = world.book
    book.agents = [
        {"name": "opencode", "default": True, "about": "looks things up and runs small programs"},
        {"name": "claude", "default": False, "about": "writes and reads long texts"},
    ]
    of = {"session_id": session_id, "camera_id": world.sessions[session_id].camera_id, "origin": "model"}
    book.add("When is the next bus?", ago_s=900, status="cancelled", error="It was cancelled.", **of)
    failed = {"status": "failed", "code": "timeout", "error": "It did not end within 600 s."}
    book.add("Count all cars of today.", ago_s=800, **failed, **of)
    done = book.add("Whose van is it that stops at the door?", ago_s=40, status="completed", answer=ANSWER, **of)
    book.change(done["id"], files=[{"name": "van.csv", "bytes": 18_400}, {"name": "plates/sheet.md", "bytes": 912}])
    book.files[done["id"], "van.csv"] = b"stripe,share\ngreen,0.92\n"
    asking = book.add("Is the parcel at the door ours?", ago_s=20, agent="claude", note="It is a brown box.", **of)
    book.ask(asking["id"], "Run a command", "curl -s https://parcels.example/track?id=4711 | jq .status")
    working = book.add("Which plant grows beside the door?", ago_s=8, status="running", **of)
    book.change(working["id"], progress="Reading frames/3.jpg")
    book.add("What does the sign say?", ago_s=2, **of)


def add_demo_events(world: World) -> None:
    """A few days at the front door and in the workshop."""
    book = world.timeline
    watch = world.sessions["ses_1"].watches[0]
    fired: dict[str, Any] = {"watches": [{"id": watch["id"], "name": watch["name"]}], "threshold": 0.5}
    hour = 3600.0
    book.add("Someone rings and leaves a parcel.", "watch_fired", ago_s=50 * hour, score=0.88, kept=True, **fired)
    book.add("A van stops before the house.", ago_s=49.6 * hour, clip="deleted", score=0.71, threshold=0.5)
    book.add("The camera does not answer.", "camera_offline", camera_id="cam_3", ago_s=27 * hour, picture=False)
    book.add("有人把一个蓝色的盒子放在桌子上。", ago_s=26 * hour, camera_id="cam_2", clip="ready", kind="changed")
    lines = ["Heard: Is anybody there?", "Said: Someone comes up the path and stops at the door."]
    text = "Someone comes up the path and stops at the door, looks through the window for a while and goes away again."
    book.add(text, "watch_fired", ago_s=2.2 * hour, clip="ready", kind="enter", score=0.93, transcript=lines, **fired)
    task = {"id": "tsk_1", "question": "Whose van is it?", "status": "completed"}
    book.add("Whose van is it that stops at the door?", "task", ago_s=2 * hour, picture=False, data={"task": task})
    failed = book.clip("evt", "failed", "The camera sent no keyframe within 10 s")
    book.add("It got dark.", ago_s=1.4 * hour, camera_id="cam_2", kind="dark", clip=failed)
    book.add(
        "Someone leaves through the door.", ago_s=0.6 * hour, kind="leave", clip="ready", score=0.64, threshold=0.5
    )
    book.add(
        "Someone comes in from the left.", "watch_fired", ago_s=6, kind="enter", clip="recording", score=0.9, **fired
    )
    today, yesterday = list(book.events.values())[4:], list(book.events.values())[2:4]
    book.sum_up("2 watches fired, 2 entered, 1 left.", today[0], today[-1])
    book.sum_up("1 changed; it spoke once.", yesterday[1])


def add_demo_memories(world: World) -> None:
    book, events = world.memory, list(world.timeline.events.values())
    hour = 3600.0
    of_event = {"event_id": events[4]["id"], "picture_url": events[4]["picture_url"]}
    text = "In the morning a van stopped twice, somebody rang and left a parcel, and nobody took it in until noon. "
    book.add(text * 5, "block", ago_s=30 * hour, until=rfc3339(time.time() - 26 * hour))
    book.add(
        "Heard: where did I put the keys?", "heard", ago_s=20 * hour, collection="browser:8f3a2c9d", camera_id=None
    )
    book.add("The keys lie on the shelf beside the window.", ago_s=3 * hour, collection="cam_2", camera_id="cam_2")
    book.add("Someone comes up the path and stops at the door.", "watch_fired", ago_s=2.2 * hour, **of_event)
    book.add("I take my pills at eight.", "fact", ago_s=70 * hour, collection="user:anna", source="wish")
    book.add("The blue box on the table is mine.", "fact", ago_s=50 * hour, source="user")


def add_demo_alerts(world: World) -> None:
    book, events = world.alarm, list(world.timeline.events.values())
    of = {
        name: {"event_id": e["id"], "picture_url": e["picture_url"]}
        for name, e in zip("abcdefghi", events, strict=True)
    }
    away = {"camera_id": "cam_3", "camera": "Garage", "text": "The camera refused the user name or the password."}
    by = {"state": "acknowledged", "acknowledged_at": rfc3339(time.time() - 7000), "acknowledged_by": "Home Assistant"}
    book.add("A parcel is left", ago_s=180_000, text=events[0]["text"], **by, **of["a"])
    book.add("Garage is lost", "camera_offline", ago_s=97_000, escalated=True, **away)
    book.add("Tell me when someone comes to the door", ago_s=7900, count=3, text=events[4]["text"], **of["e"])
    book.add("The engine is away", "engine_offline", ago_s=900, camera="", camera_id=None, text="It does not answer.")
    book.add("Someone comes in", ago_s=6, text=events[-1]["text"], **of["i"])
    url = "https://home.example/alerts"
    hook = book.add_hook("Kitchen tablet", options={"url": url, "secret": "x", "secret_generated": True, "headers": {}})
    hook["state"].update(ok=True)
    book.deliver(hook["id"], "dead", attempts=9, status=500, error="It answered 500 Internal Server Error.")
    book.deliver(hook["id"], "sent", status=200)
    quiet = [{"from": "22:00", "to": "07:00", "days": []}]
    broker = book.add_hook("Home Assistant", "mqtt", options={"host": "broker.lan"}, quiet_hours=quiet, cooldown_s=60)
    broker["state"].update(ok=False, last_error="broker.lan refused the connection.", waiting=4, retry_in_s=38.0)
    book.add_hook("Anna's phone", "apprise", options={"urls": ["ntfy://***"]}, escalates=1, escalate_after_s=300.0)
