"""How far in an address stands, and which URL may be asked for keys: what leads there may never lead further in.

An issuer's documents and redirects are its own words. They must not make jotgate ask this machine, its network or a
cloud's metadata service for something (server-side request forgery).
"""

import ipaddress
import re
from typing import Final, Literal
from urllib.parse import SplitResult

from msgspec import Struct

from jotgate.core.listen_texts import is_loopback
from jotgate.core.url_parts import HTTP, url_parts

Reach = Literal["public", "private", "loopback"]

DEPTHS: Final[dict[Reach, int]] = {"public": 0, "private": 1, "loopback": 2}
"""From the outside in."""

# Where clouds tell of a machine, its credentials among it, or give it orders; 169.254.169.254 is link-local.
_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
)
# Where the last 32 bits are an IPv4 address: NAT64 (RFC 6052, RFC 8215), SIIT (RFC 2765 s2.1), IPv4-compatible (RFC
# 4291 s2.5.5.1).
_TRANSLATED: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")))
_GLOBAL: Final = (ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("64:ff9b::/96"))  # RFC 4291 s2.4
# Of the registries of special addresses (RFC 6890), what some versions of Python know nothing of.
_SPECIAL: Final = tuple(
    map(
        ipaddress.ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "::/96", "3fff::/20", "5f00::/16", "64:ff9b:1::/48", "fec0::/10"),
    )
)
# Hosts that look like a number, whole or in dotted parts, octal and hexadecimal ones too: some resolvers take those.
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Way(Struct, frozen=True):
    """How a document was come by: how far in its server stands, and whether under TLS."""

    reach: Reach
    secure: bool


PUBLIC_WAY: Final = Way("public", secure=True)
"""What leads to public addresses alone, over https."""


def public_fault(url: str) -> str:
    """Why a URL is not one that leads to a public address over https, as far as it tells; empty when it may be.

    What its name resolves to is not known here.
    """
    try:
        parts = split_url(url)
    except ValueError as fault:
        return str(fault)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https":
        return "is not https"
    if "\\" in url or "%" in parts.netloc:
        return "has a host that could be read in two ways"
    try:
        reach = reach_of(host)
    except ValueError:
        if _NUMBER.fullmatch(host):
            return "has a number for a host, and an address is written as four numbers from 0 to 255, or as IPv6 has it"
        inward = host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or "." not in host
        return "leads to this machine or its network, and only public addresses are asked" if inward else ""
    return "" if reach == "public" else "leads to an address that is not public, and only public ones are asked"


def may_lead(before: Way, to: Way) -> bool:
    """Whether what was come by on one way may name a place on the other."""
    return DEPTHS[to.reach] <= DEPTHS[before.reach] and (to.secure or not before.secure)


def reach_of(address: str) -> Reach | None:
    """How far in an IP address stands; None for one that no server may be asked at.

    An IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64) counts as itself. Link-local addresses, cloud
    metadata, multicast, unspecified and reserved ones are nobody's.
    """
    outer = ipaddress.ip_address(address.partition("%")[0])
    return _innermost([_reach(one) for one in (outer, *_inside(outer))])


def is_loopback_name(host: str) -> bool:
    """Whether a host is written as one of this machine: then alone is a loopback address meant."""
    return is_loopback(host)


def split_url(url: str) -> SplitResult:
    """The parts of a URL that keys, or what leads to them, may be fetched from.

    Raises:
        ValueError: what is wrong with it, as the end of a sentence that names it.
    """
    if not url.isascii() or not url.isprintable() or set(url) & set(' "<>\\^`{|}'):
        raise ValueError("has characters that no URL has (RFC 3986 s2)")
    parts = url_parts(url, HTTP, "is no https URL")
    if "@" in parts.netloc:
        raise ValueError("has a user name or a password in it")
    if parts.fragment:
        raise ValueError("has a fragment")
    if parts.scheme == "http" and not is_loopback_name(parts.hostname or ""):
        raise ValueError("is not https; http is taken from this machine alone")
    return parts


def _reach(address: Address) -> Reach | None:
    if address.is_loopback:
        return "loopback"
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return None
    if isinstance(address, ipaddress.IPv4Address) and address.is_reserved:
        return None
    if any(address in network for network in _SPECIAL):
        return "private"
    if isinstance(address, ipaddress.IPv6Address) and address.is_global and not _is_routed(address):
        return None
    return "public" if address.is_global else "private"


def _is_routed(address: ipaddress.IPv6Address) -> bool:
    """Whether an IPv6 address is of those that the world routes, or stands for an IPv4 address, which is looked at."""
    return any(address in network for network in (*_GLOBAL, *_TRANSLATED)) or address.ipv4_mapped is not None


def _innermost(found: list[Reach | None]) -> Reach | None:
    depths: list[Reach] = [one for one in found if one is not None]
    if len(depths) < len(found):
        return None
    return max(depths, key=lambda one: DEPTHS[one])


def _inside(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _TRANSLATED):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return [one for one in found if one is not None]
