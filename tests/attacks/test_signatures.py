"""Rows B01 to B10: the signature and the serialization."""

from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.jose.algorithms import Ecdsa
from jotgate.jose.encoding import b64url_decode, b64url_encode
from jotgate.testing.issuer import TestIssuer
from tests.attacks.catalogue import Catalogue
from tests.attacks.target import Shot, Target, bearer

_STRAY: Final = {
    "space": b" ",
    "tab": b"\t",
    "two_bytes": "\u00e9".encode(),
    "digit": "\u0661".encode(),
    "wide_dot": "\uff0e".encode(),
    "zero_width": "\u200b".encode(),
    "byte_order_mark": b"\xef\xbb\xbf",
    "not_utf8": b"\xff",
}
_NO_FIELD: Final = {"newline": b"\n", "return": b"\r", "nul": b"\0", "folded": b"\r\n "}


def test_B01_stripped_signature(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("B01", 10))


def test_B02_ecdsa_numbers_out_of_bounds(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("B02", 35))


def test_B03_ecdsa_as_der_and_of_other_lengths(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("B03", 10))


def test_B04_the_other_good_signature_is_the_same_token(target: Target, forge: TestIssuer) -> None:
    """S and n - s are both good by the mathematics: so nothing that identifies a token may hang on its bytes."""
    scheme = forge.key.algorithm.scheme
    assert isinstance(scheme, Ecdsa)
    token = forge.token()
    signing_input, _, signature = token.rpartition(b".")
    raw = b64url_decode(signature)
    s = int.from_bytes(raw[scheme.size :])
    malleated = raw[: scheme.size] + (scheme.order - s).to_bytes(scheme.size)
    other = signing_input + b"." + b64url_encode(malleated)
    assert other != token
    first, second = (target.record(target.takes(one)) for one in (token, other))
    for named in ("token", "subject", "issuer", "client_id", "kid"):
        assert first[named] == second[named]
    shorter = signing_input + b"." + b64url_encode(malleated[:-1])
    target.refuses_tokens({"malleated_and_cut": (shorter, Code.SIGNATURE_INVALID)})


def test_B05_base64url_has_one_form(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("B05", 18))


@pytest.mark.parametrize("place", ["before the dot", "behind the dot", "in a part"])
def test_B05_stray_characters_within(target: Target, forge: TestIssuer, place: str) -> None:
    token = forge.token()
    at = token.index(b".") + {"before the dot": 0, "behind the dot": 1, "in a part": 9}[place]
    shots = {name: bearer(token[:at] + stray + token[at:], Code.TOKEN_MALFORMED, 401) for name, stray in _STRAY.items()}
    for name, stray in _NO_FIELD.items():
        lines = b"Authorization: Bearer " + token[:at] + stray + token[at:] + b"\r\n"
        shots[name] = Shot(lines, Code.REQUEST_MALFORMED, 400, recorded=False)
    target.refuses(shots)


def test_B06_json_serializations(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("B06", 14))


def test_B07_json_and_compact_at_once(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("B07", 6))


def test_B09_signature_of_something_else(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("B09", 12))


def test_B10_signatures_that_begin_well(target: Target, catalogue: Catalogue) -> None:
    """The comparison itself is in `HmacKey.verify`: `hmac.compare_digest`, constant in time."""
    target.refuses_tokens(catalogue.row("B10", 7))
