"""What a media worker gets from main when it starts. Plain data: a worker loads no settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from joyvl_server.ingest.shared_frames import FrameLayout
from joyvl_server.ingest.worker.clips.limits import ClipLimits
from joyvl_server.ingest.worker.deadlines import Timeouts
from joyvl_server.kit.net.policy import NetPolicy


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Names as in `MediaSettings`; `slots`: sources at once; `clips`: None for none; `udp_ports`: first and last, for
    calls, None for any."""

    slots: int
    max_pixels: int
    grey_side: int
    jpeg_quality: int
    open_timeout_s: float
    stall_timeout_s: float
    call_timeout_s: float
    start_bitrate_kbps: int
    min_bitrate_kbps: int
    max_bitrate_kbps: int
    policy: NetPolicy
    clips: ClipLimits | None = None
    udp_ports: tuple[int, int] | None = None

    @property
    def layout(self) -> FrameLayout:
        return FrameLayout(self.slots, self.max_pixels, self.grey_side)

    @property
    def timeouts(self) -> Timeouts:
        return Timeouts(self.open_timeout_s, self.stall_timeout_s)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "policy": self.policy.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> WorkerConfig:
        clips = None if data["clips"] is None else ClipLimits(**data["clips"])
        ports = None if data["udp_ports"] is None else tuple(data["udp_ports"])
        policy = NetPolicy.from_dict(data["policy"])
        return cls(**{**data, "policy": policy, "clips": clips, "udp_ports": ports})
