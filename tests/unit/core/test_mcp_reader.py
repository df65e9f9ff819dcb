"""What MCP servers write may be anything, and whoever reads it is told that it cannot be read, in one way."""

import pytest
from msgspec import Raw

from jotgate.core.mcp_answers import Rewriting, rewrite
from jotgate.core.mcp_reader import (
    find_identity,
    find_list,
    find_members,
    find_number,
    find_text,
    is_error,
    read_message_of_server,
)
from jotgate.errors import UpstreamTorn

DEEP = b"[" * 100_000
HOSTILE = (b"", b"\xff", b'{"a":"\xff"}', b'{"\xff":1}', b'{"a":' + DEEP, DEEP, b"[1]x", b"nul")


@pytest.mark.parametrize("raw", HOSTILE)
def test_what_cannot_be_read_is_none(raw: bytes) -> None:
    for find in (find_members, find_text, find_number, find_list):
        assert find(raw) is None
    with pytest.raises(UpstreamTorn):
        rewrite(raw, Rewriting("tools/call", identity=Raw(b"1")))


def test_what_can_be_read_is_given() -> None:
    assert find_members(b'{"a":[1]}') == {"a": Raw(b"[1]")}
    assert (find_text(b'"a"'), find_number(b"5"), find_list(b"[1]")) == ("a", 5, [1])
    assert find_list(b"[" * 65 + b"]" * 65) is None
    assert (find_text(b"5"), find_number(b'"x"'), find_members(None), find_list(b"{}")) == (None, None, None, None)


@pytest.mark.parametrize("error", ['"text"', '{"code":"x"}', "{}", "5"])
def test_an_error_that_is_none_is_torn(error: str) -> None:
    assert not is_error(error.encode())
    with pytest.raises(UpstreamTorn):
        rewrite(b'{"jsonrpc":"2.0","id":1,"error":%b}' % error.encode(), Rewriting("tools/call", identity=Raw(b"1")))
    assert is_error(b'{"code":-32601,"message":"no"}')


def test_a_message_is_a_call_a_result_or_an_error_and_one_of_them() -> None:
    for good in (b'{"method":"x"}', b'{"id":1,"result":{}}', b'{"id":1,"result":{},"error":null}'):
        assert read_message_of_server(good) is not None
    assert read_message_of_server(b'{"id":1,"result":null,"error":{"code":5}}') == {
        "id": Raw(b"1"),
        "error": Raw(b'{"code":5}'),
    }
    for bad in (
        b"{}",
        b'{"id":1}',
        b'{"result":null}',
        b'{"method":"x","result":{}}',
        b'{"result":{},"error":{}}',
        b"[]",
        b'{"result":[]}',
    ):
        assert read_message_of_server(bad) is None


def test_the_id_of_what_cannot_be_read_is_looked_for_outside_of_what_it_holds() -> None:
    assert find_identity(b'{"id" : 7,"result":{"id":1}}') == 7
    assert find_identity(b'{"result":{"id":1},"jsonrpc":"2.0","id":7}\n') == 7
    assert find_identity(b'{"result":[{"id":1}],"id":7') == 7
    assert find_identity(b'{"id":7,"result":' + DEEP) == 7
    for none in (
        b"",
        b"text",
        b'{"result":{"id":1}}',
        b'{"id":"7","result":{"id":1}}',
        b'{"a":{"id":1',
        b'{"id":null}',
    ):
        assert find_identity(none) is None
