"""The preset `prompt-chain` in front of a scripted model: what the API that it stands in for did badly, done well."""

import http.client
import json
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt as pyjwt
import pytest

from jotgate.testing.running import Gateway, run_command, short_directory, until
from jotgate.testing.upstream import Answer, Pause, UpstreamServer, chunked, unary, upstream_in_thread

SECRET: Final = secrets.token_urlsafe(64)
OUTPUT: Final = "what-the-model-says-is-nobodys-to-log"
DOTENV: Final = f"""\
JWT_SECRET_KEY={SECRET}
CHAIN_ANALYZE_MODEL=small
CHAIN_PROCESS_MODEL=small
CHAIN_SYNTHESIZE_MODEL=small
CHAIN_ANALYZE_TIMEOUT=2
RETRY_MAX_ATTEMPTS=1
RATE_LIMIT_CHAT_COMPLETIONS=3/hour
MAX_REQUEST_BODY_SIZE=4096
CORS_ORIGINS=["*"]
CORS_ALLOW_CREDENTIALS=true
"""


def said(text: str) -> Answer:
    """A model's answer in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return unary(json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}).encode())


def streamed(*texts: str) -> Answer:
    """A model's answer piece by piece."""
    chunks: list[dict[str, Any]] = [
        {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
        for text in texts
    ]
    chunks.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append(
        {"id": "x", "choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}}
    )
    events = [b"data: %b\n\n" % json.dumps(one).encode() for one in chunks]
    return chunked(*events, b"data: [DONE]\n\n")


ANALYZED: Final = said(json.dumps({"intent": "a greeting", "key_entities": [], "complexity": "simple", "context": {}}))


def processed(confidence: float) -> Answer:
    return said(json.dumps({"content": OUTPUT, "confidence": confidence, "metadata": {}}))


class House:
    """A gateway with the preset, and the one model that all steps ask."""

    def __init__(self, gateway: Gateway, place: Path, model: UpstreamServer) -> None:
        self.gateway = gateway
        self.dotenv = place / ".env"
        self.model = model
        line = gateway.read_line_with("prompt-chain")
        self.url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        self.client = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def plays(self, *answers: Answer) -> None:
        """The model's next answers, and nothing that was asked before."""
        self.model.script.clear()
        self.model.script.extend(answers)
        self.model.requests.clear()

    def ask(self, token: str, *messages: dict[str, str], **more: object) -> httpx.Response:
        asked = {"model": "prompt-chaining", "messages": list(messages) or [{"role": "user", "content": "Hello"}]}
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.post("/v1/chat/completions", json={**asked, **more}, headers=headers)

    def models(self, token: str) -> httpx.Response:
        return self.client.get("/v1/models", headers={"Authorization": f"Bearer {token}"})

    def sent(self) -> list[Any]:
        """The messages of each step that the model was asked."""
        return [json.loads(one.body)["messages"] for one in self.model.requests]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with short_directory() as place, upstream_in_thread() as model:
        (place / ".env").write_text(DOTENV)
        (place / ".env").chmod(0o600)
        file = place / "jotgate.toml"
        file.write_text(
            f'[[upstreams]]\nname = "lab"\nkind = "openai"\nbase_url = "{model.base_url}"\nmodels = ["small"]\n'
        )
        gateway = Gateway(
            place / "data", ("--config", str(file), "--preset", "prompt-chain"), {"API_PORT": "0"}, cwd=place
        )
        try:
            found = House(gateway.start(), place, model)
            with found.client:
                yield found
        finally:
            gateway.kill()


def token_of(subject: str = "", secret: str = SECRET, **claims: object) -> str:
    """A token as any library makes it; without a subject, one that nobody else has."""
    name = subject or f"subject-{secrets.token_hex(4)}"
    return pyjwt.encode({"sub": name, "iat": int(time.time()) - 1, **claims}, secret, "HS256")


def test_weak_001_1_tokens_are_bounded_can_be_revoked_and_outlive_a_change_of_the_secret(house: House) -> None:
    now_s = int(time.time())
    assert house.models(token_of()).status_code == 200
    for claims in (
        {"iss": "api-gateway"},
        {"aud": "openai-api"},
        {"nbf": now_s + 900},
        {"iat": now_s + 900},
        {"exp": now_s + 366 * 86_400},
        {"exp": "tomorrow"},
    ):
        answer = house.models(token_of(**claims))
        assert (answer.status_code, answer.json()) == (403, {"detail": "Invalid authentication credentials"}), claims
    leaver = token_of("leaver")
    assert house.models(leaver).status_code == 200
    done = run_command(
        "token", "revoke", "--subject", "leaver", "--issuer", "prompt-chain", "--yes", data=house.gateway.data
    )
    assert done.returncode == 0, done.stderr
    assert house.models(leaver).json() == {"detail": "Token has been revoked"}
    newer, until_s = secrets.token_urlsafe(64), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s + 3_600))
    rotated = f"JWT_SECRET_KEY={newer}\nJWT_SECRET_KEY_PREVIOUS={SECRET}\nJWT_SECRET_KEY_PREVIOUS_UNTIL={until_s}\n"
    try:
        house.dotenv.write_text(DOTENV.replace(f"JWT_SECRET_KEY={SECRET}\n", rotated))
        until(lambda: house.models(token_of(secret=newer)).status_code == 200, "the newer secret counts")
        assert house.models(token_of()).status_code == 200, "and the one before goes on until its end"
    finally:
        house.dotenv.write_text(DOTENV)
    until(lambda: house.models(token_of(secret=newer)).status_code == 403, "the secret is the first one again")


