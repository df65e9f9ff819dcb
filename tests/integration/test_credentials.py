"""Where tokens may stand, at a running gateway with a real upstream, what `jotgate explain` says of those refused."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from jotgate.errors import Code
from jotgate.jose import jwt
from jotgate.testing.running import Gateway, run_command
from jotgate.testing.upstream import UpstreamServer, unary, upstream_in_thread
from tests.integration.exchanges import Caller, chat_body, code_of, configuration, exchange, record_of

PAGE: Final = "https://app.example"
ROUTES: Final = f"""
[server]
credential_cookie = "jot"

[cors]
origins = ["{PAGE}"]

[[routes]]
alias = "open"
attempts = [{{ upstream = "scripted", model = "m" }}]
credentials = ["x-api-key", "api-key", "query", "cookie"]
"""
_OWN_KEY: Final = "sk-upstream-key-0001"
PATH: Final = "/v1/chat/completions"


def places(token: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Each place: what stands behind the path, and the header fields."""
    return {
        "authorization": ("", {"Authorization": f"Bearer {token}"}),
        "x-api-key": ("", {"X-Api-Key": token}),
        "api-key": ("", {"api-key": token}),
        "query": (f"?api-version=1&access_token={token}", {}),
        "cookie": ("", {"Cookie": f"theme=dark; jot={token}", "Origin": PAGE}),
    }


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    """An upstream that answers at once."""
    with upstream_in_thread(unary(b"{}")) as server:
        yield server


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway], upstream: UpstreamServer) -> Gateway:
    """A gateway whose model `open` takes tokens from every place, and `m` and `echo` from the header alone."""
    return start_gateway(configuration(upstream, ROUTES), environment={"SCRIPTED_KEY": _OWN_KEY})


def everything_kept(gateway: Gateway) -> bytes:
    """All that the gateway has written: its logs and all of its files."""
    return b"\0".join(
        [gateway.errors.encode(), *(path.read_bytes() for path in gateway.data.rglob("*") if path.is_file())]
    )


@pytest.mark.parametrize("place", places(""))
def test_a_route_takes_tokens_where_it_says(
    gateway: Gateway, upstream: UpstreamServer, call: Callable[..., Caller], place: str
) -> None:
    token = gateway.token()
    behind, fields = places(token)[place]
    caller = call(gateway)
    answer = caller("POST", PATH + behind, chat_body("open"), headers={**fields, "X-Request-Id": f"good-{place}"})
    assert answer.status == 200
    assert record_of(gateway, f"good-{place}")["model"] == "open"
    (received,) = upstream.requests
    assert received.target == PATH
    assert not {"cookie", "x-api-key", "api-key", "origin"} & received.headers.keys()
    assert received.headers["authorization"] == f"Bearer {_OWN_KEY}"
    assert token not in repr(received)
    refused = caller("POST", PATH + behind, chat_body("echo"), headers={**fields, "X-Request-Id": f"bad-{place}"})
    if place == "authorization":
        assert refused.status == 200
        return
    assert (refused.status, refused.code) == (401, Code.TOKEN_MISSING)
    metadata = f"{gateway.url}/.well-known/oauth-protected-resource"
    assert refused.all("www-authenticate") == [f'Bearer realm="jotgate", resource_metadata="{metadata}"']
    assert caller("GET", "/v1/models" + behind, headers=fields).code == Code.TOKEN_MISSING
    twice = caller("POST", PATH + behind, chat_body("open"), token=token.encode(), headers=fields)
    assert (twice.status, twice.code) == (400, Code.CREDENTIALS_AMBIGUOUS)
    record_of(gateway, f"bad-{place}")
    kept = everything_kept(gateway)
    assert not any(part.encode() in kept for part in token.split("."))


