"""The load: the requests that every candidate gets, and the runs of the load generator."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.cpu import pinned
from bench.errors import BenchError
from bench.plan import Stream

MODEL: Final = "gpt-4o-mini"
QUESTION: Final = (
    "What is the capital of France, on which river does it stand, and what is it known for? Answer in one sentence, "
    "without a list, in plain words that a pupil of ten years understands."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What one run of the load generator counted. Each request sent is in exactly one of the next four."""

    sent: int
    ok: int
    not_ok: int
    errors: int
    unanswered: int
    reconnects: int
    streams: int
    chunks: int
    seconds: float
    cpu_s: float
    latency_us: Mapping[str, float] | None
    chunk_us: Mapping[str, float] | None
    first_chunk_us: Mapping[str, float] | None

    @classmethod
    def sum_of(cls, some: Sequence["LoadResult"]) -> "LoadResult":
        """What several runs counted; the times of single requests are not kept."""
        counts = {
            name: sum(getattr(one, name) for one in some)
            for name in ("sent", "ok", "not_ok", "errors", "unanswered", "reconnects", "streams", "chunks")
        }
        return cls(
            **counts,
            seconds=sum(one.seconds for one in some),
            cpu_s=sum(one.cpu_s for one in some),
            latency_us=None,
            chunk_us=None,
            first_chunk_us=None,
        )

    def fault(self) -> str | None:
        """Why these figures do not count, or None: every answer was a whole one with status 200."""
        if self.sent and self.ok == self.sent:
            return None
        return (
            f"of {self.sent} requests {self.ok} were answered with 200, {self.not_ok} with another status, "
            f"{self.errors} broke off, {self.unanswered} were never answered"
        )


def parse_result(text: str) -> LoadResult:
    """Read the load generator's JSON object.

    Raises:
        BenchError: it is not the object of this version of the program.
    """
    try:
        return LoadResult(**json.loads(text))
    except (json.JSONDecodeError, TypeError) as error:
        raise BenchError(f"the load generator printed '{text.strip()}': {error}") from error


def render_request(token: str, stream: Stream | None = None, *, more_chars: int = 0) -> bytes:
    """A chat completion request as it goes over the wire.

    With `stream` it asks for that many events; its prompt is `more_chars` characters longer.
    """
    body: dict[str, object] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Keep to the facts and answer in English."},
            {"role": "user", "content": QUESTION + _filling(more_chars)},
        ],
        "temperature": 0.2,
        "user": "bench-0001",
    }
    if stream:
        pace = f"n={stream.chunks},i={stream.interval_us} "
        body["messages"] = [{"role": "user", "content": pace + QUESTION}]
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    payload = json.dumps(body, separators=(",", ":")).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n"
        "User-Agent: bench/1\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\n"
        "\r\n"
    )
    return head.encode("ascii") + payload


def _filling(chars: int) -> str:
    """Text such as people paste: words, quotation marks and line breaks, which JSON writes with a backslash."""
    line = ' The annex says: "what was agreed on stands as it was written, and nothing else does."\n'
    return (line * (chars // len(line) + 1))[:chars]


class Load:
    """Runs the load generator on its core and counts, per port, every request that it sent."""

    def __init__(self, program: Path, core: int) -> None:
        self._program = program
        self.core = core
        self._sent: dict[int, int] = {}

    def closed(self, port: int, requests: Path, connections: int, seconds: int) -> LoadResult:
        """Each connection asks again as soon as it has its answer."""
        return self._run(port, requests, "closed", connections, seconds)

    def rate(self, port: int, requests: Path, rps: int, seconds: int, connections: int) -> LoadResult:
        """A fixed rate; latency counts from the time at which a request was due."""
        return self._run(port, requests, "rate", rps, seconds, connections)

    def stream(self, port: int, requests: Path, stream: Stream) -> LoadResult:
        """Streams side by side."""
        return self._run(port, requests, "stream", stream.connections, stream.rounds)

    def sent_to(self, port: int) -> int:
        """Requests sent to this port so far, warm-ups included."""
        return self._sent.get(port, 0)

    def _run(self, port: int, requests: Path, *arguments: str | int) -> LoadResult:
        command = [str(self._program), str(port), str(requests), *map(str, arguments)]
        with pinned(self.core):
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
        if done.returncode not in (0, 1):
            raise BenchError(f"the load generator failed: {done.stderr.strip()}")
        result = parse_result(done.stdout)
        self._sent[port] = self.sent_to(port) + result.sent
        return result
