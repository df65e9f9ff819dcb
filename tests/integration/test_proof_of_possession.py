"""F15, E07, MT-01: bound tokens at running machines, whose holders have real keys and certificates."""

import base64
import http.client
import json
import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import pytest

from jotgate.testing.certificates import Authority, Pair
from jotgate.testing.running import Gateway, run_command, until
from tests.databases import Postgres, postgres
from tests.integration.exchanges import Answer, Caller, chat_body, records
from tests.integration.fronts import nginx
from tests.proving import Holder

StartGateway = Callable[..., Gateway]
PATH: Final = "/v1/chat/completions"
NAME: Final = "https://gate.example"
_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_CALLS: Final = 12  # on as many connections, so that every worker has some
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres() as found:
        yield found


class Agent:
    """A client with a key, at gateways that are known as `name`."""

    def __init__(self, gateway: Gateway, *options: str, name: str = "") -> None:
        self.name = name or gateway.url
        self.holder = Holder()
        self.last: dict[str, Any] = {}
        wanted = ("--grant", "client_credentials", "--scope", "ai", *options)
        made = run_command("client", "create", "agent", *wanted, "--json", data=gateway.data)
        assert made.returncode == 0, made.stderr
        self.secret = str(json.loads(made.stdout).get("client_secret", ""))

    def ask(self, gateway: Gateway, path: str, content: object, headers: dict[str, Any], **said: Any) -> Answer:
        """One request with a proof, and once more when a nonce is asked for."""
        answer = self._ask_once(gateway, path, content, headers, **said)
        if answer.status == 200 or not answer.all("dpop-nonce"):
            return answer
        return self._ask_once(gateway, path, content, headers, nonce=answer.all("dpop-nonce")[0], **said)

    def _ask_once(
        self,
        gateway: Gateway,
        path: str,
        content: object,
        headers: dict[str, Any],
        token: str | None = None,
        **said: Any,
    ) -> Answer:
        proof = self.holder.prove("POST", self.name + path, time.time(), token, **said)
        self.last = {"DPoP": proof, **headers}
        with closing(Caller(gateway)) as caller:
            return caller("POST", path, content, headers=self.last)

    def token(self, gateway: Gateway) -> str:
        """A token that is bound to the key."""
        pair = base64.b64encode(f"agent:{self.secret}".encode()).decode()
        form = urlencode({"grant_type": "client_credentials"}).encode()
        answer = self.ask(gateway, "/oauth/token", form, {**_FORM, "Authorization": f"Basic {pair}"})
        assert (answer.status, answer.json["token_type"]) == (200, "DPoP"), answer
        return str(answer.json["access_token"])

    def call(self, gateway: Gateway, token: str) -> Answer:
        """One call; `last` is then what it was sent with."""
        return self.ask(gateway, PATH, chat_body(), {"Authorization": f"DPoP {token}"}, token=token)

    def replay(self, gateway: Gateway) -> set[tuple[int, str]]:
        """What comes of the last call when somebody sends it again, to every worker."""
        found = set()
        for _ in range(_CALLS):
            with closing(Caller(gateway)) as caller:
                answer = caller("POST", PATH, chat_body(), headers=self.last)
            found.add((answer.status, "" if answer.status == 200 else answer.code))
        return found


REPLAYED: Final = {(401, "proof_refused")}


def test_F15_a_replayed_proof_is_refused_by_the_other_worker_too(start_gateway: StartGateway) -> None:
    gateway = start_gateway("", "--workers", "2")
    agent = Agent(gateway, "--binding", "required-dpop")
    token = agent.token(gateway)
    for _ in range(_CALLS):
        assert agent.call(gateway, token).status == 200
    assert agent.replay(gateway) == REPLAYED
    with closing(Caller(gateway, token)) as thief:
        assert (thief.chat().status, thief.chat().code) == (401, "token_bound")
    until(lambda: any(one.get("code") == "proof_refused" for one in records(gateway)), "it is in the audit log")


