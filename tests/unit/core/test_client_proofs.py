"""A request says which client it is of in one way."""

import base64

import pytest

from jotgate.core.client_proofs import ASSERTION_ALGORITHMS, ASSERTION_TYPE, CLIENT_ID_CHARS_MAX, read_proof
from jotgate.core.oauth_form import Form
from jotgate.errors import ClientRefused, OAuthMalformed
from tests.token_stage import assertion, basic


def form(**values: str) -> Form:
    return Form({name: (value,) for name, value in values.items()})


def field(pair: bytes) -> str:
    return "Basic " + base64.b64encode(pair).decode()


ASSERTION = assertion()
ASSERTED = {"client_assertion": ASSERTION, "client_assertion_type": ASSERTION_TYPE}


def test_each_way_is_told() -> None:
    found = read_proof(form(), (basic("a b:c", "s%+&:ü"),))
    assert (found.method, found.client_id, found.secret.reveal()) == ("client_secret_basic", "a b:c", "s%+&:ü")
    found = read_proof(form(client_id="a", client_secret="s"), ())
    assert (found.method, found.client_id, found.secret.reveal()) == ("client_secret_post", "a", "s")
    found = read_proof(form(**ASSERTED), ())
    assert (found.method, found.client_id, found.assertion.reveal()) == ("private_key_jwt", "robot", ASSERTION)
    found = read_proof(form(client_id="a"), ())
    assert (found.method, found.client_id) == ("none", "a")


@pytest.mark.parametrize("scheme", ["basic ", "BASIC ", "Basic  "])
def test_the_scheme_has_no_case(scheme: str) -> None:
    value = scheme + basic("a", "s").removeprefix("Basic ")
    assert read_proof(form(client_id="a"), (value,)).client_id == "a"


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"client_id": "a", "client_secret": "s"}, (basic("a", "s"),)),
        (ASSERTED, (basic("a", "s"),)),
        ({"client_secret": "s", **ASSERTED}, ()),
        ({"client_assertion_type": ASSERTION_TYPE}, (basic("a", "s"),)),
        ({}, (basic("a", "s"), basic("a", "s"))),
        ({"client_id": "b"}, (basic("a", "s"),)),
        ({"client_id": "b", **ASSERTED}, ()),
        ({"client_assertion": ASSERTION}, ()),
        ({"client_assertion_type": ASSERTION_TYPE}, ()),
        ({"client_assertion": ASSERTION, "client_assertion_type": "urn:other"}, ()),
    ],
)
def test_two_proofs_two_clients_or_half_an_assertion_are_malformed(
    values: dict[str, str], fields: tuple[str, ...]
) -> None:
    with pytest.raises(OAuthMalformed):
        read_proof(form(**values), fields)


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YQ",
        "Basic YWI=",  # ab, without a colon
        "Basic\xa0YTpi",
        field(b":secret"),
        field(b"a%zz:secret"),
        field(b"\xff:secret"),
        field(b"a%00:secret"),
        field(b"a" * (CLIENT_ID_CHARS_MAX + 1) + b":secret"),
        "Bearer abc",
        "Digest username=a",
        "",
    ],
)
def test_a_field_that_is_no_client_is_refused(value: str) -> None:
    with pytest.raises(ClientRefused):
        read_proof(form(), (value,))


def test_who_names_no_client_is_refused() -> None:
    for values in ({}, {"client_secret": "s"}, {**ASSERTED, "client_assertion": "no.jwt.at-all"}):
        with pytest.raises(ClientRefused):
            read_proof(form(**values), ())
    for subject in (None, 7, ""):
        with pytest.raises(ClientRefused):
            read_proof(form(**{**ASSERTED, "client_assertion": assertion(sub=subject)}), ())


def test_a_proof_does_not_show_its_secret() -> None:
    assert "hunter2" not in repr(read_proof(form(client_id="a", client_secret="hunter2"), ()))
    assert ASSERTION not in repr(read_proof(form(**ASSERTED), ()))


def test_assertions_are_signed_with_key_pairs_alone() -> None:
    assert {"ES256", "RS256", "PS256", "Ed25519", "EdDSA"} <= set(ASSERTION_ALGORITHMS)
    assert not any(name.startswith("HS") or name.lower() == "none" for name in ASSERTION_ALGORITHMS)
