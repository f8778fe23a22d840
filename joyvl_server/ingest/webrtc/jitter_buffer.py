"""A video jitter buffer that returns a picture when its last packet is there, not when the next picture begins.

aiortc's knows that a picture is whole only from the timestamp after it, so every picture is as old as the time to the
next one: 33 ms at 30 fps, 67 at 15. RTP's marker bit says it at once (RFC 7741 for VP8, RFC 6184 for H.264).
"""

from __future__ import annotations

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

CAPACITY = 512
"""Packets, as aiortc's own for video."""
AUDIO_CAPACITY, AUDIO_PREFETCH = 8, 1
"""Packets of sound: aiortc's own 16 and 4 hold every word back by a tenth of a second, and by a third after a loss."""
AUDIO_DELAY_S = 0.02 * (AUDIO_PREFETCH + 1)
_FIELD = "_RTCRtpReceiver__jitter_buffer"


class MarkerJitterBuffer(JitterBuffer):
    """Does as aiortc's from the moment on when a sender marks packets within a picture.

    Where several pictures become whole at once, after a lost packet was sent again, each packet that follows returns
    one of them.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        super().__init__(capacity, is_video=True)
        self._trusted = True
        self._marked: int | None = None
        """sequence number of the newest packet with a marker"""
        self._last_timestamp: int | None = None
        """timestamp of the picture that a marker ended last"""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Whether a whole picture must be asked for (PLI), and the next picture if it is whole."""
        wants_keyframe, frame = super().add(packet)
        if self._packets[packet.sequence_number % self._capacity] is packet:
            self._record(packet)
        if frame is not None and not frame.data:
            frame = None  # padding between pictures; a decoder would take it for the end
        if frame is None and self._trusted:
            frame = self._whole()
        return wants_keyframe, frame

    def _record(self, packet: RtpPacket) -> None:
        if packet.marker:
            self._marked = packet.sequence_number
        if packet.timestamp == self._last_timestamp and _data(packet):
            self._trusted = False

    def _whole(self) -> JitterFrame | None:
        """The first picture, if no packet of it is missing up to its marker."""
        origin, marked = self._origin, self._marked
        if origin is None or marked is None or (marked - origin) % 65_536 >= self._capacity:
            return None
        parts: list[bytes] = []
        timestamp = None
        for count in range(self._capacity):
            packet = self._packets[(origin + count) % self._capacity]
            if packet is None:
                return None
            if _data(packet):
                if timestamp not in (None, packet.timestamp):
                    return None
                timestamp = packet.timestamp
                parts.append(_data(packet))
            if packet.marker:
                self.remove(count + 1)
                if timestamp is None:
                    return None
                self._last_timestamp = timestamp
                return JitterFrame(b"".join(parts), timestamp)
        return None


def _data(packet: RtpPacket) -> bytes:
    data: bytes = packet._data  # type: ignore[attr-defined]
    return data


def use_short_buffer(receiver: RTCRtpReceiver) -> bool:
    """Give an audio receiver that has not begun a shorter buffer. False: this aiortc keeps its own elsewhere."""
    if not isinstance(getattr(receiver, _FIELD, None), JitterBuffer):
        return False
    setattr(receiver, _FIELD, JitterBuffer(AUDIO_CAPACITY, AUDIO_PREFETCH))
    return True


def use_marker_buffer(receiver: RTCRtpReceiver) -> bool:
    """Give a video receiver that has not begun such a buffer. False: this aiortc keeps its own elsewhere."""
    if not isinstance(getattr(receiver, _FIELD, None), JitterBuffer):
        return False
    setattr(receiver, _FIELD, MarkerJitterBuffer())
    return True
