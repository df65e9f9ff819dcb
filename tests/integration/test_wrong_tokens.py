"""Every wrong token that there is a name for, at a running gateway: refused with its code, and kept nowhere."""

import re
import time
from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.jose.keys import signing_key_from_pem
from jotgate.testing.issuer import wrong_tokens
from jotgate.testing.running import Gateway, until
from tests.integration.exchanges import Caller, chat_body, code_of, exchange, records

_METADATA: Final = ', resource_metadata="{}/.well-known/oauth-protected-resource"'
_CHALLENGE: Final = re.compile(
    r'Bearer realm="jotgate", error="([a-z_]+)", error_description="[ !#-\[\]-~]+"'
    + _METADATA.format("http://127.0.0.1:[0-9]+")
)
_SECRET_CHARS_MIN: Final = 24


@pytest.fixture
def gateway(steady_gateway: Gateway) -> Gateway:
    """A gateway that must not be shaken."""
    return steady_gateway


def test_every_wrong_token_is_refused_with_its_code_and_kept_nowhere(gateway: Gateway) -> None:
    (pem,) = (gateway.data / "keys").glob("*.pem")
    key = signing_key_from_pem(pem.read_bytes(), "ES256")
    wrong = wrong_tokens(key, gateway.url, gateway.url, time.time())
    assert len(wrong) > 300
    caller = Caller(gateway)
    said: list[bytes] = []
    faults: dict[str, object] = {}
    for name, (token, code) in wrong.items():
        headers = {"X-Request-Id": f"wrong-{name}"}
        answer = caller("POST", "/v1/chat/completions", chat_body(), token=token, headers=headers)
        said += [answer.body, repr(answer.fields).encode()]
        challenges = answer.all("www-authenticate")
        matched = [_CHALLENGE.fullmatch(challenge) for challenge in challenges]
        if (
            (answer.status, answer.code) != (401, code)
            or [found and found[1] for found in matched] != ["invalid_token"]
            or answer.all("x-request-id") != [f"wrong-{name}"]
        ):
            faults[name] = (code, answer)
    caller.close()
    assert faults == {}
    until(lambda: len(records_of_wrong(gateway)) >= len(wrong), "every refusal has its record")
    assert records_of_wrong(gateway) == {f"wrong-{name}": code for name, (_, code) in wrong.items()}
    kept = [gateway.errors.encode(), *(path.read_bytes() for path in gateway.data.rglob("*") if path.is_file())]
    everything = b"\0".join([*kept, *said])
    secrets = {name: secret_parts(token) for name, (token, _) in wrong.items()}
    assert sum(parts != [] for parts in secrets.values()) > 300
    assert {name for name, parts in secrets.items() if any(part in everything for part in parts)} == set()


def records_of_wrong(gateway: Gateway) -> dict[str, Code]:
    """The codes in the audit records of the wrong tokens, by request id; each stands there once."""
    found = [record for record in records(gateway) if record.get("request_id", "").startswith("wrong-")]
    assert len({record["request_id"] for record in found}) == len(found)
    assert all(record["outcome"] == "refused" and record["status"] == 401 for record in found)
    assert not any("subject" in record for record in found)  # Who proved nothing is nobody.
    return {record["request_id"]: Code(record["code"]) for record in found}


def secret_parts(token: bytes) -> list[bytes]:
    """The parts of a token that are long enough to be known again: their beginnings and ends."""
    parts = [part for part in re.split(rb"[.%\s\"{}:,]+", token) if len(part) >= _SECRET_CHARS_MIN]
    return [part[:_SECRET_CHARS_MIN] for part in parts] + [part[-_SECRET_CHARS_MIN:] for part in parts]


def test_no_credentials_meet_a_challenge_without_an_error(gateway: Gateway) -> None:
    caller = Caller(gateway)
    for scheme in ({}, {"Authorization": "Basic dXNlcjpwYXNz"}, {"Authorization": "Bearertoken"}):
        answer = caller("POST", "/v1/chat/completions", chat_body(), headers=scheme)
        assert (answer.status, answer.code) == (401, Code.TOKEN_MISSING)
        assert answer.all("www-authenticate") == ['Bearer realm="jotgate"' + _METADATA.format(gateway.url)]
    for empty in ("Bearer", "Bearer "):
        answer = caller("GET", "/v1/models", headers={"Authorization": empty})
        assert (answer.status, answer.code) == (401, Code.TOKEN_MALFORMED)
    caller.close()


def test_a_second_credential_is_refused_even_when_both_are_good(gateway: Gateway, good: Caller, token: str) -> None:
    field = f"Authorization: Bearer {token}\r\n".encode()
    twice = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n" + field + field + b"\r\n"
    assert (answer := exchange(gateway, twice)).startswith(b"HTTP/1.1 400 ")
    assert code_of(answer) == Code.CREDENTIALS_AMBIGUOUS
    for name in ("access_token", "access%5Ftoken", "a=b&access_token"):
        in_query = good("GET", f"/v1/models?{name}={token}")
        assert (in_query.status, in_query.code) == (400, Code.CREDENTIALS_AMBIGUOUS)
        assert token.encode() not in in_query.body
    assert good("GET", "/v1/models?not_access_token=x").status == 200


def test_a_token_in_the_query_is_no_token(gateway: Gateway, token: str) -> None:
    caller = Caller(gateway)
    answer = caller("GET", f"/v1/models?access_token={token}")
    caller.close()
    assert (answer.status, answer.code) == (401, Code.TOKEN_MISSING)
    assert token.encode() not in b"".join(path.read_bytes() for path in (gateway.data / "audit").glob("*.log"))
