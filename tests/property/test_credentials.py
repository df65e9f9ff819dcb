"""Whatever places a request carries credentials in: one that is allowed is taken whole, two are never taken."""

from typing import Final
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jotgate.core.calls import Request
from jotgate.errors import CredentialsAmbiguous, OriginRefused, TokenMissing
from jotgate.gateway.credentials import CredentialRules, find_token

PAGE: Final = b"https://app.example"
_PLACES: Final = ("authorization", "x-api-key", "api-key", "query", "cookie", "sec-websocket-protocol")
_TOKENS: Final = st.from_regex(rb"[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{0,20}", fullmatch=True)
_ALLOWED: Final = st.frozensets(st.sampled_from(["x-api-key", "api-key", "query", "cookie"]))
_NOISE: Final = st.sampled_from(
    [b"", b"a=1", b"not_access_token=x", b"access_token2=y", b"&&", b"=", b"%", b"a=access_token"]
)


def ask(carried: dict[str, bytes], noise: bytes, origin: bytes | None) -> Request:
    """A request with these credentials, by place."""
    headers = {b"host": b"a", b"cookie": b"theme=dark"}
    if origin is not None:
        headers[b"origin"] = origin
    query = noise
    for place, token in carried.items():
        if place == "query":
            query += b"&access%5ftoken=" + quote_from_bytes(token).encode()
        elif place == "cookie":
            headers[b"cookie"] += b"; jot=" + token
        elif place == "authorization":
            headers[b"authorization"] = b"Bearer " + token
        else:
            prefix = b"bearer." if place == "sec-websocket-protocol" else b""
            headers[place.encode()] = prefix + token
    return Request(b"POST", b"/v1/chat/completions", query, headers, "127.0.0.1", 0.0)


@given(
    carried=st.dictionaries(st.sampled_from(_PLACES), _TOKENS),
    allowed=_ALLOWED,
    noise=_NOISE,
    origin=st.sampled_from([None, PAGE, b"https://evil.example"]),
)
def test_one_credential_is_taken_where_it_is_allowed_and_two_never(
    carried: dict[str, bytes], allowed: frozenset[str], noise: bytes, origin: bytes | None
) -> None:
    request = ask(carried, noise, origin)
    rules = CredentialRules(allowed, b"jot", frozenset({PAGE}))
    counted = {place: token for place, token in carried.items() if place != "cookie" or "cookie" in allowed}
    if len(counted) > 1:
        with pytest.raises(CredentialsAmbiguous):
            find_token(request, rules)
        assert request.credential_place == ""
        return
    place = next(iter(counted), "")
    if place == "cookie" and origin != PAGE:
        with pytest.raises(OriginRefused):
            find_token(request, rules)
    elif place == "authorization" or place in allowed:
        assert find_token(request, rules) == counted[place]
        assert request.credential_place == ("" if place == "authorization" else place)
    else:
        with pytest.raises(TokenMissing):
            find_token(request, rules)
        assert request.credential_place == ""
