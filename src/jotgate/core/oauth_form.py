"""Reads the form of a request to an OAuth endpoint strictly (RFC 6749 s3.2, appendix B): it has one reading or none.

A parameter without a value counts as left out, and an unknown one means nothing; but none may stand twice, unless its
definition says that it may.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.errors import OAuthMalformed

FORM_TYPE: Final = "application/x-www-form-urlencoded"
FORM_BYTES_MAX: Final = 65_536
PARAMETERS_MAX: Final = 64
REPEATABLE: Final = frozenset({"resource", "audience"})
"""RFC 8707 s2, RFC 8693 s2.1."""

_HEX: Final = frozenset(b"0123456789ABCDEFabcdef")


class Form(Struct, frozen=True):
    """The parameters of one request that have a value. Some are secret: it has no other string form than its names."""

    values: Mapping[str, tuple[str, ...]]

    def one(self, name: str) -> str:
        """The value of a parameter that stands once; empty when it is left out.

        Raises:
            OAuthMalformed: it holds characters that no parameter has.
        """
        return self.many(name)[0] if name in self.values else ""

    def require(self, name: str) -> str:
        """The value of a parameter that must be there. Raises OAuthMalformed."""
        found = self.one(name)
        if not found:
            raise OAuthMalformed(f"the parameter '{name}' is missing")
        return found

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a parameter, in order. Raises OAuthMalformed as `one`."""
        found = self.values.get(name)
        if found is None:
            return ()
        if not all(map(str.isprintable, found)):
            raise OAuthMalformed(f"the parameter '{name}' holds characters that no parameter has")
        return found

    def __repr__(self) -> str:
        return f"Form({', '.join(self.values)})"


def read_form(body: bytes, content_type: str, query: bytes = b"") -> Form:
    """The form in the body of a request; `query` is what its URL has behind the question mark, which must be nothing.

    Raises:
        OAuthMalformed: it is no such form, is longer than `FORM_BYTES_MAX`, has more than `PARAMETERS_MAX`
            parameters, or one twice that must not be.
    """
    if query:
        raise OAuthMalformed("the URL has a query", hint="Send all parameters in the body: URLs end up in logs")
    if content_type != FORM_TYPE and not _is_form(content_type):
        raise OAuthMalformed(f"the body is not of the type {FORM_TYPE}", hint=f"Send Content-Type: {FORM_TYPE}")
    if len(body) > FORM_BYTES_MAX:
        raise OAuthMalformed(f"the form is longer than {FORM_BYTES_MAX} bytes")
    if body.count(b"&") >= PARAMETERS_MAX:
        raise OAuthMalformed(f"the form has more than {PARAMETERS_MAX} parameters")
    given: dict[str, tuple[str, ...]] = {}
    for name, value in _pairs(body):
        before = given.get(name)
        if before is not None and name not in REPEATABLE:
            shown = f"the parameter '{name}'" if name.isidentifier() and name.isascii() else "a parameter"
            raise OAuthMalformed(f"{shown} stands twice")
        given[name] = (*(before or ()), value) if value else before or ()
    return Form({name: found for name, found in given.items() if found})


def _pairs(body: bytes) -> list[tuple[str, str]]:
    """Names and values in their order; those of a form in which nothing is escaped, as in most, at one go."""
    if b"%" in body or not body.isascii():
        escaped = [pair.partition(b"=") for pair in body.split(b"&")]
        return [(decode(name), decode(value)) for name, _, value in escaped]
    plain = [pair.partition("=") for pair in body.replace(b"+", b" ").decode("ascii").split("&")] if body else []
    return [(name, value) for name, _, value in plain]


def decode(octets: bytes) -> str:
    """One name or value of a form: `+` is a space, `%` and two hexadecimal digits an octet of UTF-8.

    Raises:
        OAuthMalformed: anything else.
    """
    if not octets.isascii():
        raise OAuthMalformed("the form holds octets that are not escaped")
    spaced = octets.replace(b"+", b" ")
    if b"%" not in spaced:
        return spaced.decode("ascii")  # As most are.
    pieces = spaced.split(b"%")
    if any(len(piece) < 2 or not _HEX.issuperset(piece[:2]) for piece in pieces[1:]):
        raise OAuthMalformed("the form holds a '%' without two hexadecimal digits behind it")
    try:
        return b"".join([pieces[0], *(bytes.fromhex(p[:2].decode("ascii")) + p[2:] for p in pieces[1:])]).decode()
    except UnicodeDecodeError:
        raise OAuthMalformed("the form is not UTF-8") from None


def _is_form(content_type: str) -> bool:
    """Whether a media type is that of a form, and its parameters say nothing but that it is UTF-8."""
    kind, _, further = content_type.partition(";")
    parameters = further.strip().lower().replace(" ", "").replace('"', "")
    return kind.strip().lower() == FORM_TYPE and parameters in ("", "charset=utf-8")
