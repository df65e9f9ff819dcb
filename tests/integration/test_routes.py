"""Routes of a running gateway: fail-over, what crosses in either direction, and what an upstream's faults become."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import pytest

from jotgate.errors import Code
from jotgate.testing.running import Gateway, running_gateway, until
from jotgate.testing.upstream import End, Gate, Step, UpstreamServer, chunked, torn, unary, upstream_in_thread
from tests.integration.exchanges import Caller, chat_body, exchange, record_of, statuses

_OWN_KEY: Final = "sk-the-gateways-own"
_ANSWER: Final = b'{"id":"a","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}'
_SOON_S: Final = 2.0


class Scene(NamedTuple):
    """A gateway before its upstreams, and a caller with a token for everything."""

    gateway: Gateway
    first: UpstreamServer
    second: UpstreamServer
    token: str
    caller: Caller

    def ask(self, model: str, name: str, **members: object) -> Any:
        """One chat completion under a request id."""
        return self.caller(
            "POST", "/v1/chat/completions", chat_body(model, "hello", **members), headers={"X-Request-Id": name}
        )

    def record(self, name: str) -> dict[str, Any]:
        """The audit record of that request."""
        return record_of(self.gateway, name)


def entry(name: str, port: int, models: dict[str, str], *settings: str) -> str:
    """An upstream in `jotgate.toml`."""
    aliases = ", ".join(f'"{alias}" = "{model}"' for alias, model in models.items())
    lines = (
        f'name = "{name}"',
        'kind = "openai"',
        f'base_url = "http://127.0.0.1:{port}/base/v1/"',
        f"models = {{ {aliases} }}",
        *settings,
    )
    return "[[upstreams]]\n" + "".join(f"{line}\n" for line in lines)


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[Gateway, UpstreamServer, UpstreamServer, str]]:
    """One gateway for this module. Nobody listens at `dead`, whose port is held so that nobody else does."""
    with ExitStack() as stack:
        first = stack.enter_context(upstream_in_thread())
        second = stack.enter_context(upstream_in_thread())
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.1", 0))
        key = 'credential_env = "ROUTES_TEST_KEY"'
        config = (
            entry("dead", dead.getsockname()[1], {"revived": "dead-model", "lost": "dead-model"})
            + entry("first", first.port, {"both": "first-model", "one": "first-model"}, key, "breaker_failures = 0")
            + entry("limited", first.port, {"limited": "first-model"})
            + entry("second", second.port, {"both": "second-model", "revived": "second-model"})
            + entry("hasty", first.port, {"hasty": "first-model"}, 'first_byte_timeout = "1s"', 'idle_timeout = "1s"')
        )
        gateway = stack.enter_context(running_gateway(config, environment={"ROUTES_TEST_KEY": _OWN_KEY}))
        yield gateway, first, second, gateway.token()


@pytest.fixture
def scene(stage: tuple[Gateway, UpstreamServer, UpstreamServer, str]) -> Iterator[Scene]:
    """The stage with upstreams that have seen nothing yet and answer well; the gateway says nothing on stderr."""
    gateway, first, second, token = stage
    for server in (first, second):
        server.requests.clear()
        server.default = unary(_ANSWER)
    caller = Caller(gateway, token)
    yield Scene(gateway, first, second, token, caller)
    caller.close()
    # Faults of upstreams are told, one line each; nothing else is.
    lines = gateway.errors.splitlines()
    assert [line for line in lines if not line.startswith(("jotgate: a call failed at", "jotgate: upstream"))] == []


# Which upstream answers


def test_the_first_in_the_file_answers_and_is_asked_for_its_own_model(scene: Scene) -> None:
    answer = scene.ask("both", "route-first")
    assert (answer.status, answer.body) == (200, _ANSWER)
    assert scene.second.requests == []
    (request,) = scene.first.requests
    assert request.target == "/base/v1/chat/completions"
    assert json.loads(request.body) == chat_body("first-model")
    record = scene.record("route-first")
    assert (record["model"], record["upstream"]) == ("both", "first")
    assert (record["tokens_in"], record["tokens_out"]) == (5, 7)


def test_a_refused_connection_fails_over(scene: Scene) -> None:
    answer = scene.ask("revived", "route-dead")
    assert (answer.status, answer.body) == (200, _ANSWER)
    assert json.loads(scene.second.requests[0].body)["model"] == "second-model"
    record = scene.record("route-dead")
    assert (record["upstream"], record["outcome"]) == ("second", "complete")


@pytest.mark.parametrize("status", [429, 503])
def test_an_upstream_that_says_not_now_fails_over(scene: Scene, status: int) -> None:
    scene.first.default = unary(b'{"error":{"message":"busy"}}', status)
    answer = scene.ask("both", f"route-{status}")
    assert (answer.status, answer.body) == (200, _ANSWER)
    assert (len(scene.first.requests), len(scene.second.requests)) == (1, 1)


@pytest.mark.parametrize("status", [429, 503])
def test_the_last_upstreams_not_now_is_the_callers_to_see(scene: Scene, status: int) -> None:
    body = b'{"error":{"message":"busy","type":"rate_limit_error","param":null,"code":"busy"}}'
    scene.first.default = unary(body, status, b"Retry-After: 17")
    answer = scene.ask("limited", f"route-last-{status}")  # It is left alone for a while: nothing else goes there.
    assert (answer.status, answer.body, answer.all("retry-after")) == (status, body, ["17"])


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_any_other_answer_is_passed_on_and_nobody_else_is_asked(scene: Scene, status: int) -> None:
    body = b'{"error":{"message":"of the upstream","type":"t","param":null,"code":"c"}}'
    scene.first.default = unary(body, status)
    answer = scene.ask("both", f"route-passed-{status}")
    assert (answer.status, answer.body) == (status, body)
    assert scene.second.requests == []
    assert scene.record(f"route-passed-{status}")["status"] == status


def test_a_request_that_an_upstream_has_seen_is_not_sent_to_another(scene: Scene) -> None:
    """It may have been done, and billed."""
    scene.first.default = [End("reset")]
    answer = scene.ask("both", "route-seen")
    assert (answer.status, answer.code) == (502, Code.UPSTREAM_UNAVAILABLE)
    assert scene.second.requests == []
    assert scene.record("route-seen")["code"] == Code.UPSTREAM_UNAVAILABLE


def test_an_upstream_that_is_not_there_is_told(scene: Scene) -> None:
    answer = scene.ask("lost", "route-lost")
    assert (answer.status, answer.code) == (502, Code.UPSTREAM_UNAVAILABLE)
    record = scene.record("route-lost")
    assert (record["upstream"], record["outcome"]) == ("dead", "failed")


# What crosses


def test_nothing_of_the_callers_identity_reaches_the_upstream(scene: Scene) -> None:
    fields = {
        "Cookie": "session=secret",
        "Proxy-Authorization": "Basic c2VjcmV0",
        "OpenAI-Organization": "org-secret",
        "X-Forwarded-For": "192.0.2.1",
        "X-Jotgate-Peer": "192.0.2.1",
        "User-Agent": "secret-agent",
        "Referer": "https://secret.example/",
        "Connection": "keep-alive, X-Dropped",
        "X-Dropped": "secret",
        "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "X-Request-Id": "route-headers",
    }
    answer = scene.caller("POST", "/v1/chat/completions?tenant=secret", chat_body("one", store=True), headers=fields)
    assert answer.status == 200
    (request,) = scene.first.requests
    assert scene.token.encode() not in request.raw
    assert b"secret" not in request.raw
    assert request.headers.pop("user-agent").startswith("jotgate/")
    assert {name: value for name, value in request.headers.items() if name != "user-agent"} == {
        "host": f"127.0.0.1:{scene.first.port}",
        "authorization": f"Bearer {_OWN_KEY}",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
        "x-request-id": "route-headers",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    assert json.loads(request.body)["store"] is False


def test_an_upstream_without_a_credential_gets_none(scene: Scene) -> None:
    assert scene.ask("revived", "route-bare").status == 200
    (request,) = scene.second.requests
    assert "authorization" not in request.headers


def test_response_fields_cross_by_name_only(scene: Scene) -> None:
    scene.first.default = unary(
        _ANSWER,
        200,
        b"Set-Cookie: session=theirs",
        b"Server: theirs",
        b"X-Internal: theirs",
        b"WWW-Authenticate: Bearer",
        b"Access-Control-Allow-Origin: *",
        b"Strict-Transport-Security: max-age=1",
        b"X-Request-Id: theirs",
        b"Location: /theirs",
        b"OpenAI-Version: 2020-10-01",
        b"OpenAI-Processing-Ms: 12",
    )
    answer = scene.ask("one", "route-response")
    assert {name for name, _ in answer.fields} == {
        "date",
        "x-request-id",
        "content-type",
        "openai-version",
        "openai-processing-ms",
        "content-length",
        "x-content-type-options",
        "referrer-policy",
    }
    assert answer.all("x-request-id") == ["route-response"]
    assert _OWN_KEY not in repr(answer)


def test_a_stream_passes_byte_for_byte_as_it_comes(scene: Scene) -> None:
    gate = Gate()
    pieces: list[Step] = [
        b'data: {"choices":[]}\n',
        b'\ndata: {"us',
        gate,
        b'age":{"prompt_tokens":1,',
        b'"completion_tokens":2}}\n\n',
    ]
    scene.first.default = chunked(*pieces, b"data: [DONE]\n\n")
    connection = open_call(scene, "one", "route-stream", stream=True)
    response = connection.getresponse()
    early = response.read1()
    while not early.endswith(b'{"us'):  # It is here while the upstream waits.
        early += response.read1()
    gate.open()
    late = response.read()
    connection.close()
    sent = b"".join(piece for piece in pieces if isinstance(piece, bytes)) + b"data: [DONE]\n\n"
    assert early + late == sent
    record = scene.record("route-stream")
    assert (record["tokens_in"], record["tokens_out"], record["bytes_out"]) == (1, 2, len(sent))


# What an upstream's faults become


@pytest.mark.parametrize("status", [401, 403, 407])
def test_an_upstream_that_refuses_our_credential_is_no_refusal_of_the_callers(scene: Scene, status: int) -> None:
    scene.first.default = unary(b'{"error":{"message":"Incorrect API key provided: sk-the-g***"}}', status)
    answer = scene.ask("both", f"route-refused-{status}")
    assert (answer.status, answer.code) == (502, Code.UPSTREAM_REFUSED)
    assert answer.all("www-authenticate") == []
    assert b"sk-" not in answer.body
    record = scene.record(f"route-refused-{status}")
    assert (record["status"], record["outcome"], record["code"]) == (502, "failed", Code.UPSTREAM_REFUSED)


def test_a_redirect_is_not_followed_and_not_passed_on(scene: Scene) -> None:
    scene.first.default = unary(b"", 302, b"Location: http://127.0.0.1:%d/v1" % scene.second.port)
    answer = scene.ask("one", "route-redirect")
    assert (answer.status, answer.code, answer.all("location")) == (502, Code.UPSTREAM_TORN, [])
    assert scene.second.requests == []


@pytest.mark.parametrize(
    "garbage", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02\x46", b"HTTP/1.1 2x0 OK\r\n\r\n"]
)
def test_an_answer_that_is_not_http_is_a_torn_one(scene: Scene, garbage: bytes) -> None:
    scene.first.default = [garbage, End()]
    answer = scene.ask("one", "route-garbage")
    assert (answer.status, answer.code) == (502, Code.UPSTREAM_TORN)


def test_a_unary_answer_that_breaks_off_is_never_taken_for_a_whole_one(scene: Scene) -> None:
    scene.first.default = torn(b'{"id":', 100)
    with pytest.raises(http.client.IncompleteRead):
        scene.ask("one", "route-torn")
    record = scene.record("route-torn")
    assert (record["outcome"], record["code"]) == ("torn", Code.UPSTREAM_TORN)


def test_a_stream_that_breaks_off_says_so_in_its_last_event(scene: Scene) -> None:
    scene.first.default = chunked(b'data: {"choices":[]}\n\n', b'data: {"cho', End())
    received = exchange(scene.gateway, raw_call(scene, "one", "route-torn-stream"))
    assert statuses(received) == [200]
    assert not received.endswith(b"0\r\n\r\n")  # The chunked body is not ended as if it were whole.
    events = [line for line in received.split(b"\n") if line.startswith(b"data: ")]
    assert json.loads(events[-1][6:])["error"]["code"] == Code.UPSTREAM_TORN
    record = scene.record("route-torn-stream")
    assert (record["status"], record["outcome"], record["code"]) == (200, "torn", Code.UPSTREAM_TORN)


def test_silence_before_the_first_byte_times_out(scene: Scene) -> None:
    scene.first.default = [Gate()]
    answer = scene.ask("hasty", "route-silent")
    assert (answer.status, answer.code) == (504, Code.UPSTREAM_TIMEOUT)
    assert scene.record("route-silent")["outcome"] == "timeout"


def test_silence_in_a_stream_times_out_and_says_so(scene: Scene) -> None:
    scene.first.default = chunked(b'data: {"choices":[]}\n\n', Gate())
    received = exchange(scene.gateway, raw_call(scene, "hasty", "route-idle"))
    events = [line for line in received.split(b"\n") if line.startswith(b"data: ")]
    assert json.loads(events[-1][6:])["error"]["code"] == Code.UPSTREAM_TIMEOUT
    record = scene.record("route-idle")
    assert (record["status"], record["outcome"]) == (200, "timeout")


# When the caller leaves


@pytest.mark.parametrize(
    ("name", "answer", "status"),
    [
        ("waiting", [Gate()], 499),
        ("streaming", chunked(b'data: {"choices":[]}\n\n', Gate()), 200),
    ],
)
def test_a_caller_who_leaves_ends_the_upstreams_work(scene: Scene, name: str, answer: list[Step], status: int) -> None:
    scene.first.default = answer
    connection = open_call(scene, "one", f"route-left-{name}", stream=True)
    if status == 200:
        connection.getresponse().read1()
    until(lambda: len(scene.first.requests) == 1, "the upstream has the request", _SOON_S)
    working = scene.first.connections
    connection.close()
    until(lambda: scene.first.connections < working, "the upstream's connection is closed", _SOON_S)
    record = scene.record(f"route-left-{name}")
    assert (record["outcome"], record["status"]) == ("caller_gone", status)


def open_call(scene: Scene, model: str, name: str, **members: object) -> http.client.HTTPConnection:
    """A chat completion that has been sent, on a connection of its own."""
    address = urlsplit(scene.gateway.url)
    assert address.hostname
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    fields = {"Authorization": f"Bearer {scene.token}", "X-Request-Id": name}
    connection.request("POST", "/v1/chat/completions", json.dumps(chat_body(model, "hello", **members)), fields)
    return connection


def raw_call(scene: Scene, model: str, name: str) -> bytes:
    """A streamed chat completion as bytes, after which the gateway closes the connection."""
    body = json.dumps(chat_body(model, stream=True)).encode()
    fields = f"Host: a\r\nConnection: close\r\nAuthorization: Bearer {scene.token}\r\nX-Request-Id: {name}\r\n"
    head = f"POST /v1/chat/completions HTTP/1.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


# What a token may see


def test_models_lists_what_the_token_may_use_and_no_more(scene: Scene) -> None:
    everything = scene.caller("GET", "/v1/models").json["data"]
    assert {row["id"] for row in everything} == {"echo", "both", "one", "limited", "revived", "lost", "hasty"}
    limited = Caller(scene.gateway, scene.gateway.token("--model", "one", "--model", "not-there"))
    assert [row["id"] for row in limited("GET", "/v1/models").json["data"]] == ["one"]
    assert limited("GET", "/v1/models/one").json["id"] == "one"
    hidden, absent = limited("GET", "/v1/models/both"), limited("GET", "/v1/models/nowhere")
    assert (hidden.status, hidden.code) == (403, Code.MODEL_NOT_PERMITTED)
    assert hidden.body == absent.body  # What exists beyond the claim is not told.
    limited.close()
    blind = Caller(scene.gateway, scene.gateway.token("--scope", "chat.completions"))
    refused = blind("GET", "/v1/models")
    assert (refused.status, refused.code) == (403, Code.INSUFFICIENT_SCOPE)
    blind.close()


def test_health_and_the_key_set_need_no_token(scene: Scene) -> None:
    stranger = Caller(scene.gateway)
    assert stranger("GET", "/health/live").json == {"status": "ok"}
    assert stranger("GET", "/health/ready").json == {"status": "ok"}
    assert stranger("GET", "/health").json["snapshot"] >= 1
    assert stranger("POST", "/health", {}).code == Code.METHOD_REFUSED
    answer = stranger("GET", "/.well-known/jwks.json")
    assert answer.all("content-type") == ["application/jwk-set+json"]
    (key,) = answer.json["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert key["kid"] == scene.gateway.status()["kid"]
    assert stranger("POST", "/.well-known/jwks.json", {}).code == Code.METHOD_REFUSED
    stranger.close()
