"""Names of MQTT topics. Names of cameras and watches go into them cleaned, beside their ids, which keep them apart."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

SLUG = 40
"""Longest cleaned name, in characters: a topic holds 65,535 bytes, and people read it."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def slug(name: str) -> str:
    """A name as one level of a topic: letters and digits of any script, in lower case, with `_` for all the rest.

    Empty where it holds neither. Two names may come to the same, so an id goes with it.
    """
    text = unicodedata.normalize("NFKC", name[: 10 * SLUG]).casefold()
    words = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in text).split()
    return "_".join(words)[:SLUG].strip("_")


def level(name: str, ident: str) -> str:
    """`front_door-cam_01jd…`: one level of a topic, and of this id alone."""
    return "-".join(filter(None, (slug(name), safe_id(ident))))


def safe_id(ident: str) -> str:
    """An id as it may stand in topics and in names of Home Assistant (letters, digits, `_`, `-`). Ids of ours stay as
    they are; another one is cleaned, and ends with a digest, so that no two become one."""
    if _ID.fullmatch(ident):
        return ident
    digest = hashlib.sha256(ident.encode(errors="surrogatepass")).hexdigest()[:12]
    return "-".join(filter(None, (slug(ident).encode("ascii", "ignore").decode(), digest)))


def prefix_fault(text: str) -> str | None:
    """Why this cannot be the beginning of topics, in words; None where it can."""
    if not text or len(text) > 200:
        return "write between 1 and 200 characters"
    if any(c in "#+" or not c.isprintable() for c in text):
        return "a topic to publish holds no #, + or control character"
    if text.startswith(("/", "$")) or text.endswith("/") or "//" in text:
        return "write it without / at its ends and without $ before it, like home/joyvl"
    return None


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of a hook. `prefix`: what they begin with; `discovery`: what Home Assistant's begin with."""

    prefix: str
    discovery: str = "homeassistant"

    @property
    def status(self) -> str:
        """`online` while the server is connected, else `offline` (also by its last will)."""
        return f"{self.prefix}/status"

    @property
    def alerts(self) -> str:
        """Every alert."""
        return f"{self.prefix}/alerts"

    @property
    def last_event(self) -> str:
        """The newest alert of the server, kept by the broker."""
        return f"{self.prefix}/last_event"

    @property
    def event(self) -> str:
        """What Home Assistant takes as an event, of no camera."""
        return f"{self.prefix}/event"

    @property
    def home_assistant(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.discovery}/status"

    @property
    def acknowledge(self) -> str:
        """For the newest open alert of all."""
        return f"{self.prefix}/acknowledge"

    @property
    def snooze(self) -> str:
        return f"{self.prefix}/snooze"

    @property
    def commands(self) -> tuple[str, ...]:
        """What to subscribe to, to be told what to do."""
        ours = ("acknowledge", "snooze")
        return tuple(f"{self.prefix}/{name}" for name in ours) + tuple(f"{self.prefix}/+/{name}" for name in ours)

    @property
    def kept(self) -> tuple[str, ...]:
        """What to subscribe to, to know which alerts an earlier run has left there."""
        return self.last_event, f"{self.prefix}/+/last_event"

    @property
    def node(self) -> str:
        """What names of Home Assistant begin with: servers that share a broker have prefixes of their own."""
        return safe_id(self.prefix)

    def camera(self, camera_id: str, name: str) -> CameraTopics:
        return CameraTopics(f"{self.prefix}/{level(name, camera_id)}")

    def config(self, component: str, device: str, entity: str) -> str:
        """Where the description of an entity stands for Home Assistant."""
        return f"{self.discovery}/{component}/{device}/{entity}/config"


@dataclass(frozen=True, slots=True)
class CameraTopics:
    base: str

    @property
    def status(self) -> str:
        """`online` while the camera sends pictures, else `offline`."""
        return f"{self.base}/status"

    @property
    def available(self) -> str:
        """`online` while the camera is enabled, else `offline`."""
        return f"{self.base}/available"

    @property
    def alerts(self) -> str:
        return f"{self.base}/alerts"

    @property
    def event(self) -> str:
        return f"{self.base}/event"

    @property
    def last_event(self) -> str:
        return f"{self.base}/last_event"

    @property
    def picture(self) -> str:
        """The JPEG of the last alert, or its address."""
        return f"{self.base}/picture"

    @property
    def acknowledge(self) -> str:
        return f"{self.base}/acknowledge"

    @property
    def snooze(self) -> str:
        return f"{self.base}/snooze"

    def watch(self, watch_id: str, name: str) -> str:
        """`ON` while the watch has fired lately, else `OFF`."""
        return f"{self.base}/watches/{level(name, watch_id)}"
