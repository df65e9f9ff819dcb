"""The certificate of a caller in the field that a proxy writes: one whole certificate or none."""

import base64
import ssl
from urllib.parse import quote

import pytest

from jotgate.core.edge import CertificateField
from jotgate.edge.certificate_fields import read_certificate
from tests.certificates import certificate

DER = certificate()
BINARY = b":" + base64.b64encode(DER) + b":"
PEM = quote(ssl.DER_cert_to_PEM_cert(DER)).encode()


@pytest.mark.parametrize(("field", "value"), [("client-cert", BINARY), ("x-ssl-client-cert", PEM)])
def test_a_certificate_is_read_from_the_field_that_is_configured_alone(field: CertificateField, value: bytes) -> None:
    headers = {field.encode(): value}
    assert read_certificate(headers, field) == DER
    assert read_certificate(headers, "") == b""
    other: CertificateField = "client-cert" if field != "client-cert" else "x-ssl-client-cert"
    assert read_certificate(headers, other) == b""
    assert read_certificate({other.encode(): value}, other) == b"", "each has its form"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"::",
        BINARY[1:],
        BINARY[:-1],
        BINARY + b", " + BINARY,
        b":" + base64.b64encode(DER)[:-1] + b":",
        b":" + base64.urlsafe_b64encode(DER) + b"!:",
        b":" + b"A" * 40_000 + b":",
        b'"x"',
    ],
)
def test_what_is_not_one_certificate_is_none(value: bytes) -> None:
    assert read_certificate({b"client-cert": value}, "client-cert") == b""


@pytest.mark.parametrize("value", [b"", b"x", PEM[:-30], b"%ff" + PEM, PEM.replace(b"BEGIN", b"BEGUN")])
def test_what_is_not_one_pem_is_none(value: bytes) -> None:
    assert read_certificate({b"x-ssl-client-cert": value}, "x-ssl-client-cert") == b""
