"""Sound for clients without a call."""

from __future__ import annotations

import asyncio

import numpy as np

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.sessions.speech.broadcast import MAX_WAITING_S, AudioBroadcast, AudioPiece


def piece(epoch: int, seconds: float = 0.1) -> AudioPiece:
    return AudioPiece(epoch, Pcm(np.full(round(seconds * 8000), epoch, np.int16), 8000))


async def test_every_listener_gets_what_is_sent_while_it_listens_and_nothing_from_before() -> None:
    broadcast = AudioBroadcast()
    broadcast.send(piece(1))
    first, second = broadcast.listen(), broadcast.listen()
    assert broadcast.listeners == 2
    broadcast.send(piece(2))
    assert [(await anext(listening)).epoch for listening in (first, second)] == [2, 2]
    waiting = asyncio.create_task(anext(first))
    await asyncio.sleep(0)
    broadcast.send(piece(3))
    assert (await waiting).epoch == 3
    first.close()
    first.close()
    assert broadcast.listeners == 1


async def test_a_cut_throws_away_what_waits_of_that_utterance() -> None:
    broadcast = AudioBroadcast()
    listening = broadcast.listen()
    for _ in range(3):
        broadcast.send(piece(4))
    broadcast.send(piece(5))
    broadcast.send(AudioPiece(4, None))
    got = [await anext(listening) for _ in range(2)]
    assert [(one.epoch, one.pcm is None) for one in got] == [(5, False), (4, True)]
    assert got[1].to_update() == {"type": "output_audio_buffer.cleared", "epoch": 4}


async def test_a_slow_listener_loses_the_oldest_and_nothing_grows() -> None:
    broadcast = AudioBroadcast()
    listening = broadcast.listen()
    for epoch in range(1, 1001):
        broadcast.send(piece(epoch))
    kept = []
    while len(kept) < MAX_WAITING_S * 10:
        kept.append((await anext(listening)).epoch)
    assert kept[-1] == 1000
    assert kept[0] > 900


def test_an_update_says_rate_and_samples() -> None:
    update = piece(7, 0.001).to_update()
    assert (update["type"], update["epoch"], update["rate"]) == ("response.output_audio.delta", 7, 8000)
    assert Pcm.from_base64(update["delta"], 8000).samples.tolist() == [7] * 8
