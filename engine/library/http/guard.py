"""The guard: which addresses a request may connect to.

What must stay true:

- Every address of a name is checked; one that is forbidden refuses them all.
- Loopback, link-local, unspecified, multicast, reserved and cloud metadata addresses are refused,
  also inside IPv6 addresses that carry an IPv4 one. Private networks (10/8, 172.16/12, 192.168/16,
  100.64/10, fc00::/7) are allowed: services inside one's own network are what workflows call.
- The operator allows more in `TIDESTEP_HTTP_ALLOW`: host names, `host:port`, addresses and
  networks, separated by commas. A listed name is allowed whatever it resolves to.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from engine.errors import Misconfigured, PermanentFailure, Refused
from engine.library.http.errors import HttpTransportError
from engine.library.http.urls import HOST_NAME, host_of, place_of, port_of

if TYPE_CHECKING:
    import httpx

ALLOW_VARIABLE = "TIDESTEP_HTTP_ALLOW"

Address = IPv4Address | IPv6Address

_METADATA = tuple(
    map(
        ip_network,
        (
            "fd00:ec2::/32",  # AWS: instance metadata, credentials of pods, time
            "fd20:ce::254",  # Google Cloud
            "168.63.129.16",  # Azure
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
        ),
    )
)
"""Metadata services outside the link-local networks; some lie in networks that are allowed."""
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_NAT64 = IPv6Network("64:ff9b::/96")


async def checked_addresses(url: httpx.URL) -> list[Address]:
    """The addresses of the URL's host, in the resolver's order.

    Raises Refused if one of them is not allowed, HttpTransportError if there are none.
    """
    host, port = host_of(url), port_of(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise PermanentFailure("the URL holds no valid host name") from None
    except OSError as error:
        raise HttpTransportError(f"{place_of(url)}: {error.strerror or 'no such host'}") from error
    addresses = [ip_address(entry[4][0]) for entry in found]
    for address in addresses:
        carried = _unwrapped(address)
        kind = _forbidden_kind(carried)
        if kind is not None and not _is_allowed(host, port, carried):
            raise Refused(
                f"{place_of(url)}: '{host}' is a {kind} address, which only the operator can allow "
                f"(in {ALLOW_VARIABLE})"
            )
    return addresses


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _forbidden_kind(address: Address) -> str | None:
    for kind in ("loopback", "link_local", "unspecified", "multicast", "reserved"):
        if getattr(address, f"is_{kind}"):
            return kind.replace("_", "-")
    if any(address in network for network in _METADATA):
        return "cloud metadata"
    return "reserved" if address in _THIS_NETWORK else None


def _is_allowed(host: str, port: int, address: Address) -> bool:
    name = host.rstrip(".").lower()
    for target, only_port in _allow_list(os.environ.get(ALLOW_VARIABLE, "")):
        if only_port in (None, port) and (
            target == name if isinstance(target, str) else address in target
        ):
            return True
    return False


@cache
def _allow_list(text: str) -> list[tuple[str | IPv4Network | IPv6Network, int | None]]:
    """Raises Misconfigured: an entry that is not understood must not look like one that counts."""
    entries: list[tuple[str | IPv4Network | IPv6Network, int | None]] = []
    for entry in filter(None, (part.strip().lower() for part in text.split(","))):
        if (network := _as_network(entry)) is not None:
            entries.append((network, None))
            continue
        match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:/\s]+)(?::(\d{1,5}))?", entry)
        target = match and (_as_network(match[1].strip("[]")) or match[1].rstrip("."))
        if not match or not target or (isinstance(target, str) and not HOST_NAME.fullmatch(target)):
            raise Misconfigured(
                f"{ALLOW_VARIABLE}: '{entry}' is neither a host, host:port, address nor network"
            )
        entries.append((target, int(match[2]) if match[2] else None))
    return entries


def _as_network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
