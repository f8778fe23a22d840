"""What decodes video here: the libraries inside our Python packages; no ffmpeg program is needed."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import av

from joyvl_server.cli.doctor.report import Finding, ok, problem, warning
from joyvl_server.cli.doctor.threads import off_loop

DECODERS = {"h264": "H.264", "hevc": "H.265", "vp8": "VP8", "opus": "Opus", "aac": "AAC"}
NEEDED = ("h264", "vp8", "opus")
WIDTH, HEIGHT = 64, 48


class CodecCheck:
    """See `Check`. Tries H.264 with a picture; of the others it looks whether the decoder is there."""

    name = "video"
    limit_s = 20.0

    async def run(self) -> Iterable[Finding]:
        return [await off_loop(self._look)]

    def _look(self) -> Finding:
        missing = [name for name in DECODERS if not has_decoder(name)]
        version = ".".join(map(str, av.library_versions.get("libavcodec", ())))
        if lost := [DECODERS[name] for name in missing if name in NEEDED]:
            return problem(
                f"This libavcodec ({version}) cannot decode {', '.join(lost)}: cameras or calls show nothing.",
                "Install the package av from PyPI again, whose libraries have these decoders: pip install "
                "--force-reinstall av",
            )
        if why := try_h264():
            return problem(
                f"H.264 was tried with a drawn picture, and failed: {why}.", "pip install --force-reinstall av"
            )
        if missing:
            names = ", ".join(DECODERS[name] for name in missing)
            return warning(
                f"This libavcodec ({version}) cannot decode {names}.", "Set cameras to H.264, or install av from PyPI."
            )
        return ok(f"H.264, H.265 and VP8 can be decoded (libavcodec {version}); H.264 was tried with a picture.")


def has_decoder(name: str) -> bool:
    try:
        return bool(av.codec.Codec(name, "r").name)
    except (ValueError, av.error.FFmpegError):
        return False


def try_h264() -> str:
    """Encode one picture and decode it again: why that failed, empty where it worked. Blocks."""
    try:
        encoder = av.CodecContext.create("libx264", "w")
    except (ValueError, av.error.FFmpegError):
        return ""  # without an encoder there is nothing to try
    try:
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoder.time_base = Fraction(1, 25)
        decoder = av.CodecContext.create("h264", "r")
        picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        packets = [*encoder.encode(picture), *encoder.encode(None)]
        frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    except (ValueError, av.error.FFmpegError) as error:
        return str(error)
    return "" if frames else "no picture came out"
