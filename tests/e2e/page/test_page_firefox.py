"""A call of real Firefox, with the machine's own microphone and loudspeaker, against the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fakes.media.speech import need_speech, spoken
from fakes.patience import wait_until
from fakes.server.firefox import firefox
from fakes.server.server import ServerProcess
from fakes.server.sound_card import sound_card
from joyvl_server.kit.audio.pcm import Pcm

pytestmark = [pytest.mark.browser, pytest.mark.slow]

QUESTION = "Is the front door open?"
HEARS = """() => {
  window.peers = [];
  window.played = [];
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(...how) { super(...how); window.peers.push(this); }
  };
  const { play } = HTMLMediaElement.prototype;
  HTMLMediaElement.prototype.play = function () {
    if (this instanceof HTMLAudioElement) window.played.push(this);
    return play.call(this);
  };
  window.loudest = 0;
  setInterval(() => {
    window.loudest = Math.max(window.loudest, Number(document.querySelector(".meter")?.dataset.level ?? 0));
  }, 50);
}"""
ENERGY = """async () => {
  const all = await Promise.all(window.peers.map((peer) => peer.getStats()));
  const sounds = all.flatMap((stats) => [...stats.values()]).filter((one) => one.type === "inbound-rtp");
  return Math.max(0, ...sounds.map((one) => one.totalAudioEnergy ?? 0));
}"""
LISTENING = "() => window.played.some((one) => !one.paused && !one.muted && one.currentTime > 0)"
CONNECTED = "() => document.querySelector('.live[data-call=connected]') && location.hash.split('/').pop()"


@contextmanager
def told(server: ServerProcess) -> Iterator[None]:
    """The server's last words, which pytest shows beside a failure."""
    try:
        yield
    finally:
        print("".join(server.log[-20:]))


def test_a_spoken_question_is_heard_and_its_answer_too(speech_env: tuple[Path, Path], tmp_path: Path) -> None:
    need_speech()
    python, models = speech_env
    environment = {
        "JOYVL_SPEECH__MODELS_DIR": str(models), "JOYVL_SPEECH__ASR": "whisper", "JOYVL_SPEECH__TTS": "espeak",
        "JOYVL_SPEECH__ASR_OPTIONS": json.dumps({"whisper": {"model": "tiny.en", "python": str(python)}}),
    }  # fmt: skip
    with (
        sound_card(tmp_path / "sound") as card,
        ServerProcess(tmp_path / "server", env=environment) as server,
        firefox(tmp_path / "firefox", card) as page,
        card.recording(),
        told(server),
    ):
        page.open(f"{server.url}/#/live")
        page.run(HEARS)
        page.click("Use this webcam")
        session_id = page.until(CONNECTED)
        speech = lambda: server.call("GET", f"/v1/sessions/{session_id}")["speech"]  # noqa: E731
        server.wait(lambda: speech()["hears"] and speech()["audible"])
        page.until("() => document.querySelector('.meter') !== null")
        assert page.run(ENERGY) == 0
        silence = np.zeros(16_000, np.int16)
        card.say(Pcm(np.concatenate([silence, spoken(QUESTION), silence]), 16_000))
        page.until("() => window.loudest > 0.2")
        page.until("() => /front door/.test(document.querySelector('.line.asked')?.innerText)")
        page.until(f"async () => await ({ENERGY})() > 0")
        page.until(LISTENING)
        page.until("() => /can't answer/.test(document.querySelector('.said-text')?.innerText)")
        page.until("() => [...document.querySelectorAll('.hearing')].some((one) => one.textContent === 'Heard')")
        wait_until(lambda: np.abs(card.heard.astype(int)).max(initial=0) > 2000)
        page.click("Hang up")
        page.until("() => document.querySelector('.live[data-call]') === null")
        server.wait(lambda: server.call("GET", "/v1/realtime/calls")["data"] == [])
