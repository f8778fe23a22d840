"""What pictures cost in tokens when not every frame is looked at in full: beside `faithful`, one look a second.

The still scene is drawn, ten minutes of it. The clips are played without skipping a second, as with a watch that
depends on time. Pictures go the way of every source: decoded, painted, judged by the gaze of the core.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from av.video.frame import VideoFrame

from bench.still_scene import still_room
from joyvl_server.core.config import Fidelity, ObserverConfig
from joyvl_server.core.errors import SourceError
from joyvl_server.core.frame import Frame, Image
from joyvl_server.core.gaze.gaze import Gaze
from joyvl_server.core.prompt.turns import Look
from joyvl_server.core.prompt.wire_format import image_tokens
from joyvl_server.ingest.worker.frame_encoder import FrameEncoder
from joyvl_server.settings import MediaSettings

COLUMNS = (
    ("footage", "footage"),
    ("fidelity", "fidelity"),
    ("ticks", "ticks"),
    ("full", "full looks"),
    ("glances", "glances"),
    ("skipped", "skipped"),
    ("ratio", "image tokens beside faithful"),
    ("events", "labelled events"),
    ("events_in_full_look", "in a full look within 1 s"),
)
STILL_S = 600
STILL_SEED = 3
NEAR_S = 1.0


@dataclass
class Viewer:
    """A session's gaze whose model is always silent, and what its looks came to. Tokens hold the images' markers."""

    fidelity: Fidelity
    skips: bool = True
    tokens: int = 0
    faithful_tokens: int = 0
    looks: dict[Look, list[float]] = field(default_factory=lambda: {look: [] for look in Look})
    """stream seconds of the ticks by what they cost"""

    def __post_init__(self) -> None:
        self._gaze = Gaze(ObserverConfig(fidelity=self.fidelity))
        self._gaze.timed = not self.skips

    def look(self, frame: Frame) -> None:
        """One tick."""
        glimpse = self._gaze.judge(frame, wanted=False)
        full = _tokens(frame.image)
        self.looks[glimpse.look].append(frame.t)
        self.faithful_tokens += full
        if glimpse.look is not Look.SKIP:
            self._gaze.saw(frame, glimpse)
            self.tokens += full if glimpse.look is Look.FULL or frame.glance is None else _tokens(frame.glance)

    @property
    def ratio(self) -> float:
        return self.tokens / max(1, self.faithful_tokens)

    def covered(self, events: Iterable[float]) -> int:
        """How many of these times have a full look within a second."""
        return sum(any(abs(t - event) <= NEAR_S for t in self.looks[Look.FULL]) for event in events)

    def row(self, footage: str, events: Sequence[float] | None = None) -> dict[str, Any]:
        return {
            "footage": footage,
            "fidelity": self.fidelity,
            "ticks": sum(len(times) for times in self.looks.values()),
            "full": len(self.looks[Look.FULL]),
            "glances": len(self.looks[Look.GLANCE]),
            "skipped": len(self.looks[Look.SKIP]),
            "ratio": self.ratio,
            "events": None if events is None else len(events),
            "events_in_full_look": None if events is None else self.covered(events),
        }


def bench_fidelity(clips: Path | None = None, *, still_s: int = STILL_S) -> dict[str, Any]:
    """`clips`: a folder with labels.json and the videos it names. Raises `SourceError` where it can't be read."""
    rows, ratios = [], []
    for video, events in labelled(clips) if clips is not None else ():
        viewer = Viewer("adaptive", skips=False)
        for frame in painted(every_second(video)):
            viewer.look(frame)
        rows.append(viewer.row(video.name, events))
        ratios.append(viewer.ratio)
    adaptive, eco = still = Viewer("adaptive"), Viewer("eco")
    for frame in painted(enumerate(still_room(still_s, STILL_SEED))):
        for viewer in still:
            viewer.look(frame)
    rows += [viewer.row("drawn still room") for viewer in still]
    return {
        "bench": "fidelity",
        "image_token_ratio_clips": max(ratios, default=None),
        "image_token_ratio_still": adaptive.ratio,
        "image_token_ratio_still_eco": eco.ratio,
        "rows": rows,
        "notes": [
            "Tokens of images are counted as the model family counts them. Clips are played without skipping a second; "
            "their ratio is that of the dearer one, their events are the responses and departures in labels.json."
        ],
    }


def painted(pictures: Iterable[tuple[float, VideoFrame]]) -> Iterator[Frame]:
    """Pictures (stream seconds, frame) as media workers hand them on, with a glance."""
    media = MediaSettings()
    painter = FrameEncoder(media.max_pixels, media.grey_side, media.jpeg_quality)
    for t, video in pictures:
        picture = painter.encode(video, glance=True)
        yield Frame(float(t), float(t), picture.image, picture.grey, picture.glance)


def every_second(path: Path, phase: float = 0.0) -> Iterator[tuple[float, VideoFrame]]:
    """The newest picture at `phase` seconds, and every second after that, with the time it was taken at."""
    newest, due = None, phase
    try:
        with av.open(str(path)) as file:
            for frame in file.decode(video=0):
                while newest is not None and float(frame.time or 0.0) > due:
                    yield newest
                    due += 1.0
                newest = (float(frame.time or 0.0), frame)
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{path} cannot be played: {error}", code="not_a_stream") from error


def labelled(clips: Path) -> list[tuple[Path, list[float]]]:
    """Each video of the folder's labels.json with the times of its events, in stream seconds."""
    try:
        items = json.loads((clips / "labels.json").read_text(encoding="utf-8"))
        return [
            (clips / item["video_name"], sorted(float(t) for t in (*_responses(item), *item.get("departures", ()))))
            for item in items
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"There is no labels.json in {clips} that can be read: {error}", code="not_found") from error


def _responses(item: dict[str, Any]) -> list[str]:
    return [response["time"] for response in item["response"]]


def _tokens(image: Image) -> int:
    return image_tokens(image.width, image.height)
