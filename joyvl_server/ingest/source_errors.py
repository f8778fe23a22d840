"""What went wrong with a source, in words: from libav's errors to `SourceError`, and what to do about it."""

from __future__ import annotations

import errno
import socket
import time
from urllib.parse import urlsplit

import av
from av import error as averror

from joyvl_server.core.errors import SourceError

HINTS = {
    "unreachable": "Check the address, and that the camera is switched on and in the same network.",
    "refused": "Check the port: RTSP cameras mostly use 554. The camera may still be starting.",
    "timeout": "The camera may be busy or starting. Check the port, and try again in a minute.",
    "unauthorized": "Check user name and password. Write special characters in them with % (like %40 for @).",
    "not_found": "Check the path behind the host name, upper and lower case too. The camera's manual names it.",
    "not_a_stream": "Check that the address is the camera's RTSP address, not that of its web page.",
    "redirected": "Register the address of the stream itself; the camera's manual or its web page names it.",
    "no_video": "Choose another stream of this camera, or a file with pictures in it.",
    "unknown_codec": "Set the camera to H.264, or convert the file.",
    "stalled": "The camera may be overloaded or hang. Restarting it often helps.",
    "lost": "Nothing to do if it comes back by itself; else look at the camera and its network.",
    "not_allowed": "Use an address that this server allows, or change the `net` and `media` settings.",
}
REACH_TIMEOUT_S = 1.3
"""Long enough for a second SYN where the first was lost."""
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)


def hint(code: str) -> str | None:
    """What a person may do about an error with this code."""
    return HINTS.get(code)


def at_open(error: av.FFmpegError, url: str, timeout_s: float, *, late: bool) -> SourceError:
    """Why opening failed. `late`: the time for it was over. The sentences hold no part of the URL.

    libav reports much as "invalid data", so we ask an RTSP server ourselves: blocks for two seconds at most.
    """
    match error:
        case averror.HTTPUnauthorizedError() | averror.HTTPForbiddenError():
            return SourceError("The camera answered but refused the user name or password.", code="unauthorized")
        case averror.HTTPNotFoundError():
            return SourceError("The camera answered but has no stream at this path.", code="not_found")
        case averror.HTTPError():
            return SourceError("The camera answered that it cannot send the stream now.", code="not_a_stream")
    if urlsplit(url).scheme != "rtsp":
        return _at_file(error)
    if late:
        return SourceError(f"No stream within {timeout_s:g} s.", code="timeout")
    if isinstance(error, ConnectionRefusedError):
        return _refused()
    return diagnose_rtsp(url)


def _at_file(error: av.FFmpegError) -> SourceError:
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return SourceError("The file does not exist, or the server may not read it.", code="not_found")
    return SourceError("The file is not a video file that can be read, or it is damaged.", code="not_a_stream")


def camera_gone(error: av.FFmpegError | None, stall_s: float, *, late: bool) -> SourceError:
    """Why a camera's pictures stopped. `late`: none came in time. A clean end (`error` None) too means it went away."""
    if late:
        return SourceError(f"The camera is connected but sent no picture for {stall_s:g} s.", code="stalled")
    if error is None:
        return SourceError("The camera ended the connection.", code="lost")
    return SourceError("The connection to the camera broke.", code="lost")


def no_picture_in_file() -> SourceError:
    return SourceError("The file has no picture that can be decoded.", code="not_a_stream")


def file_broken() -> SourceError:
    return SourceError("The rest of the file cannot be read: it is damaged or was cut off.", code="lost")


def diagnose_rtsp(url: str) -> SourceError:
    """Why did a camera not open? Says RTSP's hello and looks at what comes back. Blocks for two seconds at most."""
    try:
        answer = _hello(url, 2.0)
    except OSError as error:
        return at_connect(error)
    if answer.startswith(b"RTSP/"):
        return SourceError("The camera speaks RTSP but its stream cannot be understood.", code="not_a_stream")
    return SourceError("Something answers there, but it is not an RTSP camera.", code="not_a_stream")


def at_connect(error: OSError) -> SourceError:
    """Why there was no connection to a camera."""
    if isinstance(error, ConnectionRefusedError):
        return _refused()
    if isinstance(error, TimeoutError):
        return SourceError("The camera does not answer.", code="timeout")
    if error.errno in UNREACHABLE:
        return SourceError("The camera's address cannot be reached from here.", code="unreachable")
    return SourceError("Something answers there, but it closes the connection.", code="not_a_stream")


def why_unreachable(url: str) -> SourceError | None:
    """Why a camera that was away cannot be back yet; None where something answers, and opening is worth a try.

    Costs a connection, without a password. Blocks for `REACH_TIMEOUT_S` at most.
    """
    try:
        _hello(url, REACH_TIMEOUT_S)
    except OSError as error:
        return at_connect(error)
    return None


def _hello(url: str, timeout_s: float) -> bytes:
    parts = urlsplit(url)
    end = time.monotonic() + timeout_s
    with socket.create_connection((parts.hostname, parts.port or 554), timeout_s) as connection:
        connection.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: joyvl\r\n\r\n")
        connection.settimeout(max(0.05, end - time.monotonic()))
        return connection.recv(2048)  # all of it: closing with something unread would reset the connection


def _refused() -> SourceError:
    return SourceError("The camera's host is there but refuses connections to this port.", code="refused")
