"""Whom a proxy speaks for: believed from trusted proxies only, up to the first address that is none of theirs."""

import base64
import time

import pytest

from jotgate.core.calls import Request
from jotgate.edge.proxies import Proxies

CERTIFICATE = (
    b"Client-Cert Client-Cert-Chain X-Forwarded-Client-Cert X-Forwarded-Client-Cert-Chain X-Forwarded-Tls-Client-Cert "
    b"X-Forwarded-Tls-Client-Cert-Info X-Client-Cert X-Client-Cert-Present X-Client-Verify X-Client-Dn X-Ssl "
    b"X-Ssl-Cert X-Ssl-Client-Cert X-Ssl-Client-Verify X-Ssl-Client-Dn X-Ssl-Client-Serial Ssl-Client-Cert "
    b"Ssl-Client-Verify Ssl-Client-S-Dn X-Ssl-Issuer SSL_CLIENT_S_DN X-Amzn-Mtls-Clientcert "
    b"X-Amzn-Mtls-Clientcert-Leaf X-Amzn-Mtls-Clientcert-Serial-Number X-Arr-Clientcert Cf-Client-Cert-Der-Base64 "
    b"Wl-Proxy-Client-Cert X-Tls-Client-Cn"
)
ADDRESS = (
    b"Forwarded X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port X-Forwarded-Prefix "
    b"X-Forwarded-Server X-Forwarded-User X-Real-Ip X-Client-Ip True-Client-Ip Cf-Connecting-Ip"
)
HARMLESS = b"Accept Authorization X-Request-Id Sslish Client-Side X-Forwarder X-Clientele".lower().split()

TRUSTED = ("10.0.0.0/8", "127.0.0.1", "fd00::/8")


def hear(proxies: Proxies, peer: str, headers: dict[bytes, bytes]) -> Request:
    request = Request(b"GET", b"/", b"", {b"host": b"gate", **headers}, peer, 0.0)
    proxies.hear(request)
    return request


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        (b"203.0.113.9", "203.0.113.9"),
        (b"198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (b"203.0.113.9, 10.1.1.1", "203.0.113.9"),
        (b"1.2.3.4, 203.0.113.9,10.1.1.1 ,\t10.1.1.2", "203.0.113.9"),
        (b"10.1.1.3, 10.1.1.4", "10.1.1.3"),
        (b"203.0.113.9:4711", "203.0.113.9"),
        (b"[2001:db8::1]:4711", "2001:db8::1"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"::ffff:203.0.113.9", "203.0.113.9"),
        (b"", "10.0.0.1"),
        (b"unknown", "10.0.0.1"),
        (b"203.0.113.9, nonsense, 10.1.1.1", "10.1.1.1"),
        (b"203.0.113.9, ", "10.0.0.1"),
        (b"203.0.113.9\xff", "10.0.0.1"),
        (b"fe80::1%eth0", "fe80::1"),
        (b"[fe80::1%25eth0]", "fe80::1"),
        (b"[fe80::1%eth0]:4711", "fe80::1"),
        (b"fe80::1%x\x1b[31m evil", "10.0.0.1"),
        (b"fe80::1%", "10.0.0.1"),
        (b"203.0.113.9%eth0", "10.0.0.1"),
        (b"[2001:db8::1]evil", "10.0.0.1"),
        (b"203.0.113.9:80 evil", "10.0.0.1"),
    ],
)
def test_the_caller_is_the_last_that_is_no_trusted_proxy(chain: bytes, caller: str) -> None:
    assert hear(Proxies(TRUSTED, "x-forwarded"), "10.0.0.1", {b"x-forwarded-for": chain}).peer == caller


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        (b"for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
        (b"proto=https;For=203.0.113.9", "203.0.113.9"),
        (b'for="[2001:db8::1]:4711"', "2001:db8::1"),
        (b"for=1.2.3.4, for=203.0.113.9, for=10.1.1.1", "203.0.113.9"),
        (b'for="1.2.3.4, for=5.6.7.8", for=203.0.113.9', "203.0.113.9"),
        (b"for=203.0.113.9, for=_hidden, for=10.1.1.1", "10.1.1.1"),
        (b"for=203.0.113.9, proto=https", "10.0.0.1"),
        (b"notfor=203.0.113.9", "10.0.0.1"),
        (b'for="203.0.113.9', "10.0.0.1"),
        (b"for = 203.0.113.9", "10.0.0.1"),
        (b"for=203.0.113.9 proto=https", "10.0.0.1"),
        (b"for=203.0.113.9;for=203.0.113.8", "10.0.0.1"),
        (b'for="203.0.113.9\\"', "10.0.0.1"),
        (b"for=203.0.113.9; proto=https;", "203.0.113.9"),
        (b"for=203.0.113.9:4711", "203.0.113.9"),
        (b'for="[fe80::1%x\x1b[31m evil]"', "10.0.0.1"),
        (b'for=203.0.113.9;host="a\\"b, for=1.2.3.4;c=\\\\"', "203.0.113.9"),
        (b'for=1.1.1.1;x=", for="[2001:db8::bad]:99"', "2001:db8::bad"),
        (b'for=1.1.1.1;x="\\, for="[2001:db8::bad]:99"', "2001:db8::bad"),
        (b'for=1.1.1.1;x=", for=203.0.113.9, for=10.1.1.1', "203.0.113.9"),
        (b'for=203.0.113.9;x=", for=10.1.1.1', "10.1.1.1"),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(chain: bytes, caller: str) -> None:
    assert hear(Proxies(TRUSTED, "forwarded"), "10.0.0.1", {b"forwarded": chain}).peer == caller


@pytest.mark.parametrize("text", ['"\\', '\\"', '"', "\\", ',a="', ',a="\\', 'a="";', "a=b,", "=", " ", ";", ","])
def test_a_long_chain_of_nonsense_is_read_in_no_time(text: str) -> None:
    chain = (text * 31_000)[:31_000].encode()
    begun_s = time.thread_time()
    hear(Proxies(TRUSTED, "forwarded"), "10.0.0.1", {b"forwarded": chain})
    hear(Proxies(TRUSTED, "forwarded"), "10.0.0.1", {b"forwarded": chain + b', for="10.0.0.2"'})
    assert time.thread_time() - begun_s < 0.5  # Milliseconds; seconds if a border is looked for again and again.


@pytest.mark.parametrize("family", ["x-forwarded", "forwarded"])
def test_the_family_that_the_proxy_does_not_write_is_not_believed(family: str) -> None:
    """A proxy passes on what callers put into fields that it does not write itself."""
    both = {b"x-forwarded-for": b"203.0.113.1", b"forwarded": b"for=203.0.113.2"}
    request = hear(Proxies(TRUSTED, "forwarded" if family == "forwarded" else "x-forwarded"), "10.0.0.1", both)
    assert request.peer == ("203.0.113.2" if family == "forwarded" else "203.0.113.1")
    assert (b"x-forwarded-for" in request.headers) is (family == "x-forwarded")


@pytest.mark.parametrize("networks", [(), TRUSTED])
@pytest.mark.parametrize("name", (CERTIFICATE + b" " + ADDRESS).lower().split())
def test_nobody_else_is_believed_anything(networks: tuple[str, ...], name: bytes) -> None:
    proxies = Proxies(networks, "x-forwarded")
    passed = {b"host": b"gate", **dict.fromkeys(HARMLESS, b"x")}
    for _ in "12":  # The second time the other names are known.
        request = hear(proxies, "203.0.113.77", {name: b"203.0.113.9", **passed})
        assert (request.peer, request.headers) == ("203.0.113.77", passed)
    assert not proxies.harmless.issuperset({name: b""})
    assert proxies.harmless.issuperset(passed)


def test_a_trusted_proxys_word_on_the_client_certificate_is_kept_and_what_nobody_may_say_is_not() -> None:
    believed = dict.fromkeys([*CERTIFICATE.lower().split(), b"x-forwarded-proto"], b"x")
    fields = {**dict.fromkeys(ADDRESS.lower().split(), b"x"), **believed}
    request = hear(Proxies(TRUSTED, "x-forwarded"), "10.0.0.1", fields)
    assert request.headers == {b"host": b"gate", b"x-forwarded-for": b"x", b"x-forwarded-host": b"x", **believed}


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.255.0.1", True), ("::ffff:10.0.0.1", True), ("fd00::1", True), ("11.0.0.1", False), ("", False)],
)
def test_who_is_a_trusted_proxy(peer: str, trusted: bool) -> None:
    proxies = Proxies(TRUSTED, "x-forwarded")
    assert (proxies.trusts(peer), proxies.trusts(peer)) == (trusted, trusted)


