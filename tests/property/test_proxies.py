"""Property: nothing that a caller writes into the fields of proxies changes what a trusted proxy added behind it."""

import re
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from jotgate.core.calls import Request
from jotgate.edge.proxies import Proxies

_CALLER: Final = "203.0.113.9"
# What decides something in either field, and a little of everything else.
_texts = st.text('",;=\\ \tab1.:[]%for', max_size=60) | st.text(st.characters(max_codepoint=255), max_size=30)
_wishes = st.sampled_from(["", "for=1.1.1.1", "for=1.1.1.1;", 'for=1.1.1.1;x="', 'for="1.1.1.1', "1.1.1.1, "])


def _peer(field: bytes, value: str) -> str:
    proxies = Proxies(("10.0.0.0/8",), "forwarded" if field == b"forwarded" else "x-forwarded")
    request = Request(b"GET", b"/", b"", {field: value.encode("latin-1")}, "10.0.0.1", 0.0)
    proxies.hear(request)
    return request.peer


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


@given(_wishes, _texts, _texts, st.sampled_from(["for=203.0.113.9", 'for="203.0.113.9:80"', 'For="203.0.113.9"']))
@example('for=1.1.1.1;x="', "", ", for=1.1.1.1;y=", "for=203.0.113.9")
def test_forwarded_is_what_the_proxy_added(wish: str, text: str, host: str, node: str) -> None:
    """The proxy says back the caller's host too, quoted as RFC 9110 s5.6.4 has it."""
    for added in (
        node,
        f"{node};proto=https",
        f'host={_quoted(host)};{node};proto="https"',
        f"{node};by={_quoted(host)}",
    ):
        assert _peer(b"forwarded", f"{wish}{text}, {added}") == _CALLER
        assert _peer(b"forwarded", f"{wish}{text}, {added}, for=10.1.1.1") == _CALLER


@given(_wishes, _texts)
def test_x_forwarded_for_is_what_the_proxy_added(wish: str, text: str) -> None:
    assert _peer(b"x-forwarded-for", f"{wish}{text}, {_CALLER}") == _CALLER
    assert _peer(b"x-forwarded-for", f"{wish}{text}, {_CALLER}:80, 10.1.1.1") == _CALLER
