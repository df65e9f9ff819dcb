"""Which pages may read answers of the prompt-chaining API, and what they may send."""

import pytest

from jotgate.core.prompt_chain import Pages
from jotgate.edge.surfaces.prompt_chain_pages import PageLines
from tests.callers import request

APP = b"https://app.example"


def preflight(pages: Pages, origin: bytes = APP, names: bytes = b"") -> bytes | None:
    asked = request(method=b"OPTIONS", origin=origin, access_control_request_method=b"POST")
    if names:
        asked.headers[b"access-control-request-headers"] = names
    return PageLines(pages).of_preflight(asked)


def answer(pages: Pages, origin: bytes = APP) -> bytes:
    return PageLines(pages).of_answer(request(origin=origin))


def test_without_origins_nothing_is_said_and_a_preflight_is_nobodys() -> None:
    assert answer(Pages()) == b""
    assert preflight(Pages()) is None


def test_a_named_origin_and_no_other_may_read() -> None:
    pages = Pages(("https://app.example",), credentials=True)
    allowed = answer(pages)
    assert b"Access-Control-Allow-Origin: https://app.example\r\n" in allowed
    assert b"Access-Control-Allow-Credentials: true\r\n" in allowed
    assert b"Vary: Origin\r\n" in allowed
    assert answer(pages, b"https://evil.example") == b"Vary: Origin\r\n"
    assert preflight(pages, b"https://evil.example") == b""


def test_weak_001_9_pages_of_everywhere_get_an_asterisk_and_no_credentials() -> None:
    pages = Pages(("*",), credentials=False)
    for lines in (answer(pages, b"https://any.example"), preflight(pages, b"https://any.example") or b""):
        assert b"Access-Control-Allow-Origin: *\r\n" in lines
        assert b"Credentials" not in lines


def test_a_preflight_is_told_the_methods_and_the_names() -> None:
    lines = preflight(Pages(("https://app.example",), methods=("GET",)), names=b"authorization,x-stainless-os") or b""
    assert b"Access-Control-Allow-Methods: GET\r\n" in lines
    assert b"Access-Control-Allow-Headers: authorization,x-stainless-os\r\n" in lines
    fixed = preflight(Pages(("https://app.example",), names=("Authorization",)), names=b"x-other") or b""
    assert b"Access-Control-Allow-Headers: Authorization\r\n" in fixed


@pytest.mark.parametrize("names", [b"a b", b"x" * 3000, b"a\x00"])
def test_what_is_no_list_of_names_is_not_repeated(names: bytes) -> None:
    assert b"Allow-Headers" not in (preflight(Pages(("https://app.example",)), names=names) or b"")


def test_another_request_is_no_preflight() -> None:
    assert PageLines(Pages(("*",))).of_preflight(request(method=b"OPTIONS", origin=APP)) is None
    assert PageLines(Pages(("*",))).of_preflight(request(origin=APP)) is None