def test_F15_of_twenty_uses_of_one_proof_at_once_one_is_served(start_gateway: StartGateway) -> None:
    gateway = start_gateway('[dpop]\nnonce = "required"\n', "--workers", "2")
    agent = Agent(gateway)
    token = agent.token(gateway)
    assert agent.call(gateway, token).status == 200
    nonce = _claims(agent.last["DPoP"])["nonce"]
    proof = agent.holder.prove("POST", gateway.url + PATH, time.time(), token, nonce=nonce)
    callers = [Caller(gateway) for _ in range(20)]
    for caller in callers:
        caller.send("POST", PATH, chat_body(), headers={"DPoP": proof, "Authorization": f"DPoP {token}"})
    answers = [caller.receive().status for caller in callers]
    for caller in callers:
        caller.close()
    assert sorted(answers) == [200] + [401] * 19


def _claims(proof: str) -> dict[str, Any]:
    payload = proof.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def test_F15_a_restarted_control_takes_no_proof_that_was_used_before(start_gateway: StartGateway) -> None:
    gateway = start_gateway("", "--workers", "2")
    agent = Agent(gateway)
    token = agent.token(gateway)
    assert agent.call(gateway, token).status == 200
    control = gateway.pids["control"]
    os.kill(control, signal.SIGKILL)
    until(lambda: gateway.pids.get("control", control) != control, "another control is there")
    seen = agent.replay(gateway)
    assert {status for status, _ in seen} <= {401, 503}, seen
    assert agent.call(gateway, token).status == 200, "its holder goes on, with the nonce that it is given"


def test_F15_a_replayed_proof_is_refused_by_the_second_machine(start_gateway: StartGateway, server: Postgres) -> None:
    settings = (
        f'[server]\npublic_url = "{NAME}"\nworkers = 2\n'
        f'[store]\nurl = "{server.make_database().url}"\n'
        '[keys]\nmaster_key_env = "JOTGATE_MASTER_KEY"\n'
        '[dpop]\nnonce = "required"\n'
    )
    one = start_gateway(settings, environment=_MASTER)
    two = start_gateway(settings, environment=_MASTER)
    agent = Agent(one, name=NAME)
    token = agent.token(one)
    for machine, other in ((one, two), (two, one)):
        assert agent.call(machine, token).status == 200
        assert agent.replay(other) == REPLAYED
        assert agent.replay(machine) == REPLAYED
    nonce = _claims(agent.last["DPoP"])["nonce"]
    proof = agent.holder.prove("POST", NAME + PATH, time.time(), token, nonce=nonce)
    with closing(Caller(one)) as caller:
        answer = caller("POST", PATH, chat_body(), headers={"DPoP": proof, "Authorization": f"DPoP {token}"})
    assert answer.status == 200, "a nonce of the one counts at the other"


class TlsCaller:
    """Requests over TLS, each on a connection of its own, with a client certificate or without."""

    def __init__(self, port: int, authority: Authority) -> None:
        self._port = port
        self._authority = authority

    def __call__(self, path: str, body: bytes, headers: dict[str, str], pair: Pair | None = None) -> tuple[int, Any]:
        context = ssl.create_default_context(cafile=str(self._authority.root))
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        with closing(http.client.HTTPSConnection("127.0.0.1", self._port, timeout=10, context=context)) as connection:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def token(self, pair: Pair | None) -> tuple[int, Any]:
        form = urlencode({"grant_type": "client_credentials", "client_id": "agent"}).encode()
        return self("/oauth/token", form, _FORM, pair)

    def chat(self, token: str, pair: Pair | None, **headers: str) -> tuple[int, str]:
        fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
        status, said = self(PATH, json.dumps(chat_body()).encode(), fields, pair)
        return status, "" if status == 200 else said["error"]["code"]