def test_weak_001_2_a_limit_counts_by_the_subject_of_a_verified_token(house: House) -> None:
    """The original took the subject of any token, so that a forged one spent what was another's."""
    forged = token_of("victim", secret=SECRET[::-1])
    assert {house.ask(forged).status_code for _ in range(5)} == {403}
    house.plays(*[ANALYZED, processed(0.9), said("Hello")] * 3)
    answers = [house.ask(token_of("victim")) for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[-1].json() == {"detail": "3 per 1 hour"}


def test_weak_001_3_a_step_that_takes_too_long_is_ended(house: House) -> None:
    house.plays([Pause(20.0), *ANALYZED])
    begun_s = time.monotonic()
    answer = house.ask(token_of())
    assert time.monotonic() - begun_s < 10
    assert answer.status_code == 504
    assert answer.json()["error"] == "streaming_timeout"


def test_weak_001_4_a_gate_that_closes_is_an_error_that_the_caller_sees(house: House) -> None:
    """The original answered 200 with nothing but the end of the stream."""
    house.plays(ANALYZED, processed(0.1))
    unary_answer = house.ask(token_of())
    assert unary_answer.status_code == 422
    assert "confidence" in unary_answer.json()["detail"]
    assert OUTPUT not in unary_answer.text
    house.plays(ANALYZED, processed(0.1))
    stream = house.ask(token_of(), stream=True)
    assert (stream.status_code == 422) or '"error"' in stream.text
    assert OUTPUT not in stream.text


def test_weak_001_5_the_whole_conversation_is_used_and_stream_is_read(house: House) -> None:
    conversation = (
        {"role": "system", "content": "Answer in French."},
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "A gate."},
        {"role": "user", "content": "And what do you open?"},
    )
    house.plays(ANALYZED, processed(0.9), said("Des portes."))
    answer = house.ask(token_of(), *conversation).json()
    assert answer["object"] == "chat.completion"
    assert (answer["choices"][0]["message"]["content"], answer["choices"][0]["finish_reason"]) == (
        "Des portes.",
        "stop",
    )
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (30, 15)
    for step in house.sent():
        assert all(one["content"] in json.dumps(step, ensure_ascii=False) for one in conversation)
    house.plays(ANALYZED, processed(0.9), streamed("Des ", "portes."))
    events = [row for row in house.ask(token_of(), *conversation, stream=True).text.splitlines() if row]
    assert events[-1] == "data: [DONE]"
    pieces = [json.loads(row.removeprefix("data: ")) for row in events[:-1]]
    said_there = "".join(one["delta"].get("content") or "" for piece in pieces for one in piece["choices"])
    assert said_there == "Des portes."
    assert "stop" in {one.get("finish_reason") for piece in pieces for one in piece["choices"]}


def test_weak_001_5_a_body_that_the_chain_cannot_read_is_told_in_this_apis_words(house: House) -> None:
    """The original took any model, temperature and limit, and used none of them."""
    house.plays()
    for members, loc in (
        ({"messages": []}, ["messages"]),
        ({"messages": [{"role": "robot", "content": "x"}]}, ["messages", 0]),
        ({"temperature": 2.5}, ["temperature"]),
        ({"max_tokens": 0}, ["max_tokens"]),
    ):
        answer = house.ask(token_of(), **members)
        assert answer.status_code == 422, answer.text
        (wrong,) = answer.json()["detail"]
        assert (wrong["loc"], wrong["type"]) == (["body", *loc], "value_error")
    assert house.model.requests == [], "nothing was asked of the model"


def test_weak_001_6_a_body_in_chunks_is_bounded_too(house: House) -> None:
    place = urlsplit(house.url)
    headers = {"Authorization": f"Bearer {token_of()}", "Content-Type": "application/json"}
    for body, wanted in ((iter([b"x" * 3_000] * 3), None), (b"x" * 5_000, 5_000)):
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
        connection.request("POST", "/v1/chat/completions", body, headers, encode_chunked=wanted is None)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        assert (answer.status, told["error"], told["max_size_bytes"]) == (413, "request_too_large", 4096)
        # Of a body in chunks, as much as had come when it was too much.
        least, most = (4_097, 9_000) if wanted is None else (wanted, wanted)
        assert least <= told["actual_size_bytes"] <= most


