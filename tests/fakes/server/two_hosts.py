"""Two hosts of the test's own on one cable: network namespaces with a veth pair between them and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from fakes.patience import PATIENCE_S


@dataclass(frozen=True)
class OwnHost:
    name: str
    address: str

    @property
    def within(self) -> tuple[str, ...]:
        """What stands before a command that runs on this host."""
        return (_ip(), "netns", "exec", self.name)


@contextmanager
def two_hosts() -> Iterator[tuple[OwnHost, OwnHost]]:
    """Needs root. What still runs on them at the end keeps its namespace, but no name."""
    if os.geteuid() != 0 or not _ip():
        pytest.skip("network namespaces need root and iproute2")
    hosts = tuple(OwnHost(f"joyvl-{os.getpid()}-{n}", f"10.213.{os.getpid() % 250}.{n}") for n in (1, 2))
    made: list[OwnHost] = []
    try:
        for host in hosts:
            _run("netns", "add", host.name)
            made.append(host)
            _run("-n", host.name, "link", "set", "lo", "up")
        cable = ("type", "veth", "peer", "name", "eth0", "netns", hosts[1].name)
        _run("link", "add", "eth0", "netns", hosts[0].name, *cable)
        for host in hosts:
            _run("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            _run("-n", host.name, "link", "set", "eth0", "up")
        yield hosts[0], hosts[1]
    finally:
        for host in made:
            _run("netns", "delete", host.name)


def _ip() -> str:
    return shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def _run(*words: str) -> None:
    done = subprocess.run([_ip(), *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