def test_MT_01_a_client_and_its_tokens_are_bound_to_its_certificate(
    start_gateway: StartGateway, directory: Path
) -> None:
    authority = Authority(directory)
    shown, mine, other = authority.issue("server"), authority.issue("robot"), authority.issue("other")
    settings = (
        f'[tls]\ncert = "{shown.cert}"\nkey = "{shown.key}"\nclient_ca = "{authority.root}"\n'
        'client_certificates = "optional"\n'
    )
    gateway = start_gateway(settings, "--workers", "2")
    Agent(gateway, "--tls-subject-dn", "CN=robot", "--binding", "required-mtls")
    ask = TlsCaller(urlsplit(gateway.url).port or 0, authority)
    status, granted = ask.token(mine)
    assert (status, granted["token_type"]) == (200, "Bearer"), granted
    for wrong in (other, None):
        assert ask.token(wrong)[1]["error"] == "invalid_client"
    token = granted["access_token"]
    for _ in range(4):
        assert ask.chat(token, mine) == (200, "")
        for wrong in (other, None):
            assert ask.chat(token, wrong) == (401, "token_bound")
    field = base64.b64encode(ssl.PEM_cert_to_DER_cert(mine.cert.read_text())).decode()
    for said in ({"Client-Cert": f":{field}:"}, {"X-Jotgate-Certificate": field}):
        assert ask.chat(token, None, **said) == (401, "token_bound"), "what a caller says of its certificate is nothing"
    plain = gateway.token()
    assert ask.chat(plain, None) == ask.chat(plain, mine) == (200, "")


def test_CF_02_behind_a_proxy_the_certificate_is_what_the_proxy_says(
    start_gateway: StartGateway, directory: Path
) -> None:
    authority = Authority(directory)
    mine, other = (ssl.PEM_cert_to_DER_cert(authority.issue(name).cert.read_text()) for name in ("robot", "other"))
    settings = '[server]\ntrusted_proxies = ["127.0.0.1"]\nclient_certificate_field = "client-cert"\n'
    gateway = start_gateway(settings)
    Agent(gateway, "--tls-subject-dn", "CN=robot")

    def passed(path: str, content: object, certificate: bytes, **fields: str) -> Answer:
        field = {"Client-Cert": f":{base64.b64encode(certificate).decode()}:"} if certificate else {}
        with closing(Caller(gateway)) as caller:
            return caller("POST", path, content, headers={"X-Forwarded-For": "203.0.113.9", **field, **fields})

    form = urlencode({"grant_type": "client_credentials", "client_id": "agent"}).encode()
    answer = passed("/oauth/token", form, mine, **_FORM)
    assert answer.status == 200, answer
    bearer = {"Authorization": f"Bearer {answer.json['access_token']}"}
    assert passed(PATH, chat_body(), mine, **bearer).status == 200
    for wrong in (other, b""):
        assert passed("/oauth/token", form, wrong, **_FORM).json["error"] == "invalid_client"
        assert passed(PATH, chat_body(), wrong, **bearer).code == "token_bound"


def test_MT_01_nginx_passes_the_certificate_on_that_it_has_verified(
    start_gateway: StartGateway, directory: Path
) -> None:
    """As docs/proof-of-possession.md sets it up; what a caller writes into the field itself is gone."""
    authority, stranger = Authority(directory), Authority(directory, "stranger")
    shown, mine = authority.issue("server"), authority.issue("robot")
    settings = '[server]\ntrusted_proxies = ["127.0.0.1"]\nclient_certificate_field = "x-ssl-client-cert"\n'
    gateway = start_gateway(settings)
    Agent(gateway, "--tls-subject-dn", "CN=robot")
    tls = (
        f"ssl_certificate {shown.cert}; ssl_certificate_key {shown.key}; "
        f"ssl_client_certificate {authority.root}; ssl_verify_client optional;"
    )
    passed = "proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert;"
    with nginx(directory, urlsplit(gateway.url).port or 0, passed, tls) as front:
        ask = TlsCaller(front.port, authority)
        status, granted = ask.token(mine)
        assert status == 200, granted
        token = granted["access_token"]
        assert ask.chat(token, mine) == (200, "")
        forged = quote(mine.cert.read_text())
        for said in ({}, {"X-SSL-Client-Cert": forged}):
            assert ask.chat(token, None, **said) == (401, "token_bound")
        assert ask.chat(token, authority.issue("other")) == (401, "token_bound")
        made_up = stranger.issue("robot")  # of the same name, and of a root that nginx does not know
        with pytest.raises(json.JSONDecodeError):  # It is a page of nginx's own that refuses.
            ask.chat(token, made_up)