def test_a_cookie_needs_the_origin_of_a_page_that_may_send_it(gateway: Gateway, call: Callable[..., Caller]) -> None:
    caller, cookie = call(gateway), {"Cookie": f"jot={gateway.token()}"}
    listed = caller("POST", PATH, chat_body("echo"), headers={**cookie, "Origin": PAGE})
    assert (listed.status, listed.all("access-control-allow-credentials")) == (401, ["true"])
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        for method, path in (("POST", PATH), ("GET", "/v1/models")):
            answer = caller(method, path, chat_body("open") if method == "POST" else None, headers={**cookie, **origin})
            assert (answer.status, answer.code) == (403, Code.ORIGIN_REFUSED)


def test_fields_with_a_credential_that_stand_twice_are_refused_at_the_edge(gateway: Gateway) -> None:
    token = gateway.token().encode()
    for field in (b"X-Api-Key: " + token, b"api-key: " + token):
        received = exchange(gateway, b"GET /v1/models HTTP/1.1\r\nHost: a\r\n%b\r\n%b\r\n\r\n" % (field, field))
        assert code_of(received) == Code.CREDENTIALS_AMBIGUOUS


def test_a_token_in_a_url_that_needs_none_is_kept_nowhere(gateway: Gateway, call: Callable[..., Caller]) -> None:
    caller, token = call(gateway), gateway.token()
    for path in ("/health", "/health/ready", "/.well-known/jwks.json"):
        assert caller("GET", f"{path}?access_token={token}", headers={"X-Api-Key": token}).status == 200
    assert caller("GET", f"/oauth/nothing?access_token={token}").status == 404
    gateway.stop()
    kept = everything_kept(gateway)
    assert not any(part.encode() in kept for part in token.split("."))


def test_a_refusal_is_explained_while_jotgate_runs_and_when_it_does_not(
    gateway: Gateway, call: Callable[..., Caller]
) -> None:
    token = gateway.token()
    header, payload, signature = token.split(".")
    broken = f"{header}.{payload}.{signature[:-8]}AAAAAAAA"
    caller = call(gateway)
    answer = caller("POST", PATH, chat_body(), token=broken.encode())
    assert (answer.status, answer.code) == (401, Code.SIGNATURE_INVALID)
    (request_id,) = answer.all("x-request-id")
    assert answer.json["error"]["message"].endswith(f" Request {request_id}.")
    assert record_of(gateway, request_id)["refused"]["size"] == len(token)
    kid = str(jwt.peek_unverified(token.encode())[0]["kid"])

    def said(*words: str) -> str:
        shown = run_command("explain", request_id, *words, data=gateway.data)
        assert (shown.returncode, token in shown.stdout, signature[:20] in shown.stdout) == (0, False, False)
        return shown.stdout

    running = said()
    assert f"request {request_id} at " in running
    assert f" kid={kid} " in running
    assert "rules     those of the issuer jotgate, leeway 5 s" in running
    assert f"keys      1: {kid}" in running
    assert json.loads(said("--json"))["refused"]["kids"] == [kid]
    unknown = run_command("explain", "no-such-request", data=gateway.data)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "error command: no request 'no-such-request' is in the audit log" in unknown.stderr
    assert "  fix  " in unknown.stderr
    gateway.stop()
    assert said() == running


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('credentials = ["cookie"]', "write the pages' origins to cors.origins"),
        ('credentials = ["url"]', '"query" or "cookie" or "api-key" or "x-api-key"'),
        ('credentials = ["query", "query"]', "names a place twice; write each once"),
    ],
)
def test_a_wrong_setting_is_told_with_what_to_write(directory: Path, line: str, fault: str) -> None:
    file = directory / "jotgate.toml"
    file.write_text(f'[[routes]]\nalias = "a"\nattempts = [{{ upstream = "echo" }}]\n{line}\n')
    checked = run_command("check", "--config", str(file), data=directory / "data")
    assert checked.returncode == 1
    assert "routes[0].credentials" in checked.stdout + checked.stderr
    assert fault in checked.stdout + checked.stderr
