"""A camera may not send us where it likes, nor collect the password for another host."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from fakes.media.odd_camera import OddCamera
from fakes.media.told import Told
from fakes.patience import PATIENCE_S
from joyvl_server.core.errors import SourceError
from joyvl_server.ingest import backoff
from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.audio.source_sound import SoundTeller
from joyvl_server.ingest.base import PullSpec
from joyvl_server.ingest.rtsp.proxy import RtspProxy
from joyvl_server.ingest.worker.deadlines import Deadline, Timeouts, libav_obeys
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.opening import MAX_REDIRECTS, open_source
from joyvl_server.ingest.worker.probe import probe
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.ingest.worker.pull import PullSource
from joyvl_server.kit.net.policy import NetPolicy

PASSWORD = "hunter2"
ELSEWHERE = "127.0.0.3"
DENYING = NetPolicy(deny=(f"{ELSEWHERE}/32",))
CHALLENGE = b'WWW-Authenticate: Basic realm="x"\r\n'
DIGEST = b'WWW-Authenticate: Digest realm="x", nonce="1"\r\n'


def cseq(request: bytes) -> bytes:
    return next(line for line in request.split(b"\r\n") if line.lower().startswith(b"cseq")) + b"\r\n"


def with_password(camera: OddCamera) -> str:
    return camera.url.replace("rtsp://", f"rtsp://cam:{PASSWORD}@")


def why_not(url: str, policy: NetPolicy, timeout_s: float = 2.0) -> SourceError:
    target = policy.check(url)
    deadline = Deadline(time.monotonic() + timeout_s)
    with pytest.raises(SourceError) as caught, libav_obeys(deadline):
        open_source(target, Timeouts(timeout_s, timeout_s), deadline).close()
    assert PASSWORD not in str(caught.value)
    return caught.value


def credentials(camera: OddCamera) -> list[bytes]:
    lines = [line for request in camera.requests for line in request.split(b"\r\n")]
    return [line for line in lines if line.lower().startswith(b"authorization")]


def sending_to(where: OddCamera, method: bytes = b"OPTIONS", status: bytes = b"302 Moved") -> OddCamera:
    """A camera that is like others until it is asked `method`."""

    def answer(request: bytes) -> bytes:
        if not request.startswith(method):
            return camera.reply(request)
        return b"RTSP/1.0 " + status + b"\r\n" + cseq(request) + b"Location: " + where.url.encode() + b"\r\n\r\n"

    camera = OddCamera(answer=answer)
    return camera


@pytest.mark.parametrize("method", [b"OPTIONS", b"DESCRIBE", b"SETUP", b"PLAY"])
@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"302 Found", b"303 See Other", b"305 Use Proxy"])
def test_the_policy_is_asked_where_a_redirect_leads(method: bytes, status: bytes) -> None:
    with OddCamera(host=ELSEWHERE) as elsewhere, sending_to(elsewhere, method, status) as camera:
        error = why_not(with_password(camera), DENYING)
        assert error.code == "not_allowed"
        assert f"redirects to {elsewhere.url}" in str(error)
        assert "net.deny" in str(error)
        assert camera.connections == 1
        assert elsewhere.connections == 0


def test_a_probe_says_so_too() -> None:
    with OddCamera(host=ELSEWHERE) as elsewhere, sending_to(elsewhere) as camera:
        report = probe(with_password(camera), DENYING, Timeouts(2.0, 2.0))
        assert (report.ok, report.error_code) == (False, "not_allowed")
        assert "redirects to" in (report.error or "")
        assert elsewhere.connections == 0


@pytest.mark.parametrize("challenge", [CHALLENGE, DIGEST])
@pytest.mark.parametrize("method", [b"OPTIONS", b"DESCRIBE"])
def test_the_password_stays_with_its_host(method: bytes, challenge: bytes) -> None:
    def ask(request: bytes) -> bytes:
        return b"RTSP/1.0 401 Unauthorized\r\n" + cseq(request) + challenge + b"\r\n"

    for host in (ELSEWHERE, "127.0.0.1"):  # on the registered host another port is another service
        with OddCamera(host=host, answer=ask) as elsewhere, sending_to(elsewhere, method) as camera:
            assert why_not(with_password(camera), NetPolicy()).code == "unauthorized"
            assert elsewhere.requests
            assert credentials(elsewhere) == []


def test_a_camera_that_has_seen_the_password_cannot_pass_it_on() -> None:
    def answer(request: bytes) -> bytes:
        if b"Authorization" not in request:
            return b"RTSP/1.0 401 Unauthorized\r\n" + cseq(request) + CHALLENGE + b"\r\n"
        return b"RTSP/1.0 302 Moved\r\n" + cseq(request) + b"Location: " + elsewhere.url.encode() + b"\r\n\r\n"

    def ask(request: bytes) -> bytes:
        return b"RTSP/1.0 401 Unauthorized\r\n" + cseq(request) + CHALLENGE + b"\r\n"

    with OddCamera(host=ELSEWHERE, answer=ask) as elsewhere, OddCamera(answer=answer) as camera:
        why_not(with_password(camera), NetPolicy())
        assert credentials(camera)
        assert credentials(elsewhere) == []


@pytest.mark.parametrize("location", ["rtsp://127.0.0.1:{port}/other", "/other", "rtsp://u:v@127.0.0.1:{port}/other"])
def test_on_the_same_host_and_port_it_is_asked_for_as_registered(location: str) -> None:
    def answer(request: bytes) -> bytes:
        if b"/odd" in request.split(b"\r\n")[0]:
            where = location.format(port=camera.port).encode()
            return b"RTSP/1.0 302 Moved\r\n" + cseq(request) + b"Location: " + where + b"\r\n\r\n"
        if b"Authorization" not in request:
            return b"RTSP/1.0 401 Unauthorized\r\n" + cseq(request) + CHALLENGE + b"\r\n"
        return b"RTSP/1.0 404 Not Found\r\n" + cseq(request) + b"\r\n"

    with OddCamera(answer=answer) as camera:
        assert why_not(with_password(camera), NetPolicy()).code == "not_found"
        sent = base64.b64encode(f"cam:{PASSWORD}".encode())
        assert credentials(camera) == [b"Authorization: Basic " + sent]


@pytest.mark.parametrize(
    "where", ["", "  ", "http://127.0.0.1/x", "rtsps://127.0.0.3/x", "file:///etc/passwd", "rtsp://a b/x"]
)
def test_what_is_no_rtsp_address_is_refused(where: str) -> None:
    with OddCamera(
        answer=lambda request: b"RTSP/1.0 302 Moved\r\n" + cseq(request) + b"Location: " + where.encode() + b"\r\n\r\n"
    ) as camera:
        error = why_not(camera.url, NetPolicy())
        assert error.code in ("redirected", "not_allowed")
        assert "redirects" in str(error)
        assert camera.connections == 1


@pytest.mark.parametrize(
    "where", ["[::ffff:127.0.0.3]", "127.0.0.3", "169.254.169.254", "[::ffff:a9fe:a9fe]", "0.0.0.0"]
)
def test_every_spelling_of_a_refused_address(where: str) -> None:
    with OddCamera(
        answer=lambda request: (
            b"RTSP/1.0 302 Moved\r\n" + cseq(request) + f"Location: rtsp://{where}:9/x\r\n\r\n".encode()
        )
    ) as camera:
        assert why_not(camera.url, DENYING).code == "not_allowed"


def test_a_name_is_resolved_once_and_its_address_is_what_we_connect_to() -> None:
    asked: list[str] = []

    def resolve(name: str) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else [ELSEWHERE]

    registered = DENYING.check(f"rtsp://cam:{PASSWORD}@127.0.0.1:554/x")
    found = registered.redirected("rtsp://rebinding.example:554/y", registered, resolve=resolve)
    assert found.url == f"rtsp://cam:{PASSWORD}@127.0.0.1:554/y"
    with pytest.raises(SourceError, match="rebinding"):
        registered.redirected("rtsp://rebinding.example:554/y", registered, resolve=resolve)


def test_a_camera_that_redirects_to_itself_is_left_alone_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    with OddCamera(
        answer=lambda request: (
            b"RTSP/1.0 302 Moved\r\n" + cseq(request) + b"Location: " + camera.url.encode() + b"\r\n\r\n"
        )
    ) as camera:
        error = why_not(with_password(camera), NetPolicy())
        assert (error.code, camera.connections) == ("redirected", MAX_REDIRECTS + 1)
        camera.connections = 0
        monkeypatch.setattr(backoff, "STEPS", ((0.05, 5),))
        told = Told()
        source = PullSource(
            PullSpec(camera.url),
            NetPolicy(),
            Timeouts(2.0, 2.0),
            FramePublisher(told, GreyHistory(192)),
            Hearing(SoundTeller(told), live=True),
        )
        source.start()
        told.wait(lambda reports: len(reports) >= 3)
        assert source.close(5.0)
        assert set(told.codes) == {"redirected"}
        assert camera.connections <= (len(told) + 1) * (MAX_REDIRECTS + 1)


DISGUISES: dict[str, Callable[[bytes], list[bytes]]] = {
    "byte by byte": lambda moved: [bytes([byte]) for byte in moved],
    "a carriage return in the number": lambda moved: [moved.replace(b"302", b"3\r02")],
    "line feeds alone": lambda moved: [moved.replace(b"\r\n", b"\n")],
    "many spaces": lambda moved: [moved.replace(b" 302 ", b"    302    ")],
    "another version": lambda moved: [moved.replace(b"RTSP/1.0", b"RTSP/2.0")],
    "no reason": lambda moved: [moved.replace(b" Moved", b"")],
    "a tab": lambda moved: [moved.replace(b"RTSP/1.0 302", b"RTSP/1.0\t302")],
    "more digits": lambda moved: [moved.replace(b"302", b"302x")],
    "a zero byte": lambda moved: [moved.replace(b"302", b"302\0")],
    "an empty line before": lambda moved: [b"\r\n" + moved],
    "a packet before": lambda moved: [b"$\0\0\4abcd" + moved],
    "a packet in the head": lambda moved: [moved.replace(b"Location", b"$\0\0\4abcdLocation")],
    "a request before": lambda moved: [b"OPTIONS rtsp://x RTSP/1.0\r\nCSeq: 9\r\n\r\n" + moved],
    "a request to redirect before": lambda moved: [
        b"REDIRECT rtsp://x RTSP/1.0\r\n" + moved.split(b"\r\n", 1)[1] + moved
    ],
    "a length that is none": lambda moved: [moved.replace(b"\r\n\r\n", b"\r\nContent-Length: -5\r\n\r\n")],
    "two lengths": lambda moved: [
        b"RTSP/1.0 200 OK\r\nContent-Length: 400\r\nContent-Length: 0\r\n\r\n" + moved,
    ],
    "behind an answer": lambda moved: [b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE\r\n\r\n" + moved],
    "behind a body": lambda moved: [b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc" + moved],
    "behind junk": lambda moved: [b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\njunk\r\n" + moved],
    "behind a long line": lambda moved: [b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nX: " + b"y" * 4095 + b"\n" + moved],
    "in a reason": lambda moved: [b"RTSP/1.0 200 OK" + b" " * 4090 + moved],
}


@pytest.mark.parametrize("how", DISGUISES)
def test_no_disguise_of_a_redirect_reaches_libav(how: str) -> None:
    """Whatever comes of it: nobody is sent to the other address."""

    def talk(request: bytes) -> bytes | None:
        moved = b"RTSP/1.0 302 Moved\r\n" + cseq(request) + b"Location: " + elsewhere.url.encode() + b"\r\n\r\n"
        *before, last = DISGUISES[how](moved)
        for piece in before:
            camera.send(piece)
        return last

    with OddCamera(host=ELSEWHERE) as elsewhere, OddCamera(answer=talk) as camera:
        why_not(with_password(camera), DENYING, timeout_s=1.0)
        assert camera.requests
        assert elsewhere.connections == 0


def test_opening_leaves_neither_thread_nor_descriptor() -> None:
    def held() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/dev/fd"))

    with OddCamera(host=ELSEWHERE) as elsewhere:
        for camera in (
            sending_to(elsewhere),
            sending_to(elsewhere, b"PLAY"),
            OddCamera(answer=lambda _: b"SSH-2.0\r\n"),
        ):
            url = camera.url
            before = held()
            with camera:
                for _ in range(3):
                    why_not(url, DENYING, timeout_s=1.0)
            now = held()
            assert now[0] <= before[0]
            assert now[1] <= before[1]


@pytest.mark.processes
def test_another_program_gets_nothing_through_the_proxy() -> None:
    with OddCamera() as camera:
        proxy = RtspProxy(camera.url, 5.0, Deadline())
        try:
            port = int(proxy.url.split(":")[-1].split("/")[0])
            say = (
                "import socket,sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5); "
                "s.sendall(b'OPTIONS * RTSP/1.0\\r\\nCSeq: 1\\r\\n\\r\\n'); print(s.recv(99))"
            )
            stranger = subprocess.run(
                [sys.executable, "-c", say, str(port)], capture_output=True, text=True, timeout=PATIENCE_S
            )
            assert "RTSP" not in stranger.stdout
            assert camera.requests == []
        finally:
            proxy.close()


@pytest.mark.parametrize("location", ["rtsp://[camera/x", "//]", "rtsp://["])
def test_an_address_that_nobody_can_read_is_a_fault_of_the_camera(location: str) -> None:
    registered = NetPolicy().check("rtsp://cam:hunter2@192.168.1.20:554/x")
    with pytest.raises(SourceError) as caught:
        registered.redirected(location, registered)
    assert caught.value.code == "redirected"