def test_weak_001_8_a_model_without_a_known_price_answers_all_the_same(house: House) -> None:
    """The original ended the request with a fault of its own."""
    house.plays(ANALYZED, processed(0.9), said("Hello"))
    answer = house.ask(token_of())
    assert answer.status_code == 200
    assert not answer.json()["usage"].get("cost")


def test_weak_001_9_nothing_that_a_model_or_a_caller_says_is_logged(house: House) -> None:
    house.plays(ANALYZED, processed(0.9), said("Hello"))
    headers = {"Authorization": f"Bearer {token_of()}", "X-Request-Id": "x" * 500}
    asked = {"model": "prompt-chaining", "messages": [{"role": "user", "content": "what-the-caller-says"}]}
    answer = house.client.post("/v1/chat/completions", json=asked, headers=headers)
    assert answer.headers["x-request-id"].startswith("req-")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    records = run_command("audit", "tail", "--json", "-n", "500", data=house.gateway.data).stdout
    for text in (OUTPUT, "what-the-caller-says", "x" * 200):
        assert text not in house.gateway.errors + records


def test_the_three_steps_of_a_call_stand_in_its_record(house: House) -> None:
    house.plays(ANALYZED, processed(0.9), said("Hello"))
    identity = house.ask(token_of("recorded")).headers["x-request-id"]

    def records() -> list[dict[str, Any]]:
        text = run_command("audit", "tail", "--json", "-n", "50", data=house.gateway.data).stdout
        return [one for row in text.splitlines() if (one := json.loads(row)).get("request_id") == identity]

    until(lambda: bool(records()), "the call is recorded")
    (record,) = records()
    assert (record["subject"], record["status"], len(record["steps"])) == ("recorded", 200, 3)
    assert {one.headers["x-request-id"] for one in house.model.requests} == {identity}


def test_its_operator_is_told_of_the_face_its_tokens_and_its_calls(house: House) -> None:
    """Where it listens, whose token one is, and by which listener a call came."""
    (face,) = house.gateway.status()["faces"]
    assert (face["name"], face["url"], face["missing"]) == ("prompt-chain", house.url, [])
    assert f"prompt-chain: {house.url}" in run_command("status", data=house.gateway.data).stdout
    judged = run_command("token", "verify", data=house.gateway.data, stdin=token_of("judged"))
    assert judged.returncode == 0, judged.stderr
    assert re.search(r"^  subject +judged$", judged.stdout, re.MULTILINE)
    assert re.search(r"^  at +the face prompt-chain, and nowhere else$", judged.stdout, re.MULTILINE)
    late = token_of("judged", iat=int(time.time()) - 120, exp=int(time.time()) - 60)
    expired = run_command("token", "verify", data=house.gateway.data, stdin=late)
    assert (expired.returncode, expired.stderr.split(":")[0]) == (1, "error token_expired")
    listed = house.models(token_of("recorded-face"))
    assert listed.json()["data"][0]["created"] > 1_700_000_000
    identity = listed.headers["x-request-id"]

    def explained() -> bool:
        return "face=prompt-chain" in run_command("explain", identity, data=house.gateway.data).stdout

    until(explained, "the record names the face")


def test_with_a_key_of_anthropic_its_endpoint_is_asked_with_it() -> None:
    """Only the address is another: that endpoint is spoken to as any OpenAI-compatible one."""
    key = "sk-ant-of-the-test"
    variables = {"JWT_SECRET_KEY": SECRET, "API_PORT": "0", "ANTHROPIC_API_KEY": key, "LOKI_URL": "http://127.0.0.1:1"}
    with short_directory() as place, upstream_in_thread(ANALYZED, processed(0.9), said("Hello")) as model:
        variables["JOTGATE_UPSTREAMS__ANTHROPIC__BASE_URL"] = model.base_url
        gateway = Gateway(place / "data", ("--preset", "prompt-chain"), variables, cwd=place)
        try:
            house = House(gateway.start(), place, model)
            with house.client:
                assert house.client.get("/health/ready").json() == {"status": "ready"}
                assert house.ask(token_of()).json()["choices"][0]["message"]["content"] == "Hello"
            assert {one.headers["authorization"] for one in model.requests} == {f"Bearer {key}"}
            bodies = [json.loads(one.body) for one in model.requests]
            assert {one["model"] for one in bodies} == {"claude-haiku-4-5-20251001"}
            assert [one["temperature"] for one in bodies] == [0.5, 0.7, 0.5]
            assert not any("response_format" in one for one in bodies)
            assert "LOKI_URL is not used" in gateway.errors
            assert key not in gateway.errors
        finally:
            gateway.kill()