def test_only_so_many_addresses_are_remembered() -> None:
    proxies = Proxies(TRUSTED, "x-forwarded")
    assert all(proxies.trusts(f"10.0.{number >> 8}.{number & 255}") for number in range(10_000))
    assert len(proxies._trusted) <= 4_096


def test_only_so_many_names_are_remembered_and_no_long_ones() -> None:
    proxies = Proxies((), "x-forwarded")
    for number in range(10_000):
        hear(proxies, "203.0.113.77", {b"x-%d" % number: b"", b"y" * 65: b""})
    assert len(proxies.harmless) <= 1_024
    assert max(map(len, proxies.harmless)) <= 64
    assert hear(proxies, "203.0.113.77", {b"x-ssl-%d" % 1: b""}).headers == {b"host": b"gate"}


def test_the_certificate_of_a_caller_is_what_a_trusted_proxy_says_and_never_the_proxys_own() -> None:
    field = {b"client-cert": b":" + base64.b64encode(b"of the caller") + b":"}

    def heard(proxies: Proxies, peer: str, headers: dict[bytes, bytes]) -> bytes:
        request = Request(b"GET", b"/", b"", {b"host": b"gate", **headers}, peer, 0.0, certificate=b"of the connection")
        proxies.hear(request)
        assert (b"client-cert" in request.headers) <= proxies.trusts(peer)
        return request.certificate

    told = Proxies(TRUSTED, "x-forwarded", "client-cert")
    for _ in range(2):  # The second time its names are known.
        assert heard(told, "10.0.0.1", field) == b"of the caller"
        assert heard(told, "10.0.0.1", {}) == b""
        assert heard(told, "10.0.0.1", {b"client-cert": b"nonsense"}) == b""
        assert heard(told, "203.0.113.9", field) == b"of the connection"
        silent = Proxies(TRUSTED, "x-forwarded")
        assert heard(silent, "10.0.0.1", field) == b"", "nobody said that the proxy speaks of certificates"
