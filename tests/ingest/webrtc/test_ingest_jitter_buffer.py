"""When a call's pictures are handed on: packets as senders, networks and retransmissions bring them."""

from __future__ import annotations

import random

import pytest
from aiortc.rtp import RtpPacket

from joyvl_server.ingest.webrtc.jitter_buffer import MarkerJitterBuffer


def packets(frames: int, each: int = 3, *, first: int = 0, marked: bool = True) -> list[RtpPacket]:
    """Frames of `each` packets; the data says which."""
    made = []
    for number in range(frames * each):
        frame, part = divmod(number, each)
        packet = RtpPacket(
            marker=int(marked and part == each - 1),
            sequence_number=(first + number) % 65_536,
            timestamp=(frame * 3000) % 2**32,
        )
        packet._data = f"{frame}.{part} ".encode()
        made.append(packet)
    return made


def padding(after: RtpPacket) -> RtpPacket:
    packet = RtpPacket(sequence_number=(after.sequence_number + 1) % 65_536, timestamp=after.timestamp)
    packet._data = b""
    return packet


def returned(buffer: MarkerJitterBuffer, packets: list[RtpPacket]) -> list[tuple[int, str]]:
    """(number of packets so far, what was handed out)."""
    out = []
    for number, packet in enumerate(packets, 1):
        _, frame = buffer.add(packet)
        if frame is not None:
            out.append((number, frame.data.decode().strip()))
    return out


def test_a_picture_is_returned_with_its_last_packet() -> None:
    assert returned(MarkerJitterBuffer(), packets(3)) == [(3, "0.0 0.1 0.2"), (6, "1.0 1.1 1.2"), (9, "2.0 2.1 2.2")]


def test_pictures_of_one_packet_too() -> None:
    assert returned(MarkerJitterBuffer(), packets(3, each=1)) == [(1, "0.0"), (2, "1.0"), (3, "2.0")]


def test_sequence_numbers_wrap() -> None:
    assert [n for n, _ in returned(MarkerJitterBuffer(), packets(4, first=65_532))] == [3, 6, 9, 12]


def test_a_sender_without_markers_is_served_as_before() -> None:
    assert returned(MarkerJitterBuffer(), packets(3, marked=False)) == [(4, "0.0 0.1 0.2"), (7, "1.0 1.1 1.2")]


def test_packets_in_another_order_wait_for_one_another() -> None:
    a, b, c = packets(1)
    assert returned(MarkerJitterBuffer(), [a, c, b]) == [(3, "0.0 0.1 0.2")]


def test_what_was_lost_delays_the_pictures_after_it() -> None:
    all_of = packets(5)
    lost = all_of.pop(4)
    out = returned(MarkerJitterBuffer(), [*all_of[:8], lost, *all_of[8:]])
    assert [text.split(".")[0] for _, text in out] == ["0", "1", "2", "3", "4"]
    assert out[-1][0] == 15, "it has caught up"


def test_a_packet_that_comes_twice_or_too_late_changes_nothing() -> None:
    all_of = packets(3)
    out = returned(MarkerJitterBuffer(), [*all_of[:4], all_of[1], all_of[2], *all_of[4:]])
    assert [text for _, text in out] == ["0.0 0.1 0.2", "1.0 1.1 1.2", "2.0 2.1 2.2"]


@pytest.mark.parametrize("later", [True, False])
def test_padding_between_pictures_is_no_picture(later: bool) -> None:
    first, second = packets(1), packets(2, first=1)[3:]
    empty = padding(first[-1])
    for number, packet in enumerate(second):
        packet.sequence_number = empty.sequence_number + 1 + number
    order = [*first, empty, *second] if later else [*first, second[0], empty, *second[1:]]
    out = returned(MarkerJitterBuffer(), order)
    assert [text for _, text in out] == ["0.0 0.1 0.2", "1.0 1.1 1.2"]


def test_a_sender_that_marks_every_packet_is_found_out() -> None:
    """Some mark each slice: then only the next timestamp ends a picture."""
    all_of = packets(6)
    for packet in all_of:
        packet.marker = 1
    out = [text for _, text in returned(MarkerJitterBuffer(), all_of)]
    assert out[-3:] == ["2.0 2.1 2.2", "3.0 3.1 3.2", "4.0 4.1 4.2"]


def test_whatever_the_network_does_pictures_stay_whole_and_in_order_and_catch_up() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        each = chance.randint(2, 5)
        all_of = packets(40, each, first=chance.choice((0, 65_500)))
        calm = 20 * each  # from then on they come in order
        order = sorted(range(1, calm), key=lambda n: n + chance.uniform(0, 8))
        out = returned(MarkerJitterBuffer(), [all_of[n] for n in [0, *order, *range(calm, len(all_of))]])
        assert [text for _, text in out] == [" ".join(f"{n}.{part}" for part in range(each)) for n in range(40)]
        assert out[-1][0] == len(all_of)
