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
    kinds = {line.split(" ", 1)[0] for line in media}
    if "m=video" not in kinds and not kinds >= {"m=audio", "m=application"}:
        raise bad_sdp("it has no video in it (a call of sound alone needs a data channel for pictures)")
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


def hearing_mid(offer: str) -> str | None:
    """The mid of the first audio section whose other side takes sound; None where there is none."""
    session, *sections = _sections(offer)
    default = _direction(session) or "sendrecv"
    for section in sections:
        kind, port = section[0].split(" ")[:2]
        if kind == "m=audio" and port != "0" and (_direction(section) or default) in ("sendrecv", "recvonly"):
            return _mid(section)
    return None


def audio_codec_of(sdp: str, mid: str) -> str | None:
    """The first audio format of that section, which is the one that is sent: `opus`, `pcmu` …"""
    for section in _sections(sdp):
        if section[0].startswith("m=audio ") and _mid(section) == mid:
            first = section[0].split(" ")[3]
            names = [line.split(" ")[1] for line in section if line.startswith(f"a=rtpmap:{first} ")]
            return names[0].split("/")[0].lower() if names else None
    return None


def _sections(sdp: str) -> list[list[str]]:
    """The lines of the session, then those of each of its media."""
    sections: list[list[str]] = [[]]
    for line in sdp.replace("\r\n", "\n").split("\n"):
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def _direction(section: list[str]) -> str | None:
    found = (line[2:] for line in section if line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"))
    return next(found, None)


def _mid(section: list[str]) -> str:
    return next((line.removeprefix("a=mid:") for line in section if line.startswith("a=mid:")), "")
