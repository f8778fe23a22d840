"""Between libav and a camera while its stream is being opened.

libav follows a redirect to any address and sends the password there too, and has no option against it. So it gets a
loopback address of ours, and only we connect to the camera, at the address that was checked. The camera's answers are
read and written in one plain form: what libav might read in another way than we did does not get through,
and an answer that redirects ends the attempt. After OPTIONS and DESCRIBE libav follows no redirect any more. So once
the stream runs the camera's connection takes the place of the one to us, and nothing more stands between the two.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
import struct
import termios
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from joyvl_server.ingest.rtsp.answers import PACKET_HEAD, NotRtsp, Redirected, RtspAnswers, packet_size
from joyvl_server.ingest.worker.deadlines import Deadline

CHUNK = 65_536
SEND_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
POLL_S = 0.1
STEP_S = 0.0005
"""Seconds between two checks whether libav has read the packet before."""


class RtspProxy:
    """One attempt to open the camera at a checked RTSP URL: connects at once, in the caller's thread.

    Blocks until it is connected; raises `OSError`, `TimeoutError` once `timeout_s` or the deadline are over. `url` is
    what libav opens. `failure` says why the proxy ended a connection: `Redirected`, `NotRtsp`, None. Whoever made it
    closes it; `close` may be called twice.
    """

    def __init__(self, url: str, timeout_s: float, deadline: Deadline) -> None:
        parts = urlsplit(url)
        self.failure: Redirected | NotRtsp | None = None
        self._lock = threading.Lock()
        self._answers = RtspAnswers()
        self._client: socket.socket | None = None
        self._libav_fd = -1
        self._handed_over = self._wanted = False
        self._camera = _connect((parts.hostname or "", parts.port or 554), timeout_s, deadline)
        try:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        except OSError:
            self._camera.close()
            raise
        self._listener.settimeout(timeout_s)
        userinfo, at_sign, _ = parts.netloc.rpartition("@")
        here = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = parts._replace(netloc=f"{userinfo}{at_sign}{here}").geturl()
        self._thread = threading.Thread(target=self._run, name="rtsp proxy", daemon=True)
        self._thread.start()

    def hand_over(self) -> bool:
        """Put the camera's connection in the place of libav's to us, if nothing is under way at this moment.

        Only for the thread that uses libav's container, while libav is not reading. True: from now on the proxy does
        nothing. False: something was under way; ask again after the next packet. Until then the proxy passes packets on
        one by one, each when libav has read the one before, so that a moment without any comes also in a dense stream.
        """
        self._wanted = True
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._handed_over or self._client is None or not self._answers.whole:
                return self._handed_over
            if not _is_end_of(self._client, self._libav_fd) or not _drained(self._client, self._libav_fd):
                return False
            os.dup2(self._camera.fileno(), self._libav_fd, inheritable=False)
            self._handed_over = True
            return True
        except OSError:
            return False
        finally:
            self._lock.release()

    def close(self) -> None:
        """Ends its thread and its connections. What libav said last (TEARDOWN) is passed on before, for a moment."""
        self._thread.join(CLOSE_TIMEOUT_S if self._client is not None and self.failure is None else 0.0)
        for end in (self._listener, self._client, None if self._handed_over else self._camera):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._client = self._accept()
            self._listener.close()
            self._pass_on(self._client)
        except (Redirected, NotRtsp) as failure:
            self.failure = failure
        except OSError:
            pass  # one of the two is gone; libav notices it, and says so in its own words
        finally:
            for end in (self._listener, self._client, self._camera):
                if end is not None:
                    end.close()

    def _accept(self) -> socket.socket:
        """libav's connection; other programs of this machine get none."""
        while True:
            client, _ = self._listener.accept()
            libav_fd = next((fd for fd in map(int, os.listdir("/dev/fd")) if _is_end_of(client, fd)), None)
            if libav_fd is not None:
                self._libav_fd = libav_fd
                client.settimeout(None)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return client
            client.close()

    def _pass_on(self, client: socket.socket) -> None:
        """Until one side ends, or the camera's connection was handed over."""
        poller = select.poll()
        for end in (client, self._camera):
            poller.register(end, select.POLLIN)
        while True:
            for ready, _ in poller.poll():
                from_camera = ready != client.fileno()
                if from_camera and self._wanted and self._libav_is_behind:
                    time.sleep(STEP_S)
                    continue
                with self._lock:
                    if self._handed_over:
                        return
                    source = self._camera if from_camera else client
                    data = source.recv(self._portion() if from_camera else CHUNK)
                    if not data:
                        return
                    if from_camera:
                        client.sendall(self._answers.feed(data))
                    else:
                        self._camera.sendall(data)

    @property
    def _libav_is_behind(self) -> bool:
        with suppress(OSError):
            return _count(self._libav_fd, termios.FIONREAD) > 0
        return False

    def _portion(self) -> int:
        """How much to read of what the camera sends: one packet at most where libav's thread wants to take over."""
        if not self._wanted:
            return CHUNK
        if self._answers.whole:
            head = self._camera.recv(PACKET_HEAD, socket.MSG_PEEK)
            return packet_size(head) if head[:1] == b"$" and len(head) == PACKET_HEAD else PACKET_HEAD
        return self._answers.missing or CHUNK


def _connect(address: tuple[str, int], timeout_s: float, deadline: Deadline) -> socket.socket:
    """A connection to an IP address. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setblocking(False)
        failure = made.connect_ex(address)
        end = time.monotonic() + timeout_s
        poller = select.poll()
        poller.register(made, select.POLLOUT)
        while failure == errno.EINPROGRESS:
            if poller.poll(POLL_S * 1000):
                failure = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            elif deadline.passed or time.monotonic() > end:
                failure = errno.ETIMEDOUT
        if failure:
            raise OSError(failure, os.strerror(failure))
        made.settimeout(SEND_TIMEOUT_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        made.close()
        raise
    return made


def _is_end_of(client: socket.socket, descriptor: int) -> bool:
    """Is this descriptor of ours the other end of a loopback connection?"""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with socket.socket(fileno=os.dup(descriptor)) as other:
            return (other.getsockname(), other.getpeername()) == (client.getpeername(), client.getsockname())
    except OSError:
        return False


def _drained(client: socket.socket, libav_fd: int) -> bool:
    """Has each side read all that the other sent? What the kernel cannot tell counts as no."""
    unread = (_count(client.fileno(), termios.FIONREAD), _count(libav_fd, termios.FIONREAD))
    unsent = (_count(client.fileno(), termios.TIOCOUTQ), _count(libav_fd, termios.TIOCOUTQ))
    return not any((*unread, *unsent))


def _count(descriptor: int, what: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(descriptor, what, bytes(4)))[0])
