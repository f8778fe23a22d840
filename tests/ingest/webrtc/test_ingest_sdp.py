"""Offers from anywhere, and our answer's bit rates."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joyvl_server.core.errors import SourceError
from joyvl_server.ingest.webrtc.sdp import MAX_SDP, check_offer, video_codec_of, with_bitrates

OFFER = "\r\n".join(
    [
        "v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=fingerprint:sha-256 AA:BB",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "a=ice-ufrag:abcd", "a=ice-pwd:0123456789", "a=rtpmap:96 VP8/90000", "",
    ]
)  # fmt: skip


def candidate(address: str, transport: str = "udp") -> str:
    return f"a=candidate:1 1 {transport} 2122194687 {address} 47229 typ host generation 0"


def test_a_good_offer_passes_as_it_is() -> None:
    assert check_offer(OFFER) == OFFER
    assert check_offer(OFFER.replace("\r\n", "\n")) == OFFER


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        ("", "no SDP"),
        ("hello", "no SDP"),
        ('{"type": "offer"}', "no SDP"),
        (OFFER.replace("m=video", "m=text"), "no video"),
        (OFFER.replace("a=ice-ufrag:abcd\r\n", ""), "a=ice-ufrag"),
        (OFFER.replace("a=fingerprint:sha-256 AA:BB\r\n", ""), "a=fingerprint"),
        (OFFER + "m=video 9 X 96\r\n" * 9, "media sections"),
        (OFFER + (candidate("10.0.0.1") + "\r\n") * 65, "candidates"),
        (OFFER + "a=x\r\n" * MAX_SDP, "longer than"),
    ],
)
def test_a_bad_one_is_refused_with_a_sentence(offer: str, says: str) -> None:
    with pytest.raises(SourceError, match=says) as caught:
        check_offer(offer)
    assert caught.value.code == "bad_sdp"


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("192.168.1.7", True),
        ("127.0.0.1", True),
        ("fd00::2", True),
        ("b1c2d3e4.local", True),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("224.0.0.251", False),
        ("0.0.0.0", False),
        ("::ffff:169.254.169.254", False),
        ("metadata.internal", False),
    ],
)
def test_candidates_cannot_send_us_anywhere(address: str, kept: bool) -> None:
    assert (address in check_offer(OFFER + candidate(address) + "\r\n")) is kept


def test_tcp_candidates_are_left_out() -> None:
    assert "tcp" not in check_offer(OFFER + candidate("10.0.0.1", "tcp") + "\r\n")


@given(st.text())
def test_nothing_but_a_source_error_comes_out(text: str) -> None:
    for offer in (text, OFFER + text):
        with suppress(SourceError):
            assert check_offer(offer).startswith("v=0")


def test_every_video_format_gets_the_bit_rates() -> None:
    answer = "\r\n".join(
        [
            "v=0", "m=audio 9 X 111", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10",
            "m=video 9 X 97 98 99", "a=rtpmap:97 VP8/90000", "a=rtcp-fb:97 nack", "a=rtpmap:98 rtx/90000",
            "a=fmtp:98 apt=97", "a=rtpmap:99 H264/90000", "a=fmtp:99 packetization-mode=1", "",
        ]
    )  # fmt: skip
    lines = with_bitrates(answer, 2500, 1250, 4000).split("\r\n")
    wish = "x-google-start-bitrate=2500;x-google-min-bitrate=1250;x-google-max-bitrate=4000"
    assert [line for line in lines if line.startswith("a=fmtp:")] == [
        "a=fmtp:111 minptime=10",
        f"a=fmtp:97 {wish}",
        "a=fmtp:98 apt=97",
        f"a=fmtp:99 packetization-mode=1;{wish}",
    ]
    assert [line for line in lines if "x-google" not in line] == [
        line for line in answer.split("\r\n") if not line.startswith("a=fmtp:99")
    ]
    assert video_codec_of(answer) == "vp8"
    assert video_codec_of("v=0\r\n") is None
