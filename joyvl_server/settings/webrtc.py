"""Settings of calls: their UDP ports, and where browsers send to."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from joyvl_server.kit.net.own_names import is_dns_name
from joyvl_server.settings.group import Group

ANY_HOST = "*"
"""of `server.allowed_hosts`"""
LOWEST_PORT, HIGHEST_PORT = 1024, 65_535


def _number_to_text(value: object) -> object:
    # YAML reads a single port as a number.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_ports(text: str) -> str:
    first, last = _port_pair(text)
    if not LOWEST_PORT <= first <= last <= HIGHEST_PORT:
        raise ValueError(f"ports are from {LOWEST_PORT} to {HIGHEST_PORT}, the lower one first")
    return f"{first}-{last}" if first < last else str(first)


def _port_pair(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", text, re.ASCII)
    if found is None:
        raise ValueError("write the first and the last port, like 62000-62031")
    return int(found[1]), int(found[2] or found[1])


def _check_advertised(text: str) -> str:
    name = text.strip().lower()
    if name.count(":") == 1:  # no IPv6 address
        name = re.sub(r":\d{1,5}$", "", name)
    name = name.rstrip(".")
    if name == ANY_HOST:
        return name
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        if not is_dns_name(name) or name.replace(".", "").isdigit():
            raise ValueError("write an address or a host name, like 192.168.1.10") from None
        return name
    if address.is_unspecified or address.is_multicast or "%" in name:
        raise ValueError("nobody can send to this address")
    return str(address)


def _without_any(entries: list[str]) -> list[str]:
    return [entry for entry in entries if entry != ANY_HOST]


PortRange = Annotated[str, BeforeValidator(_number_to_text), AfterValidator(_check_ports)]
AdvertisedAddress = Annotated[str, AfterValidator(_check_advertised)]


class WebRtcSettings(Group):
    udp_ports: PortRange | None = Field(
        None,
        description=(
            "UDP ports of calls, like `62000-62031`. Each call takes one of them, the same on every address of this "
            "machine; when all are taken, the server refuses the next call. Null: any port that the system gives."
        ),
    )
    advertised_addresses: Annotated[list[AdvertisedAddress], AfterValidator(_without_any)] = Field(
        default_factory=list,
        max_length=32,
        description=(
            "Addresses or names that browsers are told in addition to this machine's own, for a server behind a "
            "router or in a container: what arrives there at a port of `udp_ports` must come to the same port here. "
            "Names are looked up when a call begins. The same list may stand in `server.allowed_hosts`: ports and `*` "
            "in it are passed over."
        ),
    )

    @property
    def port_pair(self) -> tuple[int, int] | None:
        """First and last port."""
        return None if self.udp_ports is None else _port_pair(self.udp_ports)
