"""Hosts of the test's own: network namespaces with veth pairs between them, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from fakes.patience import PATIENCE_S

UDP_PORTS = "62000-62003"
"""what the host of `behind_bridge` lets through to the container"""
TCP_PORTS = (8099, 8098)


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
    """On one cable. Needs root. What still runs on them at the end keeps its namespace, but no name."""
    net = f"10.213.{os.getpid() % 250}"
    with _hosts("1", "2") as (one, two):
        _cable(one, "eth0", f"{net}.1", two, "eth0", f"{net}.2")
        yield OwnHost(one, f"{net}.1"), OwnHost(two, f"{net}.2")


@dataclass(frozen=True)
class Bridged:
    """A container behind its host, a neighbour of that host, and somebody far away behind a router of their own.

    `host.address` is where the neighbour finds the host, `public` where the one far away does.
    """

    container: OwnHost
    host: OwnHost
    neighbour: OwnHost
    far: OwnHost
    public: str


@contextmanager
def behind_bridge() -> Iterator[Bridged]:
    """As Docker's bridge has it: what comes to the host's `TCP_PORTS` and `UDP_PORTS` goes on to the same ports of the
    container, the container's own packets leave with the host's address, and nobody else gets to its address.

    Needs root and nftables.
    """
    with _hosts("container", "host", "neighbour", "router", "far") as (container, host, neighbour, router, far):
        _cable(host, "docker0", "172.30.7.1", container, "eth0", "172.30.7.2")
        _cable(host, "lan", "192.168.77.1", neighbour, "eth0", "192.168.77.2")
        _cable(host, "wan", "203.0.113.1", router, "wan", "203.0.113.2")
        _cable(router, "home", "10.77.0.1", far, "eth0", "10.77.0.2")
        for name, way in (
            (container, "172.30.7.1"),
            (neighbour, "192.168.77.1"),
            (router, "203.0.113.1"),
            (far, "10.77.0.1"),
        ):
            _run("-n", name, "route", "add", "default", "via", way)
        _route(host, DOCKER_RULES)
        _route(router, HOME_RULES)
        yield Bridged(
            OwnHost(container, "172.30.7.2"),
            OwnHost(host, "192.168.77.1"),
            OwnHost(neighbour, "192.168.77.2"),
            OwnHost(far, "10.77.0.2"),
            "203.0.113.1",
        )


DOCKER_RULES = f"""
table ip docker {{
  chain raw {{
    type filter hook prerouting priority raw
    iifname != "docker0" ip daddr 172.30.7.2 drop
  }}
  chain published {{
    type nat hook prerouting priority dstnat
    fib daddr type local tcp dport {{ {TCP_PORTS[0]}, {TCP_PORTS[1]} }} dnat to 172.30.7.2
    fib daddr type local udp dport {UDP_PORTS} dnat to 172.30.7.2
  }}
  chain published_here {{
    type nat hook output priority -100
    ip daddr != 127.0.0.0/8 fib daddr type local tcp dport {{ {TCP_PORTS[0]}, {TCP_PORTS[1]} }} dnat to 172.30.7.2
    ip daddr != 127.0.0.0/8 fib daddr type local udp dport {UDP_PORTS} dnat to 172.30.7.2
  }}
  chain leaving {{
    type nat hook postrouting priority srcnat
    ip saddr 172.30.7.0/24 oifname != "docker0" masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop
    ct state established,related accept
    iifname "docker0" accept
    oifname "docker0" ct status dnat accept
  }}
}}
"""
HOME_RULES = """
table ip home {
  chain leaving {
    type nat hook postrouting priority srcnat
    oifname "wan" masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy drop
    ct state established,related accept
    iifname "home" accept
  }
}
"""


@contextmanager
def _hosts(*names: str) -> Iterator[tuple[str, ...]]:
    """Full names of hosts without a cable."""
    if os.geteuid() != 0 or not _ip():
        pytest.skip("network namespaces need root and iproute2")
    made: list[str] = []
    try:
        for name in names:
            full = f"joyvl-{os.getpid()}-{name}"
            _run("netns", "add", full)
            made.append(full)
            _run("-n", full, "link", "set", "lo", "up")
        yield tuple(made)
    finally:
        for full in made:
            _run("netns", "delete", full)


def _cable(one: str, port: str, address: str, other: str, other_port: str, other_address: str) -> None:
    _run("link", "add", port, "netns", one, "type", "veth", "peer", "name", other_port, "netns", other)
    for host, end, its in ((one, port, address), (other, other_port, other_address)):
        _run("-n", host, "addr", "add", f"{its}/24", "dev", end)
        _run("-n", host, "link", "set", end, "up")


def _route(host: str, rules: str) -> None:
    """It passes packets on, by these rules of nftables."""
    program = shutil.which("nft", path=_PATH)
    if program is None:
        pytest.skip("nftables is missing: apt-get install nftables")
    _run("netns", "exec", host, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    _run("netns", "exec", host, program, "-f", "-", given=rules)


_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _ip() -> str:
    return shutil.which("ip", path=_PATH) or ""


def _run(*words: str, given: str | None = None) -> None:
    command = [_ip(), *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
