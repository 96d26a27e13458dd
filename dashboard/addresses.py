"""Whose address a request comes from. Its one rule: what a sender writes about itself counts for nothing.

`X-Forwarded-For` is a list to which each proxy adds, at its end, whom it heard from. Only what a proxy of ours added is true,
so the list is read from its end, and only as long as the hop before was one of `TRUSTED_PROXIES`.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings

from dashboard.guard_settings import SOCKET

Network = IPv4Network | IPv6Network
MOST_HOPS = 10


def client_address(meta: Mapping[str, Any]) -> str:
    """The address of whoever sent the request to the first proxy of ours; without a trusted proxy that of the connection."""
    address = str(meta.get("REMOTE_ADDR") or "")
    header = str(meta.get("HTTP_X_FORWARDED_FOR") or "")
    if not header or not _is_trusted(address):
        return address
    for hop in reversed(header.split(",")[-MOST_HOPS:]):
        parsed = _parsed(hop.strip())
        if parsed is None:  # nonsense from a trusted hop: what is before it cannot be believed either
            return address
        address = str(parsed)
        if not _is_trusted(address):
            return address
    return address


def source_of(address: str) -> str:
    """The address as one sender has it: of IPv6 the network of a single customer."""
    parsed = _parsed(address)
    if parsed is None:
        return address[:64]
    return str(parsed if parsed.version == 4 else ip_network(f"{parsed}/64", strict=False))


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(
            text.partition("%")[0]
        )  # the zone of a link-local one is the sender's to choose, and of any length
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_among(address: str, allowed: tuple[str, ...]) -> bool:
    """Whether an address is one of these addresses or networks; the empty one is that of a socket file."""
    if not address:
        return SOCKET in allowed
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in _networks(allowed))


def _is_trusted(address: str) -> bool:
    return is_among(address, tuple(settings.TRUSTED_PROXIES))


@lru_cache(maxsize=4)
def _networks(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(each, strict=False) for each in trusted if each != SOCKET)
