"""Assertions: what they say, to whom, and the key that signs them, however it is written."""

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from msgspec.structs import replace

from jotgate.core.token_assertions import JTI_BYTES, coze_claims, read_private_key, sign_assertion
from jotgate.core.token_grants import TokenGrant
from jotgate.core.values import Secret
from jotgate.errors import KeyRefused
from jotgate.jose import jwt
from jotgate.jose.jwt import Expectation
from jotgate.jose.keys import KeySet, generate, signing_key_from_pem, signing_key_to_pem

_NOW_S = 1_800_000_000.0
_KEY = generate("RS256")
_PEM = signing_key_to_pem(_KEY).decode()
_PKCS1 = (
    load_pem_private_key(_PEM.encode(), None)
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)
_GRANT = TokenGrant(
    upstream="coze",
    kind="coze",
    dialect="coze",
    token_url="https://api.coze.cn/api/permission/oauth2/token",
    client_id="app",
)
_RANDOM = bytes(range(JTI_BYTES))


@pytest.mark.parametrize(
    "text",
    [
        _PEM,
        _PKCS1,
        _PEM.replace("\n", "\\n"),
        _PKCS1.replace("\n", "\\n"),
        f'"{_PEM}"'.replace("\n", "\\n"),
        _PEM.replace("\n", "\r\n"),
        _PEM.replace("\n", "\\r\\n"),
        _PEM.replace("\n", "\n    "),
    ],
    ids=["PKCS #8", "PKCS #1", "PKCS #8 escaped", "PKCS #1 escaped", "quoted", "CRLF", "CRLF escaped", "indented"],
)
def test_a_key_is_read_however_it_is_written(text: str) -> None:
    key = read_private_key(Secret(text), "RS256", "fingerprint")
    assert key.kid == "fingerprint"
    assert _KEY.verification_key.verify(b"x", key.sign(b"x"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        _PEM[:200],
        signing_key_to_pem(generate("ES256")).decode(),
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(KeyRefused) as caught:
        read_private_key(Secret(text), "RS256")
    assert not text or text not in str(caught.value)


def test_an_assertion_for_coze_names_the_app_the_host_and_the_session() -> None:
    key = signing_key_from_pem(_PEM.encode(), "RS256", "kid-1")
    token = sign_assertion(_GRANT, key, "session-1", now_s=_NOW_S, random=_RANDOM)
    expected = Expectation(
        "app", ("api.coze.cn",), ("JWT",), ("RS256",), required=frozenset({"iss", "aud", "exp", "jti"})
    )
    keys = KeySet([key.verification_key])
    verified = jwt.verify(token.reveal().encode(), keys, expected, _NOW_S)
    assert verified.header == {"typ": "JWT", "alg": "RS256", "kid": "kid-1"}
    header, claims = jwt.peek_unverified(token.reveal().encode())
    assert header["alg"] == "RS256"
    assert claims == {
        "iss": "app",
        "aud": "api.coze.cn",
        "iat": int(_NOW_S),
        "exp": int(_NOW_S) + 600,
        "jti": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "session_name": "session-1",
    }


def test_the_session_context_and_another_audience_stand_in_it_if_they_are_set() -> None:
    grant = replace(_GRANT, audience="api.coze.com", device_id="d", custom_consumer="c")
    claims = coze_claims(grant, "", _NOW_S, _RANDOM)
    assert claims["aud"] == "api.coze.com"
    assert claims["session_context"] == {"device_info": {"device_id": "d", "custom_consumer": "c"}}
    assert "session_name" not in claims
    assert "session_context" not in coze_claims(_GRANT, "", _NOW_S, _RANDOM)


@pytest.mark.parametrize(
    ("kind", "changed", "said"),
    [
        ("jwt-bearer", {}, {"iss": "app", "sub": "app", "aud": "https://as.example/token"}),
        ("jwt-bearer", {"subject": "alice", "audience": "as"}, {"iss": "app", "sub": "alice", "aud": "as"}),
        ("client-credentials", {}, {"iss": "app", "sub": "app", "aud": "https://as.example/token"}),
    ],
)
def test_an_assertion_of_rfc_7523_names_issuer_subject_and_audience(
    kind: str, changed: dict[str, str], said: dict[str, str]
) -> None:
    grant = replace(_GRANT, dialect="form", token_url="https://as.example/token", kind=kind, **changed)
    token = sign_assertion(grant, _KEY, "ignored", now_s=_NOW_S, random=_RANDOM, with_kid=False)
    header, claims = jwt.peek_unverified(token.reveal().encode())
    assert "kid" not in header
    assert {name: claims[name] for name in ("iss", "sub", "aud")} == said
    assert claims["exp"] == int(_NOW_S) + 300
    assert "session_name" not in claims


def test_a_grants_mark_changes_with_whose_tokens_these_are_and_with_no_key() -> None:
    same = [replace(_GRANT, client_secret=Secret("x")), replace(_GRANT, timeout_s=5.0)]
    other = [
        replace(_GRANT, client_id="b"),
        replace(_GRANT, scope="{}"),
        replace(_GRANT, session="s"),
        replace(_GRANT, token_url="https://api.coze.com/x"),
        replace(_GRANT, kind="refresh-token", refresh_token=Secret("r")),
        replace(_GRANT, kind="refresh-token", refresh_token=Secret("r2")),
        replace(_GRANT, kind="refresh-token"),
    ]
    assert {one.mark for one in same} == {_GRANT.mark}
    assert len({_GRANT.mark, *(one.mark for one in other)}) == len(other) + 1
    assert "r2" not in msgspec.json.encode([one.mark for one in other]).decode()
