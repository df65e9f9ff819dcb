"""What a client certificate says of whom it is (RFC 5280), as far as a client of the token service is known by it."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

from cryptography import x509
from msgspec import Struct

CertificateName = Literal["tls_subject_dn", "tls_san_dns", "tls_san_uri"]
"""Where a certificate may have the one name by which a client is known (RFC 8705 s2.1.2)."""

_Subject = tuple[frozenset[tuple[str, str]], ...]
_REMEMBERED: Final = 256


class PeerCertificate(Struct, frozen=True):
    """A certificate whose chain somebody has verified. It is valid from `begins_s` to `ends_s` (NumericDates)."""

    subject: _Subject
    dns_names: frozenset[str]
    uris: frozenset[str]
    begins_s: float
    ends_s: float

    def is_in_time(self, now_s: float) -> bool:
        """Whether it is valid at this time: a connection may outlive it."""
        return self.begins_s <= now_s <= self.ends_s

    def has_name(self, kind: CertificateName, name: str) -> bool:
        """Whether it has this one name."""
        match kind:
            case "tls_subject_dn":
                wanted = read_subject(name)
                return wanted is not None and wanted == self.subject
            case "tls_san_dns":
                return name.lower() in self.dns_names
            case "tls_san_uri":
                return name in self.uris


@lru_cache(maxsize=_REMEMBERED)
def read_peer(der: bytes) -> PeerCertificate | None:
    """What a certificate in DER says; None for what is none."""
    try:
        found = x509.load_der_x509_certificate(der)
        names = _alternative_names(found)
        return PeerCertificate(
            subject=_subject_of(found.subject),
            dns_names=frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName)),
            uris=frozenset(names.get_values_for_type(x509.UniformResourceIdentifier)),
            begins_s=_seconds(found.not_valid_before_utc),
            ends_s=_seconds(found.not_valid_after_utc),
        )
    except (ValueError, x509.InvalidVersion, x509.UnsupportedGeneralNameType, x509.DuplicateExtension):
        return None


@lru_cache(maxsize=_REMEMBERED)
def read_subject(text: str) -> _Subject | None:
    """A distinguished name as RFC 4514 writes it; None for what is none, and for an empty one."""
    try:
        return _subject_of(x509.Name.from_rfc4514_string(text)) or None
    except ValueError:
        return None


def _subject_of(name: x509.Name) -> _Subject:
    """Types and values, whatever kind of string a certificate writes them in."""
    return tuple(frozenset((part.oid.dotted_string, str(part.value)) for part in level) for level in name.rdns)


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _seconds(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()
