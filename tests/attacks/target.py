"""A running gateway to attack, the upstream behind it, and what must be true after every attack.

Each row of the attack list is a batch of shots at one gateway. After the batch a good call goes through, whose record
in the audit log says that the records of the batch are there too; then all that the gateway keeps is searched.
"""

import http.client
import json
import re
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from jotgate.errors import Code
from jotgate.jose import jws
from jotgate.jose.keys import signing_key_from_pem
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.running import Gateway, until
from jotgate.testing.upstream import UpstreamServer, unary
from tests.integration.exchanges import Answer, chat_body, exchange

MODEL: Final = "m"
# Each attack is to be refused for what it is, and not because so many came before it.
SETTINGS: Final = '[metrics]\nlisten = "127.0.0.1:0"\n[logs]\nlevel = "debug"\n[limits]\nfailed_attempts = 0\n'
UPSTREAM: Final = '[[upstreams]]\nname = "recording"\nkind = "openai"\nbase_url = "{}"\nmodels = ["{}"]\n'
ANSWER: Final = unary(b'{"id":"x","object":"chat.completion","choices":[]}')
_HEAD: Final = b"%b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\nX-Request-Id: %b\r\n"
_CHALLENGE: Final = re.compile(r'Bearer (?:[a-z_]+="[ !#-\[\]-~]*"(?:, (?=[a-z])|$))+')
_PARAMETER: Final = re.compile(r'([a-z_]+)="([^"]*)"')
_BODY: Final = json.dumps(chat_body(MODEL)).encode()
_SECRET_CHARS_MIN: Final = 24
_REFUSED: Final = {400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope"}
_GROWING: Final = (".log", ".stderr")
_numbers: Final = count()


class Shot(Struct, frozen=True):
    """One request and the refusal that it must meet.

    `lines` are header lines with their CRLF. `known`: the caller proved who it is before it was refused.
    `recorded` False: it is no request, so that nothing could stand in the audit log.
    """

    lines: bytes
    code: Code
    status: int = 401
    first: bytes = b"POST /v1/chat/completions"
    body: bytes = _BODY
    host: bytes = b"gate.example"
    known: bool = False
    recorded: bool = True

    def bytes_named(self, name: str) -> bytes:
        """The request, with its id."""
        length = b"Content-Length: %d\r\n" % len(self.body) if self.body else b""
        return _HEAD % (self.first, self.host, name.encode()) + length + self.lines + b"\r\n" + self.body


def bearer(token: bytes, code: Code, status: int = 401, *, known: bool = False, recorded: bool = True) -> Shot:
    """A call with this as its bearer token."""
    return Shot(b"Authorization: Bearer " + token + b"\r\n", code, status, known=known, recorded=recorded)


class Thrown(Struct, frozen=True):
    """What came of a batch: all answers, all that the gateway has kept since, the beginning of the requests' ids."""

    said: bytes
    kept: bytes
    batch: str


class Target:
    """The gateway under attack. `good` is a token of it, which reaches the upstream."""

    def __init__(self, gateway: Gateway, upstream: UpstreamServer, good: bytes) -> None:
        self.gateway = gateway
        self.good = good
        self._upstream = upstream
        upstream.default = ANSWER
        self._pids = gateway.pids
        (listener,) = gateway.status()["metrics"]
        self._metrics = urlsplit(str(listener))
        self._read: dict[Path, int] = {}
        self._records: list[dict[str, object]] = []

    def refuses_tokens(self, tokens: Mapping[str, tuple[bytes, Code]]) -> None:
        """Throw bearer tokens; each must meet 401 and its code."""
        self.refuses({name: bearer(token, code) for name, (token, code) in tokens.items()})

    def refuses(self, shots: Mapping[str, Shot]) -> Thrown:
        """Throw requests. Each is refused as it says; no upstream is asked; nothing of a token is kept anywhere.

        Returns all that was answered and is kept, for those who look for more in it, and what the ids begin with.
        """
        assert shots
        asked, begun = len(self._upstream.requests), self._sizes()
        batch = f"a{next(_numbers)}-"
        answers = {name: self._send(shot, batch + name) for name, shot in shots.items()}
        faults = {name: found for name, shot in shots.items() if (found := _fault(shot, answers[name], batch + name))}
        assert faults == {}, faults
        assert len(self._upstream.requests) == asked, "an upstream was asked"
        kept = self._settle(batch, begun)
        assert len(self._upstream.requests) == asked + 1, "an upstream was asked"
        assert not (unrecorded := _record_faults(shots, self._records_of(batch), batch)), unrecorded
        thrown = Thrown(b"".join(answers.values()), kept, batch)
        all_of_it = thrown.said + kept
        leaks = {
            one for one, shot in shots.items() if any(part in all_of_it for part in _secret_parts(shot, self.good))
        }
        assert leaks == set(), f"parts of tokens were kept or said: {leaks}"
        self.is_unshaken()
        return thrown

    def takes(self, token: bytes, name: str = "", scheme: bytes = b"Bearer ") -> str:
        """Make a call with a token that is good. Returns its request id."""
        name = name or f"good-{next(_numbers)}"
        asked = len(self._upstream.requests)
        shot = Shot(b"Authorization: " + scheme + token + b"\r\n", Code.INTERNAL)
        answer = read_answer(self._send(shot, name))
        assert answer.status == 200, answer
        assert len(self._upstream.requests) == asked + 1
        assert token not in self._upstream.requests[-1].raw
        return name

    def record(self, name: str) -> dict[str, object]:
        """The record of a request, waited for."""
        until(lambda: bool(self._records_of(name)), f"the record of {name}")
        (found,) = self._records_of(name)
        return found

    def is_unshaken(self) -> None:
        """The same processes as at the beginning, and nothing on stderr that tells of a fault."""
        assert self.gateway.pids == self._pids
        assert "Traceback" not in self.gateway.errors
        assert "internal" not in self.gateway.errors

    def own_issuer(self) -> TestIssuer:
        """A maker of wrong tokens that holds the gateway's own signing key, with the time as it is now."""
        kid = jws.parse(self.good).kid
        files = (self.gateway.data / "keys").glob("*.pem")
        (key,) = (key for file in files if (key := signing_key_from_pem(file.read_bytes(), "ES256")).kid == kid)
        return TestIssuer(key, self.gateway.url, self.gateway.url, time.time())

    def status_of(self, token: bytes) -> int:
        """What a call with this token is answered now."""
        shot = bearer(token, Code.INTERNAL)
        return read_answer(self._send(shot, f"probe-{next(_numbers)}")).status

    def memory_bytes(self, process: str = "worker 0") -> int:
        """The most memory that a process ever had."""
        text = Path(f"/proc/{self.gateway.pids[process]}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) * 1024

    def _send(self, shot: Shot, name: str) -> bytes:
        return exchange(self.gateway, shot.bytes_named(name))

    def _settle(self, batch: str, begun: Mapping[Path, int]) -> bytes:
        """Let a good call through, and once its record is written return all that has been kept since, and is shown.

        A file that only grows is read from where it ended when the batch began.
        """
        name = self.takes(self.good, batch + "settled")
        self.record(name)
        pieces = [_read_from(path, begun.get(path, 0)) for path in self._files()]
        return b"\0".join([*pieces, self._figures()])

    def _files(self) -> list[Path]:
        beside = self.gateway.data.parent.iterdir()
        return [path for path in (*self.gateway.data.rglob("*"), *beside) if path.is_file()]

    def _sizes(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self._files() if path.suffix in _GROWING}

    def _figures(self) -> bytes:
        connection = http.client.HTTPConnection(self._metrics.hostname or "", self._metrics.port, timeout=10)
        try:
            connection.request("GET", self._metrics.path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def _records_of(self, batch: str) -> list[dict[str, object]]:
        for path in sorted((self.gateway.data / "audit").glob("*.log")):
            new = _read_from(path, self._read.get(path, 0))
            whole = new[: new.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            self._records += [json.loads(line[line.index(b" ") + 1 :]) for line in whole.splitlines()]
        calls = [one for one in self._records if one["kind"] == "call"]
        return [one for one in calls if str(one.get("request_id", "")).startswith(batch)]


def _read_from(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read()


def read_answer(raw: bytes) -> Answer:
    """The only response of a connection, parsed by hand: two of them would be a fault."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0].startswith("HTTP/1.1 "), raw[:200]
    fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    answer = Answer(int(lines[0].split(" ")[1]), fields, body)
    assert answer.all("content-length") == [str(len(body))], "more than one response, or a torn one"
    return answer


def _fault(shot: Shot, raw: bytes, name: str) -> str:
    """What is wrong with an answer; empty if nothing is."""
    answer = read_answer(raw)
    if answer.all("content-type") != ["application/json"]:
        return f"{answer.status} with {answer.body[:80]!r}"
    if (answer.status, answer.code) != (shot.status, shot.code):
        return f"{answer.status} {answer.code}, wanted {shot.status} {shot.code}"
    if shot.recorded and answer.all("x-request-id") != [name]:
        return f"another request id: {answer.all('x-request-id')}"
    if answer.all("cache-control") != ["no-store"]:
        return "the refusal could be cached"
    return _challenge_fault(shot, answer.all("www-authenticate"))


def _challenge_fault(shot: Shot, challenges: list[str]) -> str:
    """RFC 6750 s3: a refused token is challenged once, each parameter once; no credentials, no error."""
    if shot.status != 401 and not challenges:
        return ""
    if len(challenges) != 1 or not _CHALLENGE.fullmatch(challenges[0]):
        return f"the challenges are {challenges}"
    found = _PARAMETER.findall(challenges[0])
    said = dict(found)
    wanted = None if shot.code is Code.TOKEN_MISSING else _REFUSED[shot.status]
    if len(said) != len(found) or said.get("error") != wanted or "realm" not in said:
        return f"the challenge is {challenges[0]}"
    return ""


def _record_faults(shots: Mapping[str, Shot], found: list[dict[str, object]], batch: str) -> dict[str, object]:
    """Each request stands in the audit log once, refused for its reason; who proved nothing is nobody there."""
    by_name: dict[str, list[dict[str, object]]] = {name: [] for name in shots}
    for record in found:
        name = str(record["request_id"]).removeprefix(batch)
        if name != "settled":
            by_name[name].append(record)
    faults: dict[str, object] = {}
    for name, shot in shots.items():
        if not shot.recorded:
            continue
        said = [(one["outcome"], one["status"], one["code"], "subject" in one) for one in by_name[name]]
        if said != [("refused", shot.status, shot.code, shot.known)]:
            faults[name] = said
    return faults


def _secret_parts(shot: Shot, good: bytes) -> set[bytes]:
    """What is long enough in a request to be known again, of payloads and signatures: beginnings and ends.

    The header segment of a good token is no secret; where it stands alone it says only which key is meant.
    """
    public = {good.partition(b".")[0]}
    words = re.split(rb"[.%\s\"{}:,;=&?]+", shot.lines + shot.first.partition(b"?")[2])
    parts = [word for word in words if len(word) >= _SECRET_CHARS_MIN and word not in public]
    return {part[:_SECRET_CHARS_MIN] for part in parts} | {part[-_SECRET_CHARS_MIN:] for part in parts}
