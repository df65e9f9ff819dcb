"""What a client certificate says of its names, whatever is in it."""

import pytest
from cryptography import x509

from jotgate.core.certificates import read_peer, read_subject
from tests.callers import NOW_S
from tests.certificates import certificate


def test_a_subject_is_compared_as_a_name_and_not_as_a_text() -> None:
    peer = read_peer(certificate("CN=robot,OU=a+O=Example"))
    assert peer is not None
    assert peer.has_name("tls_subject_dn", "CN=robot,O=Example+OU=a")
    assert peer.has_name("tls_subject_dn", "2.5.4.3=robot,OU=a+O=Example")
    for other in ("", "x", "CN=robot", "OU=a+O=Example,CN=robot", "CN=ROBOT,OU=a+O=Example"):
        assert not peer.has_name("tls_subject_dn", other)


def test_alternative_names_are_compared_whole_and_by_their_kind() -> None:
    peer = read_peer(
        certificate("CN=robot.example", x509.DNSName("A.example"), x509.UniformResourceIdentifier("spiffe://a/b"))
    )
    assert peer is not None
    assert peer.has_name("tls_san_dns", "a.EXAMPLE")
    assert peer.has_name("tls_san_uri", "spiffe://a/b")
    for name in ("robot.example", "b.a.example", "example", "spiffe://a/b", ""):
        assert not peer.has_name("tls_san_dns", name)
    for name in ("spiffe://a", "spiffe://a/B", "a.example", ""):
        assert not peer.has_name("tls_san_uri", name)


def test_a_certificate_has_its_time() -> None:
    peer = read_peer(certificate(days=1))
    assert peer is not None
    assert peer.is_in_time(NOW_S)
    assert not peer.is_in_time(NOW_S + 2 * 86_400)
    assert not peer.is_in_time(NOW_S - 2 * 86_400)


@pytest.mark.parametrize("der", [b"", b"x", b"\x30\x03\x02\x01\x01", certificate()[:-1], certificate() + b"\0"])
def test_what_is_no_certificate_says_nothing(der: bytes) -> None:
    assert read_peer(der) is None


@pytest.mark.parametrize("text", ["", "x", "CN", "CN=a,", "cn=a", "CN=a;O=b", "=a"])
def test_what_is_no_distinguished_name_is_none(text: str) -> None:
    assert read_subject(text) is None
