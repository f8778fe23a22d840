"""A browser's offer, checked; our answer, with the bit rates that make browsers send the full size at once."""

from __future__ import annotations

import re
from ipaddress import ip_address

from joyvl_server.core.errors import SourceError

MAX_SDP = 65_536
MAX_SECTIONS = 8
MAX_CANDIDATES = 64
_VIDEO_FORMAT = re.compile(r"a=rtpmap:(\d+) (?:VP8|VP9|H264|H265|AV1)/90000", re.IGNORECASE)


def bad_sdp(what: str) -> SourceError:
    return SourceError(f"The offer cannot be used: {what}.", code="bad_sdp")


def check_offer(sdp: str) -> str:
    """The offer, with the candidates left out that no peer has. Raises `SourceError` (bad_sdp) with a sentence."""
    if len(sdp) > MAX_SDP:
        raise bad_sdp(f"it is longer than {MAX_SDP} characters")
    lines = [line.rstrip("\r") for line in sdp.strip().split("\n")]
    if lines[0] != "v=0":
        raise bad_sdp("it is no SDP (it must start with v=0)")
    media = [line for line in lines if line.startswith("m=")]
    if len(media) > MAX_SECTIONS:
        raise bad_sdp(f"it has more than {MAX_SECTIONS} media sections")
    if not any(line.startswith("m=video ") for line in media):
        raise bad_sdp("it has no video in it")
    for needed in ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"):
        if not any(line.startswith(needed) for line in lines):
            raise bad_sdp(f"the line {needed}… is missing")
    if sum(map(_is_candidate, lines)) > MAX_CANDIDATES:
        raise bad_sdp(f"it has more than {MAX_CANDIDATES} candidates")
    return "\r\n".join(line for line in lines if not _is_candidate(line) or _may_be_peer(line)) + "\r\n"


def _is_candidate(line: str) -> bool:
    return line.startswith("a=candidate:")


def _may_be_peer(candidate: str) -> bool:
    """An offer must not make us send packets to metadata services, to groups, or to nowhere."""
    parts = candidate.split()
    if len(parts) < 8 or parts[2].lower() != "udp":
        return False
    try:
        address = ip_address(parts[4])
    except ValueError:
        return parts[4].endswith(".local")  # mDNS: how browsers hide addresses
    address = getattr(address, "ipv4_mapped", None) or address
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)


def with_bitrates(sdp: str, start_kbps: int, least_kbps: int, most_kbps: int) -> str:
    """Our answer with `x-google-…` on the fmtp line of each video format (Chrome starts at 320x240 otherwise)."""
    bitrates = f"x-google-start-bitrate={start_kbps};x-google-min-bitrate={least_kbps};x-google-max-bitrate={most_kbps}"
    lines = sdp.replace("\r\n", "\n").rstrip("\n").split("\n")
    formats = {found.group(1) for line in lines if (found := _VIDEO_FORMAT.fullmatch(line))}
    with_line = {line.split(":", 1)[1].split(" ", 1)[0] for line in lines if line.startswith("a=fmtp:")}
    out = []
    for line in lines:
        found = _VIDEO_FORMAT.fullmatch(line)
        if line.startswith("a=fmtp:") and line.split(":", 1)[1].split(" ", 1)[0] in formats:
            line = f"{line};{bitrates}"
        out.append(line)
        if found and found.group(1) not in with_line:
            out.append(f"a=fmtp:{found.group(1)} {bitrates}")
    return "\r\n".join(out) + "\r\n"


def video_codec_of(sdp: str) -> str | None:
    """The video format that a peer will send after this answer: `vp8`, `h264` …"""
    found = _VIDEO_FORMAT.search(sdp)
    return found.group(0).split(" ")[1].split("/")[0].lower() if found else None
