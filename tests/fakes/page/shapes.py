"""Shapes and words that `page.world` serves."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

PRESSURES = [
    ("none", "The engine keeps up."),
    ("glances", "Short of engine time: the engine gets small pictures where little changed."),
    ("slower", "Short of engine time: the engine looks less often at still cameras."),
    ("full", "Short of engine time: the engine takes no further session."),
]
NOTE = "The engine motion does not read words: this watch fires at anything."


def rfc3339(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def source_state(status: str) -> dict[str, Any]:
    known = status == "online"
    return {
        "status": status,
        "since": rfc3339(time.time()),
        "error_code": None,
        "error": None,
        "retry_in_s": None,
        "attempts": 0,
        "width": 640 if known else None,
        "height": 360 if known else None,
        "fps": 25.0 if known else None,
        "codec": "h264" if known else None,
    }


def engine_ready() -> dict[str, Any]:
    return {"status": "ready", "code": None, "reason": None, "since": rfc3339(time.time())}


def speech_facts(voice: str) -> dict[str, Any]:
    """What a session tells of its sound: the page speaks itself, or gets the sound of an engine of the server."""
    speaks = {"off": "off", "auto": "client", "browser": "client"}.get(voice, "server")
    return {
        "speaks": speaks,
        "audible": False,
        "hears": False,
        "plays": False,
        "half_duplex": False,
        "error": None,
    }


def server_voices() -> list[dict[str, str]]:
    """A few good voices, and an engine with one for each language, as `GET /v1/voices` lists them."""
    plain = [
        "af", "bg", "ca", "cs", "da", "de", "el", "es", "et", "fi", "fr-be", "hu", "it", "nl", "pl", "pt", "ro", "ru",
        "sk", "sv", "tr", "uk", "vi",
    ]  # fmt: skip
    listed = [
        ("espeak", "en-gb", "en-gb", "English (Great Britain)"),
        ("espeak", "en-us", "en-us", "English (America)"),
        *(("espeak", tag, tag, tag) for tag in plain),
        ("kokoro", "af_heart", "en-US", "Heart"),
        ("kokoro", "zf_xiaoxiao", "zh", "Xiaoxiao"),
        ("piper", "en_US-joe-medium", "en-US", "joe"),
    ]
    return [
        {"id": f"{engine}:{voice}", "engine": engine, "language": tag, "name": name}
        for engine, voice, tag, name in listed
    ]


STRUCTURE = {
    "mode": "structure",
    "note": "",
    "follows_instructions": False,
    "scores": True,
    "reports_kinds": True,
    "needs_every_frame": True,
}
"""What the engine motion can do, as far as the page looks at it."""
SCORED = {
    **STRUCTURE,
    "mode": "scored",
    "note": "The server does not tell how full its cache is.",
    "follows_instructions": True,
    "reports_kinds": False,
    "needs_every_frame": False,
}
"""What an engine with the interaction model can do."""


def probe_report(url: str) -> dict[str, Any]:
    nothing = {
        "width": None,
        "height": None,
        "fps": None,
        "codec": None,
        "has_audio": False,
        "keyframe_interval_s": None,
    }
    if "wrong" in url:
        return {
            "ok": False,
            "took_s": 0.21,
            **nothing,
            "error_code": "unauthorized",
            "error": "The camera refused the user name or the password.",
            "hint": "Write them into the URL: rtsp://user:password@host/path.",
            "extra": {},
        }
    return {
        "ok": True,
        "took_s": 0.34,
        "width": 1280,
        "height": 720,
        "fps": 25.0,
        "codec": "h264",
        "has_audio": True,
        "keyframe_interval_s": 2.0,
        "error_code": None,
        "error": None,
        "hint": None,
        "extra": {},
    }
