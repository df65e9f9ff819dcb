"""The campaign: so many malformed requests and tokens, a good request after each, and what it did to the server."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure

from bench.fuzz.corpus import BAD, GOOD, NOT_SERVED, TOKEN
from bench.fuzz.exchange import HANG_S, Harm, Told, exchange
from bench.fuzz.strategies import bodies, requests, tokens
from bench.memory import Memory, parse_rollup
from jotgate.jose.jwt import peek_unverified
from jotgate.jose.keys import SigningKey, signing_key_from_pem
from jotgate.testing.forge import Forge
from jotgate.testing.issuer import wrong_tokens
from jotgate.testing.running import Gateway

SAMPLE_EACH: Final = 250
GROWN_MIB_MAX: Final = 4.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many inputs of each kind that Hypothesis makes; the corpus and the named tokens come on top."""

    requests: int
    bodies: int
    tokens: int


SETTINGS: Final = "[limits]\nfailed_attempts = 0\n"
"""Everything comes from one address, and each token is to be judged."""

FULL: Final = Sizes(requests=8_000, bodies=4_000, tokens=8_000)
SMALL: Final = Sizes(requests=150, bodies=75, tokens=150)


@dataclass
class Findings:
    """What the campaign saw. Mutable while it runs."""

    seed: int
    sent: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    slowest_s: float = 0.0
    memory: list[Memory] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def pss_mib(self) -> list[float]:
        """The worker's memory after each SAMPLE_EACH inputs."""
        return [round(one.pss_mib, 1) for one in self.memory]

    @property
    def grown_mib(self) -> float:
        """By how much the last quarter lies above the second.

        The first is left out: caches fill, and the cyclic collector lets garbage lie until there is enough of it.
        """
        quarter = max(1, len(self.memory) // 4)
        return fmean(self.pss_mib[-quarter:]) - fmean(self.pss_mib[quarter : 2 * quarter] or self.pss_mib[:1])

    def note(self, kind: str, told: Told) -> None:
        """Count an exchange."""
        self.sent[kind] += 1
        counts = self.statuses.setdefault(kind, Counter())
        counts[" ".join(map(str, told.statuses)) if told.statuses else "closed"] += 1
        self.slowest_s = max(self.slowest_s, told.seconds)


class Campaign:
    """Attacks one running gateway with one worker, so that the good request meets the worker that was attacked."""

    def __init__(self, gateway: Gateway, sizes: Sizes, chosen_seed: int) -> None:
        self._gateway = gateway
        self._sizes = sizes
        self._port = int(gateway.url.rpartition(":")[2])
        self._token = gateway.token().encode()
        self._findings = Findings(chosen_seed)
        self._before = gateway.pids
        self._said = gateway.errors
        self._good = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HANG_S)
        self._bad = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HANG_S)

    def run(self) -> Findings:
        """Run it whole.

        Raises:
            Harm: the server said 5xx, hung, died, complained, let a wrong token pass, or refused a good request.
        """
        began_s = time.monotonic()
        try:
            self._corpus()
            self._named_tokens()
            self._hypothesis("requests", self._sizes.requests, requests(), self._send_request)
            self._hypothesis("bodies", self._sizes.bodies, bodies(), self._send_body)
            self._hypothesis("tokens", self._sizes.tokens, tokens(self._forge()), self._send_token)
        finally:
            self._good.close()
            self._bad.close()
        self._check_server()
        self._findings.seconds = time.monotonic() - began_s
        return self._findings

    # What is sent

    def _corpus(self) -> None:
        for text in (*GOOD.values(), *BAD.values()):
            self._send_request(text, "corpus")
        for name, text in GOOD.items():
            told = exchange(self._port, text.replace(TOKEN, self._token))
            if not told.statuses or (name not in NOT_SERVED and max(told.statuses) >= 400):
                raise Harm(f"the good request '{name}' was answered with {told.statuses}")

    def _named_tokens(self) -> None:
        forge = self._forge()
        for name, (token, _) in wrong_tokens(forge.key, forge.issuer, forge.audience, time.time()).items():
            if self._send_token(token, "named tokens") == 200:
                raise Harm(f"the wrong token '{name}' was accepted")

    def _hypothesis(
        self, kind: str, count: int, strategy: st.SearchStrategy[bytes], send: Callable[[bytes, str], object]
    ) -> None:
        @seed(self._findings.seed)
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def attack(data: bytes) -> None:
            send(data, kind)

        self._bad.close()  # It may have been idle for longer than the gateway keeps a connection; a new one opens.
        try:
            while self._findings.sent[kind] < count:
                attack()
        except FlakyFailure as flaky:
            raise Harm(f"once, and not again with the same input: {flaky.exceptions[0]}") from flaky

    def _send_request(self, data: bytes, kind: str) -> None:
        self._findings.note(kind, exchange(self._port, data.replace(TOKEN, self._token)))
        self._ask_well()

    def _send_body(self, body: bytes, kind: str) -> None:
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (self._token, len(body))
        )
        told = exchange(self._port, head + body)
        if len(told.statuses) != 1:
            raise Harm(f"a call was answered with {told.statuses}; its body was {body[:600]!r}")
        self._findings.note(kind, told)
        self._ask_well()

    def _send_token(self, token: bytes, kind: str) -> int:
        began_s = time.monotonic()
        status, _ = self._ask(self._bad, token)
        self._findings.note(kind, Told((status,), time.monotonic() - began_s))
        if status >= 500 or (status == 200 and not self._is_sound(token)):
            raise Harm(f"a token was answered with {status}: {token[:2_000]!r}")
        self._ask_well()
        return status

    def _is_sound(self, token: bytes) -> bool:
        """Whether a token that passed says what a good one says: claims that decide were left as they were."""
        good_header, good = peek_unverified(self._token)
        header, claims = peek_unverified(token)
        return (
            header.get("kid") == good_header["kid"]
            and header.get("alg") == good_header["alg"]
            and claims.get("iss") == good["iss"]
            and good["aud"] in (claims.get("aud"), *_members(claims.get("aud")))
        )

    # How the server bears it

    def _ask_well(self) -> None:
        if self._findings.sent.total() % SAMPLE_EACH == 0:
            self._remember()
        status, content = self._ask(self._good, self._token)
        if status != 200 or not json.loads(content)["data"]:
            raise Harm(f"a good request was answered with {status} after a bad one: {content[:600]!r}")

    def _ask(self, connection: http.client.HTTPConnection, token: bytes) -> tuple[int, bytes]:
        try:
            connection.request("GET", "/v1/models", headers={"Authorization": b"Bearer " + token})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Harm(f"a request was not answered: {error!r}; its token was {token[:600]!r}") from error

    def _remember(self) -> None:
        worker = self._gateway.pids["worker 0"]
        self._findings.memory.append(parse_rollup(Path(f"/proc/{worker}/smaps_rollup").read_text()))

    def _check_server(self) -> None:
        if self._gateway.pids != self._before:
            raise Harm(f"a process ended: {self._before} became {self._gateway.pids}; {self._gateway.errors}")
        if self._gateway.errors != self._said:
            raise Harm(f"it complained: {self._gateway.errors[-2_000:]}")
        if self._findings.grown_mib > GROWN_MIB_MAX:
            raise Harm(f"the worker's memory went on growing: {self._findings.pss_mib}")

    def _forge(self) -> Forge:
        _, claims = peek_unverified(self._token)
        return Forge(_signing_key(self._gateway.data / "keys"), str(claims["iss"]), str(claims["aud"]), time.time())


def _members(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _signing_key(folder: Path) -> SigningKey:
    (file,) = folder.glob("*.pem")
    return signing_key_from_pem(file.read_bytes(), file.name.partition(".")[0])
