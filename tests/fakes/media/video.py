"""Tiny video files drawn with PyAV: a bright square walks over grey, one step a frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

Size = tuple[int, int]


def draw_clip(
    path: Path,
    *,
    size: Size = (160, 120),
    fps: int = 25,
    seconds: float = 2.0,
    codec: str = "libx264",
    gop: int = 25,
    bframes: int = 0,
    sound: bool = False,
    rotation: int = 0,
    aspect: Fraction | None = None,
    shade: int = 60,
    scene_cuts: bool = True,
) -> Path:
    """A clip at `path`; the suffix names the container. Frame n is drawn by `picture(n, size)`.

    Without `scene_cuts` there is a keyframe each `gop` pictures and nowhere else.
    """
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = gop
        if codec == "libx264":
            stream.options = {"preset": "veryfast", "bf": str(bframes)}
            if not scene_cuts:
                stream.options = {**stream.options, "sc_threshold": "0"}
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        tone = out.add_stream("aac", rate=16000, layout="mono") if sound else None
        for number in range(round(fps * seconds)):
            frame = av.VideoFrame.from_ndarray(picture(number, size, shade), "rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if tone is not None:
            _silence(out, tone, seconds)
    return path


def _silence(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for number in range(int(seconds * 16000 / 1024)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, number * 1024, Fraction(1, 16000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode())


def draw_talking(
    path: Path, samples: np.ndarray, *, codec: str = "aac", rate: int = 16000, layout: str = "mono", fps: int = 10
) -> Path:
    """A clip with this sound (int16 at 16 kHz), as long as that."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = out.add_stream(codec, rate=rate, layout=layout)
        sound = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
        sound.sample_rate, sound.pts, sound.time_base = 16000, 0, Fraction(1, 16000)
        fifo = av.AudioFifo()
        for frame in av.AudioResampler(audio.codec_context.format.name, layout, rate).resample(sound):
            fifo.write(frame)
        step = audio.codec_context.frame_size or rate // 50
        for number in range(round(len(samples) / 16000 * fps)):
            frame = av.VideoFrame.from_ndarray(picture(number, (160, 120)), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            out.mux(video.encode(frame))
            while fifo.samples_written - fifo.samples < (number + 1) * rate / fps and fifo.samples >= step:
                out.mux(audio.encode(fifo.read(step)))
        out.mux(video.encode())
        out.mux(audio.encode())
    return path


def draw_sound(path: Path, seconds: float = 1.0) -> Path:
    """A file with sound only."""
    with av.open(str(path), "w") as out:
        _silence(out, out.add_stream("aac", rate=16000, layout="mono"), seconds)
    return path


def picture(number: int, size: Size, shade: int = 60) -> np.ndarray:
    width, height = size
    rgb = np.full((height, width, 3), shade, np.uint8)
    side = max(8, height // 4)
    x = (number * 4) % max(1, width - side)
    rgb[height // 3 : height // 3 + side, x : x + side] = (230, 120, 40)
    return rgb


def join(path: Path, parts: list[Path]) -> Path:
    """One MPEG-TS of several, so that the size changes in the middle."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path
