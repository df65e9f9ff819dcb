"""A form has one reading or none."""

from urllib.parse import urlencode

import pytest

from jotgate.core.oauth_form import FORM_BYTES_MAX, FORM_TYPE, PARAMETERS_MAX, Form, decode, read_form
from jotgate.errors import OAuthMalformed


def form(body: bytes, content_type: str = FORM_TYPE, query: bytes = b"") -> Form:
    return read_form(body, content_type, query)


def test_values_come_as_they_were_meant() -> None:
    meant = {"grant_type": "urn:a:b", "scope": "a b+c", "title": "Grüße & 100 %=?", "empty": ""}
    read = form(urlencode(meant).encode())
    assert {name: read.one(name) for name in meant} == meant
    assert read.one("absent") == ""
    assert "empty" not in read.values


@pytest.mark.parametrize(
    "content_type",
    [
        FORM_TYPE,
        "Application/X-WWW-Form-Urlencoded",
        FORM_TYPE + ";charset=UTF-8",
        FORM_TYPE + '; charset="utf-8"',
        FORM_TYPE + ";",
    ],
)
def test_its_type_may_say_that_it_is_utf_8(content_type: str) -> None:
    assert form(b"a=1", content_type).one("a") == "1"


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data; boundary=a", FORM_TYPE + "; charset=latin-1", FORM_TYPE + "x"],
)
def test_another_type_is_refused(content_type: str) -> None:
    with pytest.raises(OAuthMalformed, match="not of the type"):
        form(b"a=1", content_type)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"a=1&a=1", "'a' stands twice"),
        (b"a=&a=1", "'a' stands twice"),
        (b"%61=1&a=2", "'a' stands twice"),
        (b"a%22=1&a%22=2", "a parameter stands twice"),
        (b"a=%", "two hexadecimal digits"),
        (b"a=%2", "two hexadecimal digits"),
        (b"a=%2 1", "two hexadecimal digits"),
        (b"a=%+1", "two hexadecimal digits"),
        (b"a=%zz", "two hexadecimal digits"),
        (b"a=%ff", "not UTF-8"),
        (b"a=%c0%80", "not UTF-8"),
        (b"a=%ed%a0%80", "not UTF-8"),
        (b"a=\xc3\xbc", "not escaped"),
        (b"&" * PARAMETERS_MAX, f"more than {PARAMETERS_MAX}"),
        (b"a=" + b"1" * FORM_BYTES_MAX, f"longer than {FORM_BYTES_MAX}"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(OAuthMalformed, match=why):
        form(body)


def test_a_query_is_refused_even_beside_a_good_form() -> None:
    with pytest.raises(OAuthMalformed, match="URL has a query"):
        form(b"a=1", query=b"b=2")


def test_resources_and_audiences_may_stand_more_than_once() -> None:
    read = form(b"resource=a&resource=b&resource=&audience=c&audience=c")
    assert (read.many("resource"), read.many("audience")) == (("a", "b"), ("c", "c"))


@pytest.mark.parametrize("octets", ["%00", "%0d%0a", "%7f", "%c2%85", "%e2%80%8b"])
def test_control_characters_are_refused_where_they_are_read_and_mean_nothing_elsewhere(octets: str) -> None:
    read = form(f"client_id=a{octets}&other={octets}&scope=x".encode())
    assert read.one("scope") == "x"
    with pytest.raises(OAuthMalformed, match="'client_id' holds characters"):
        read.one("client_id")


def test_a_form_does_not_show_its_secrets() -> None:
    assert repr(form(b"client_secret=hunter2&a=1")) == "Form(client_secret, a)"


def test_what_must_be_there_is_missed_by_name() -> None:
    with pytest.raises(OAuthMalformed, match="'grant_type' is missing"):
        form(b"grant_type=").require("grant_type")


def test_escapes_are_read_once() -> None:
    assert decode(b"%2541+%2b") == "%41 +"
