"""What Hypothesis makes: raw requests, bodies and tokens that are nearly right."""

import json
from collections.abc import Sequence

from hypothesis import strategies as st

from bench.fuzz.corpus import BAD, GOOD
from jotgate.jose.encoding import b64url_encode
from jotgate.testing.forge import Forge

_SPLICES = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b":", b",", b";", b"\x7f", b"\xff", b"0", b"-", b"%00"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Host: b\r\n", b"\r\n "),
    *(b"0\r\n\r\n", b"ffffffff\r\n", b"HTTP/1.1", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"A" * 9_000),
    *(b"Authorization: Bearer x\r\n", b"{", b"}", b"[" * 200, b'"', b"\\u0000", b"1e999", b"\xed\xa0\x80"),
)
_JSON_TEXTS = st.sampled_from(
    [
        "",
        "echo",
        "\0",
        "\ud800",
        "a" * 300,
        "../../x",
        "echo\n",
        "ёcho",
        "none",
        "HS256",
        "at+jwt",
        "*",
        " ",
        "ai admin",
    ]
)
_NUMBERS = st.sampled_from([0, -1, 1, 1.5, 1e308, -0.0, 2**53, 2**64, 10**400, 1 << 31])
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _JSON_TEXTS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_JSON_TEXTS, inner, max_size=3),
    max_leaves=10,
)


@st.composite
def mutated(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """One of the originals, with a few places changed, left out, doubled or spliced into."""
    text = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        width = draw(st.integers(0, 4))
        how = draw(st.sampled_from(["bytes", "splice", "double", "cut"]))
        if how == "bytes":
            text[at : at + width] = draw(st.binary(max_size=4))
        elif how == "splice":
            text[at:at] = draw(st.sampled_from(_SPLICES))
        elif how == "double":
            end = draw(st.integers(at, min(len(text), at + 64)))
            text[at:at] = text[at:end]
        else:
            del text[at : at + draw(st.integers(1, 40))]
    return bytes(text)


def requests() -> st.SearchStrategy[bytes]:
    """Whole raw requests: mutations of good ones, of bad ones, and bytes out of nowhere."""
    pieces = st.lists(st.sampled_from(_SPLICES) | st.binary(max_size=12), min_size=1, max_size=20).map(b"".join)
    return mutated(list(GOOD.values())) | mutated(list(BAD.values())) | pieces


_NAMES = st.sampled_from(
    ["model", "messages", "stream", "stream_options", "max_tokens", "n", "store", "tools", "temperature", "x", "user"]
)
_MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "x", ""]), "content": _VALUES}), max_size=3
)
_GOOD_BODIES = [
    b'{"model":"echo","messages":[{"role":"user","content":"hello"}]}',
    b'{"model":"echo","stream":true,"stream_options":{"include_usage":true},"messages":[]}',
    b'{"model":"echo","prompt":"a b c","max_tokens":2}',
    b'{"model":"echo","input":["a","b"]}',
]


def bodies() -> st.SearchStrategy[bytes]:
    """Bodies of calls: objects whose members have any values, and texts that are hardly JSON."""
    members = st.dictionaries(_NAMES, _VALUES, max_size=5)
    objects = st.tuples(members, st.booleans(), _MESSAGES).map(
        lambda parts: json.dumps(
            {**parts[0], **({"model": "echo"} if parts[1] else {}), "messages": parts[2]}, allow_nan=True
        ).encode()
    )
    return objects | mutated(_GOOD_BODIES) | mutated(_GOOD_BODIES) | st.binary(max_size=100)


@st.composite
def tokens(draw: st.DrawFn, forge: Forge) -> bytes:
    """Tokens that are nearly good: changed text, changed members under a good signature, parts that do not fit."""
    how = draw(st.sampled_from(["text", "claims", "header", "raw", "parts", "noise"]))
    if how == "text":
        return _visible(draw(mutated([forge.seal(forge.header(), forge.claims())])))
    if how == "claims":
        names = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "models", "cnf", "x"]
        return forge.with_claims(**draw(st.dictionaries(st.sampled_from(names), _VALUES, min_size=1, max_size=3)))
    if how == "header":
        names = ["typ", "alg", "kid", "crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "cty", "enc", "x"]
        return forge.with_header(**draw(st.dictionaries(st.sampled_from(names), _VALUES, min_size=1, max_size=3)))
    if how == "raw":
        header = draw(mutated([json.dumps(forge.header()).encode()]))
        payload = draw(mutated([json.dumps(forge.claims()).encode()]))
        return forge.seal(header, payload)
    if how == "parts":
        return b".".join(map(b64url_encode, draw(st.lists(st.binary(max_size=60), max_size=6))))
    return _visible(draw(st.binary(max_size=200)))


def _visible(text: bytes) -> bytes:
    """The text without what cannot stand in a header field: raw bytes there are the business of `requests`."""
    return bytes(byte for byte in text if 0x20 < byte < 0x7F)
