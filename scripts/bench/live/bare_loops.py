"""What `joyvl bench ingest` compares with: the least that PyAV and aiortc need, each in a process of its own.

    python -m bench.live.bare_loops decode URL COUNT      this many threads that decode and drop
    python -m bench.live.bare_loops receive               a line with an offer in, a line with an answer out
    python -m bench.live.bare_loops call FILE COUNT       the caller: this many offers out, their answers in

Offers and answers are JSON strings, one a line. `ready` is printed when pictures come. Each runs until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError


def decode(url: str, count: int) -> None:
    started = threading.Semaphore(0)

    def run() -> None:
        options = {"rtsp_transport": "tcp", "probesize": "50000", "analyzeduration": "500000"}
        container = av.open(url, options=options)
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "NONE"
        first = True
        for _ in container.decode(stream):
            if first:
                started.release()
                first = False

    for _ in range(count):
        threading.Thread(target=run, daemon=True).start()
    for _ in range(count):
        started.acquire()
    print("ready", flush=True)
    threading.Event().wait()


async def receive() -> None:
    async def drain(track: MediaStreamTrack) -> None:
        try:
            while True:
                await track.recv()
        except MediaStreamError:
            return

    async with asyncio.TaskGroup() as group:
        while line := await asyncio.to_thread(sys.stdin.readline):
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peer.on("track", lambda track: group.create_task(drain(track)))
            await peer.setRemoteDescription(RTCSessionDescription(json.loads(line), "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            print(json.dumps(peer.localDescription.sdp), flush=True)
        await asyncio.Event().wait()


async def connected(peer: RTCPeerConnection) -> None:
    done = asyncio.Event()
    peer.on("connectionstatechange", done.set)
    while peer.connectionState != "connected":
        done.clear()
        await done.wait()


async def call(path: str, count: int) -> None:
    peers = []
    for _ in range(count):
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        # Encoded once and for all, so that the machine's cores are free for what is measured.
        track = MediaPlayer(path, loop=True, decode=False).video
        assert track is not None
        peer.addTrack(track)
        await peer.setLocalDescription(await peer.createOffer())
        print(json.dumps(peer.localDescription.sdp), flush=True)
        answer = json.loads(await asyncio.to_thread(sys.stdin.readline))
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        peers.append(peer)
    await asyncio.gather(*map(connected, peers))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["decode", url, count]:
            decode(url, int(count))
        case ["receive"]:
            asyncio.run(receive())
        case ["call", path, count]:
            asyncio.run(call(path, int(count)))
