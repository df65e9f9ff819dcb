"""Rows E04 and E07: a token that was taken and has ended, and what a caller brings along with a token that is none."""

import time
from typing import Final

from jotgate.errors import Code
from jotgate.jose.jwt import peek_unverified
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.running import run_command, until
from tests.attacks.target import Shot, Target, bearer

_LEEWAY_S: Final = 5  # issuer.leeway
_WEAKER: Final = (
    *(b"Proxy-Authorization: Basic dXNlcjpwYXNz", b"X-Api-Token: sk-test", b"X-Auth-Token: sk-test"),
    *(b"X-Forwarded-User: admin", b"X-Remote-User: admin", b"Remote-User: admin", b"X-Consumer-Username: admin"),
    *(b"X-Client-Cert: MIIB", b"X-Forwarded-Client-Cert: By=x;Hash=y", b"Ssl-Client-Verify: SUCCESS"),
    *(b"X-Goog-Api-Key: AIza", b"OpenAI-Organization: org", b"X-Anonymous: true", b"X-LiteLLM-Api-Key: sk-test"),
)


def command(target: Target, *words: str) -> str:
    """What a command says on stdout; it must succeed."""
    done = run_command(*words, data=target.gateway.data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_E04_a_token_that_was_taken_is_not_taken_from_memory_once_it_has_ended(target: Target) -> None:
    """It is remembered as verified; that says nothing of what became of it since."""
    fresh = target.own_issuer()
    command(target, "principal", "create", "ann", "--scope", "ai")
    revoked = target.gateway.token().encode()
    personal = command(target, "pat", "create", "--subject", "ann", "--name", "x").strip().encode()
    ends_s = int(time.time()) + 3  # for whoever gives it the leeway
    expiring = fresh.token(exp=ends_s - _LEEWAY_S, iat=ends_s - 60)
    for token in (revoked, personal, expiring):
        target.takes(token)
    command(target, "token", "revoke", "--yes", "--", str(peek_unverified(revoked)[1]["jti"]))
    command(target, "principal", "disable", "ann", "--yes")
    until(lambda: target.status_of(expiring) == 401, "the token expires")
    target.refuses_tokens(
        {
            "revoked": (revoked, Code.TOKEN_REVOKED),
            "disabled": (personal, Code.TOKEN_REVOKED),
            "expired": (expiring, Code.TOKEN_EXPIRED),
        }
    )


def test_E07_a_token_that_is_refused_is_no_reason_to_look_for_anything_weaker(
    target: Target, forge: TestIssuer
) -> None:
    wrong = {
        "expired": (forge.expired(), Code.TOKEN_EXPIRED),
        "changed": (forge.changed_payload(), Code.SIGNATURE_INVALID),
        "unsigned": (forge.alg_none(), Code.ALGORITHM_REFUSED),
        "unknown": (forge.unknown_key(), Code.KEY_UNKNOWN),
        "key": (b"sk-test-0123456789abcdef", Code.TOKEN_MALFORMED),
        "personal": (b"jot_p_" + b"A" * 42 + b"4", Code.TOKEN_UNKNOWN),
    }
    shots = {
        f"{name}_{number}": Shot(bearer(token, code).lines + line + b"\r\n", code)
        for name, (token, code) in wrong.items()
        for number, line in enumerate(_WEAKER)
    }
    for name, (token, code) in wrong.items():
        lines = bearer(token, code).lines
        for place, line in (("x_api_key", b"X-Api-Key: "), ("api_key", b"Api-Key: ")):
            shots[f"{name}_{place}"] = Shot(lines + line + target.good + b"\r\n", Code.CREDENTIALS_AMBIGUOUS, 400)
        first = b"POST /v1/chat/completions?access_token=" + target.good
        shots[f"{name}_query"] = Shot(lines, Code.CREDENTIALS_AMBIGUOUS, 400, first=first)
        cookie = b"Cookie: __Host-jotgate=" + target.good + b"\r\nOrigin: https://gate.example\r\n"
        shots[f"{name}_cookie"] = Shot(lines + cookie, code)  # No route takes tokens from cookies here.
    target.refuses(shots)


def test_E07_nor_is_a_token_that_is_refused_anybodys_key_at_an_upstream(target: Target, forge: TestIssuer) -> None:
    """Whatever the body asks for: for the model that is built in, for one that needs no key, for none at all."""
    bodies = {"echo": b'{"model":"echo","messages":[]}', "none": b"{}", "bad": b"{", "empty": b""}
    token = forge.expired()
    lines = bearer(token, Code.TOKEN_EXPIRED).lines
    target.refuses({name: Shot(lines, Code.TOKEN_EXPIRED, body=body) for name, body in bodies.items()})
