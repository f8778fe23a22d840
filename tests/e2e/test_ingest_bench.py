"""`joyvl bench ingest` in small: its own camera and caller, and a row for each."""

from __future__ import annotations

import av
import pytest
from bench import ingest as bench
from bench.live.rtsp_camera import encode, packetise

from fakes.media.told import Told
from fakes.patience import until
from joyvl_server.ingest.base import PullSpec
from joyvl_server.ingest.hub import MediaHub
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.settings import MediaSettings


@pytest.mark.slow
def test_it_measures_a_camera_and_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CAMERAS", (("RTSP tiny", 320, 240, 15),))
    monkeypatch.setattr(bench, "CALL", (320, 240, 15))
    monkeypatch.setattr(bench, "ROUNDS", 1)
    monkeypatch.setattr(bench, "WARM_UP_S", 0.3)
    result = bench.bench_ingest(1.5)
    assert [row["source"] for row in result["rows"]] == ["RTSP tiny, 15 fps", "call, VP8 320x240, 15 fps"]
    for row in result["rows"]:
        assert set(row) == {key for key, _ in bench.COLUMNS}
        assert row["worker_percent"] > 0
        assert row["main_percent"] > 0  # what the sessions cost is counted too
        assert row["ticks"] >= 2
    assert result["notes"]


async def test_its_camera_is_one_that_the_hub_can_watch() -> None:
    hub = MediaHub(MediaSettings(), NetPolicy())
    try:
        async with bench._process("bench.live.rtsp_camera", "160", "120", "15") as camera:
            url = f"rtsp://127.0.0.1:{int(await bench._line(camera))}/bench"
            source = await hub.open("cam", PullSpec(url), Told())
            await until(lambda: source.state.status == "online")
            frame = await source.look()
            assert (frame.image.width, frame.image.height) == (160, 120)
            assert source.state.fps == pytest.approx(15, abs=0.5)
    finally:
        await hub.aclose()


def test_large_units_go_in_fragments_and_come_together_again() -> None:
    units = encode(320, 240, 10)
    assert len(units) == 40
    nal = bytes([0x65]) + bytes(range(256)) * 20
    payloads = packetise([b"\x67small", nal])
    assert payloads[0] == b"\x67small"
    assert all(len(payload) <= 1402 for payload in payloads)
    assert [payload[1] & 0xC0 for payload in payloads[1:]] == [0x80, 0, 0, 0x40]
    assert bytes([payloads[1][0] & 0xE0 | payloads[1][1] & 0x1F]) + b"".join(p[2:] for p in payloads[1:]) == nal
    decoder = av.CodecContext.create("h264", "r")
    first = decoder.decode(av.Packet(b"".join(b"\0\0\0\1" + nal for nal in units[0]))) + decoder.decode(None)
    assert (first[0].width, first[0].height) == (320, 240)
