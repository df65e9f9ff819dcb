"""Who is a trusted proxy, and what it says of the caller: X-Forwarded-For or Forwarded (RFC 7239), never both.

A proxy passes on what callers wrote into the fields that it does not write itself, so one family is believed, and of
that only what trusted proxies added: the chain is read from its end, up to the first address that is none of theirs.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from jotgate.core.calls import Request
from jotgate.core.edge import CertificateField
from jotgate.edge.certificate_fields import read_certificate

Family = Literal["x-forwarded", "forwarded"]

_FAMILIES: Final = {
    "x-forwarded": frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"}),
    "forwarded": frozenset({b"forwarded"}),
}
# So begin the fields in which proxies speak of a caller's certificate: RFC 9440, Envoy, Traefik, AWS, Azure, Cloudflare
# and WebLogic, and what nginx, HAProxy and Apache are mostly set up to write.
_CERTIFICATE_STEMS: Final = (
    b"client-cert",
    b"x-forwarded-client-cert",
    b"x-forwarded-tls-client-",
    b"x-client-cert",
    b"x-client-verify",
    b"x-client-dn",
    b"x-ssl",
    b"x-tls-client",
    b"ssl-client",
    b"ssl_client",
    b"x-amzn-mtls-",
    b"x-arr-clientcert",
    b"cf-client-cert",
    b"wl-proxy-client-",
)
_STEMS: Final = (*_CERTIFICATE_STEMS, b"x-forwarded-")
# Other fields that speak of the caller's address; they are believed from nobody.
_OTHERS: Final = frozenset({b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"})

# RFC 7239 s4, written backwards: one pair of a Forwarded element, and the border before it. A quote belongs to the
# quoted string when the backslashes before it are odd in number.
_PAIR: Final = re.compile(
    r"""
    [ \t;]*+
    (?: "(?=(?:\\\\)*+(?!\\)) (?P<quoted> (?: [^"] | "(?=(?:\\\\)*+\\) )*+ ) "
      | (?P<token> [\w!#$%&'*+.^`|~:\[\]-]++ )  # Many write ports without the quotes that they would need.
    )
    = (?P<name> [\w!#$%&'*+.^`|~-]++ )
    [ \t]*+ (?P<border> [;,] | \Z )
    """,
    re.VERBOSE | re.ASCII,
)
# An address as proxies write it: with a port or without, IPv6 also in brackets and with a zone (RFC 4007 s11).
_NODE: Final = re.compile(
    r"""
    (?: (?P<four> [\d.]++ ) | \[ (?P<bracketed> [\da-f]*+:[\da-f:.]*+ ) (?:%[\w.~-]++)?+ \] ) (?: :[\w.-]++ )?+
    | (?P<six> [\da-f]*+:[\da-f:.]*+ ) (?:%[\w.~-]++)?+
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_REMEMBERED: Final = 4096
_NAMES_REMEMBERED: Final = 1024
_NAME_BYTES_REMEMBERED: Final = 64

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The trusted proxies. Mutable: it remembers some addresses, whether they are trusted, and names of fields.

    `harmless` holds names of header fields by which no proxy speaks for a caller: a request that has no others is as
    it was sent, and most have the same few.
    """

    def __init__(self, networks: Iterable[str], family: Family, certificate_field: CertificateField = "") -> None:
        """`certificate_field` is where they write the certificate of the caller; empty: they say nothing of it."""
        self._networks = tuple(ipaddress.ip_network(text) for text in networks)
        self._certificate_field = certificate_field
        self.nobody = not self._networks
        self.harmless: set[bytes] = set()
        self._family = family
        self._trusted: dict[str, bool] = {}
        self._callers: dict[tuple[bytes, str], str] = {}

    def trusts(self, peer: str) -> bool:
        """Whether this address is a trusted proxy's."""
        if self.nobody:
            return False
        known = self._trusted.get(peer)
        if known is None:
            known = self._is_trusted(_address(peer))
            if len(self._trusted) >= _REMEMBERED:
                self._trusted.clear()
            self._trusted[peer] = known
        return known

    def hear(self, request: Request) -> bool:
        """Take from a request what it says of its caller: `peer` becomes the caller's if a trusted proxy says so.

        So does `certificate`: that of a proxy's connection is the proxy's own. What may not be believed is dropped from
        the header fields; that there was any is noted (`forwarded`). Returns whether a trusted proxy sent the request.
        """
        headers = request.headers
        trusted = self.trusts(request.peer)
        if trusted:
            request.certificate = read_certificate(headers, self._certificate_field)
        if self.harmless.issuperset(headers):
            return trusted
        for name in headers.keys() - self.harmless:
            if not _speaks_for_callers(name):
                self._remember(name)
                continue
            request.forwarded = True
            if not trusted or not self._is_believed(name):
                del headers[name]
        if trusted:
            request.peer = self._find_caller(headers, request.peer)
        return trusted

    def find_caller(self, chain: bytes, peer: str) -> str:
        """The caller by an X-Forwarded-For field of a trusted proxy, which `peer` is; of the last such it is known."""
        known = self._callers.get((chain, peer))
        if known is None:
            known = self._find_caller({b"x-forwarded-for": chain}, peer)
            if len(self._callers) >= _REMEMBERED:
                self._callers.clear()
            self._callers[chain, peer] = known
        return known

    def _find_caller(self, headers: dict[bytes, bytes], peer: str) -> str:
        if self._family == "forwarded":
            chain = _read_forwarded(headers.get(b"forwarded", b"").decode("latin-1"))
        else:
            chain = reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(","))
        caller = peer
        for node in chain:
            address = _read_node(node.strip(" \t"))
            if address is None:
                break  # Hidden, unknown or no address: what is known ends with the proxy that wrote it.
            caller = str(address)
            if not self.trusts(caller):
                break
        return caller

    def _remember(self, name: bytes) -> None:
        if len(name) <= _NAME_BYTES_REMEMBERED:
            if len(self.harmless) >= _NAMES_REMEMBERED:
                self.harmless.clear()
            self.harmless.add(name)

    def _is_believed(self, name: bytes) -> bool:
        return name in _FAMILIES[self._family] or name.startswith(_CERTIFICATE_STEMS)

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _speaks_for_callers(name: bytes) -> bool:
    return name in _OTHERS or name == b"forwarded" or name.startswith(_STEMS)


def _read_forwarded(text: str) -> Iterator[str]:
    """The `for` nodes of a Forwarded field from its end, as far as it is well formed; empty for an element without one.

    Read from its beginning, a quote that a caller leaves open would take in what proxies add behind it.
    """
    backwards, position, node = text[::-1], 0, None
    while pair := _PAIR.match(backwards, position):
        if pair["name"].lower() == "rof":
            if node is not None:
                return
            node = (pair["quoted"] or pair["token"] or "")[::-1]
        if pair["border"] != ";":
            yield node or ""
            node = None
        position = pair.end()


def _read_node(text: str) -> Address | None:
    """An address without its port, and without its zone, which means something on the proxy's machine only."""
    node = _NODE.fullmatch(text)
    return None if node is None else _address(node["four"] or node["bracketed"] or node["six"])


def _address(text: str) -> Address | None:
    """An address, IPv4 ones in their own form also when IPv6 carries them."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
