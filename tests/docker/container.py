"""Starts a replayed image as Docker would: its user, a read-only root, nothing of the host's network, no capabilities.

Not like Docker: no seccomp profile, no limits by cgroups. The network has a loopback device alone.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from image_replay import Image

from fakes.patience import PATIENCE_S

NEEDED = ("--no-new-privs", "--bounding-set=-all,+sys_chroot,+setuid,+setgid")
"""to become the user; new privileges are out of reach from then on"""


class Container:
    """`with Container(image, folder, mounts, environment) as container:`; `/data` and `/models` lie in `folder`.

    `mounts` are read-only."""

    def __init__(self, image: Image, folder: Path, mounts: dict[Path, str], environment: dict[str, str]) -> None:
        self._image = image
        self._environment = {**image.environment, **environment}
        self._user = image.settings["USER"]
        self._mounts = dict(mounts)
        for target in json.loads(image.settings["VOLUME"]):
            place = folder / target.lstrip("/")
            place.mkdir(parents=True)
            os.chown(place, *map(int, self._user.split(":")))
            self._mounts[place] = target
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Container:
        """As the first process of its own process namespace, so that all of it ends with it."""
        root = self._image.root
        script = ["set -e", f"mount --bind {root} {root}"]
        script += [f"mount -t tmpfs -o size=256m,mode=1777 tmpfs {root}/tmp", f"mount -t proc proc {root}/proc"]
        script.append(f"mount -t tmpfs -o mode=755 tmpfs {root}/dev")
        for device in ("null", "zero", "full", "random", "urandom"):
            script.append(f"touch {root}/dev/{device} && mount --bind /dev/{device} {root}/dev/{device}")
        script.append(f"mkdir {root}/dev/shm && mount -t tmpfs -o size=64m,mode=1777 tmpfs {root}/dev/shm")
        for place, target in self._mounts.items():
            inside = root / target.lstrip("/")
            inside.mkdir(parents=True, exist_ok=True)
            script.append(f"mount --bind {shlex.quote(str(place))} {inside}")
            if target not in json.loads(self._image.settings["VOLUME"]):
                script.append(f"mount -o remount,bind,ro {inside}")
        script.append(f"mount -o remount,bind,ro {root}")
        script.append("ip link set lo up")
        command = [*self._image.command("ENTRYPOINT"), *self._image.command("CMD")]
        script.append(f"exec {shlex.join(self._inside(command))}")
        namespaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", *namespaces, "sh", "-c", "\n".join(script)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def pid(self) -> int:
        """The first process, as the host counts. Raises `RuntimeError` when there is none."""
        assert self._process is not None
        listed = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        end = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < end:
            if children := listed.read_text().split():
                return int(children[0])
            time.sleep(0.05)
        raise RuntimeError(f"the container has ended: {self.log.read_text()[-3000:]}")

    def run(self, command: list[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Another process in it, as its user, like `docker exec`. `given`: its input."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--net", "--ipc", "--uts", "--"]
        return subprocess.run(
            [*enter, *self._inside(command)],
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def healthy(self) -> bool:
        return self.run(self._image.command("HEALTHCHECK")).returncode == 0

    def ask(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, Any]:
        """Status and JSON of a request from within, over https with the server's own certificate."""
        code = (
            "import http.client, json, ssl, sys\n"
            "method, path, body, key = json.load(sys.stdin)\n"
            "trust = ssl.create_default_context(cafile='/data/tls/cert.pem')\n"
            "there = http.client.HTTPSConnection('127.0.0.1', 8099, timeout=60, context=trust)\n"
            "headers = {'Content-Type': 'application/json'} | ({'Authorization': 'Bearer ' + key} if key else {})\n"
            "there.request(method, path, None if body is None else json.dumps(body), headers)\n"
            "answer = there.getresponse()\n"
            "print(answer.status, answer.read().decode())\n"
        )
        done = self.run(["/opt/joyvl/bin/python", "-I", "-c", code], json.dumps([method, path, body, key]))
        assert done.returncode == 0, done.stderr
        status, _, text = done.stdout.partition(" ")
        return int(status), json.loads(text) if text.strip() else None

    def stop(self) -> int:
        """SIGTERM, as `docker stop`. Its exit status."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def _inside(self, command: list[str]) -> list[str]:
        pairs = [f"{name}={value}" for name, value in self._environment.items()]
        where = ["chroot", f"--userspec={self._user}", "--groups=", str(self._image.root)]
        go = ["/usr/bin/env", "-i", f"--chdir={self._image.settings['WORKDIR']}", *pairs]
        return ["setpriv", *NEEDED, *where, *go, *command]
