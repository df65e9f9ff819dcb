"""What a DPoP proof costs beside the call that it comes with: in the worker, in control, and on the way between."""

import asyncio
import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.json import encode

from bench.errors import BenchError
from bench.summary import Summary, summarise
from jotgate.core.dpop import Proof, Target, access_token_hash, read_proof
from jotgate.core.proof_times import ProofRules, Sight, Verdict
from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import SigningKey, generate, public_jwk
from jotgate.processes.frames import FrameReader
from jotgate.processes.messages import (
    FRAME_BYTES_MAX,
    ProofJudged,
    ProofShown,
    frame,
    read_from_control,
    read_from_worker,
)
from jotgate.services.proof_desk import ProofDesk

BARE: Final = "the bare primitive"
READ: Final = "the worker reads and verifies the proof"
ASK: Final = "the question to control and its answer, written and read"
JUDGE: Final = "control judges and remembers it"
WAYS: Final = (BARE, READ, ASK, JUDGE)

_TARGET: Final = Target("POST", "https://gateway.example/v1/chat/completions")
_TOKEN: Final = b"t" * 700
_AGE_S: Final = 300


@dataclass(frozen=True, slots=True)
class Possession:
    """CPU time in microseconds a proof, one figure a round for each way."""

    us: dict[str, list[float]]

    def total(self) -> Summary | None:
        """What a call costs more for its proof, on all processes, round by round."""
        return summarise([sum(parts) for parts in zip(*(self.us[way] for way in (READ, ASK, JUDGE)), strict=True)])


class _Clock:
    """Both clocks (ports.Clock), the civil one `ahead_s`."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_s(self) -> float:
        return time.time() + self.ahead_s

    def monotonic_s(self) -> float:
        return time.monotonic()


class _Chance:
    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)


def measure_possession(rounds: int, proofs: int) -> Possession:
    """Take so many proofs of one client, ES256, in each of the rounds.

    Raises:
        BenchError: one of them is refused.
    """
    clock = _Clock()
    desk = ProofDesk(None, clock=clock, entropy=_Chance(), rules=lambda: ProofRules(_AGE_S))
    clock.ahead_s = 3_600.0  # The start of the desk's memory is long over.
    key = generate("ES256")
    us: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds):
        fields = [_prove(key, f"{number}-{one}", clock.now_s()) for one in range(proofs)]
        for way, spent_us in _take(desk, key, fields).items():
            us[way].append(spent_us)
    return Possession(us)


def _take(desk: ProofDesk, key: SigningKey, fields: Sequence[bytes]) -> dict[str, float]:
    """What each way takes for each of these proofs. Raises BenchError."""
    read: list[Proof] = []
    verdicts: list[Verdict] = []
    bare_us = _cpu_us(lambda: _verify_bare(key, fields), len(fields))
    read_us = _cpu_us(lambda: read.extend(read_proof(one, _TARGET, _TOKEN) for one in fields), len(fields))
    sights = [Sight(proof.handle, proof.iat, proof.nonce, b"worker:%d" % at) for at, proof in enumerate(read)]
    ask_us = _cpu_us(lambda: _ask(sights), len(fields))
    judge_us = _cpu_us(lambda: verdicts.extend(asyncio.run(_judge(desk, sights))), len(fields))
    if [verdict.word for verdict in verdicts] != ["fresh"] * len(fields):
        raise BenchError("a good proof was refused")
    return {BARE: bare_us, READ: read_us, ASK: ask_us, JUDGE: judge_us}


def _prove(key: SigningKey, jti: str, now_s: float) -> bytes:
    public = public_jwk(key.verification_key)
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {name: public[name] for name in key.algorithm.members}}
    claims = {
        "jti": jti,
        "htm": _TARGET.method,
        "htu": _TARGET.url,
        "iat": int(now_s),
        "ath": access_token_hash(_TOKEN),
    }
    signing_input = b64url_encode(encode(header)) + b"." + b64url_encode(encode(claims))
    return signing_input + b"." + b64url_encode(key.sign(signing_input))


def _verify_bare(key: SigningKey, fields: Sequence[bytes]) -> None:
    """The signature alone, its form decoded: what nobody can do without."""
    verify = key.verification_key.primitive.verify
    signature = key.sign(b"x")
    for _ in fields:
        verify(b"x", signature)


def _ask(sights: Sequence[Sight]) -> None:
    there, back = FrameReader(FRAME_BYTES_MAX), FrameReader(FRAME_BYTES_MAX)
    for number, sight in enumerate(sights):
        for payload in there.feed(frame(ProofShown(number, sight))):
            read_from_worker(payload)
        for payload in back.feed(frame(ProofJudged(number, Verdict("fresh")))):
            read_from_control(payload)


async def _judge(desk: ProofDesk, sights: Sequence[Sight]) -> list[Verdict]:
    return [await desk.judge(sight) for sight in sights]


def _cpu_us(work: Callable[[], object], count: int) -> float:
    """The CPU time of this thread for each of so many."""
    gc.collect()
    gc.disable()
    try:
        began = time.thread_time_ns()
        work()
        return (time.thread_time_ns() - began) / 1e3 / count
    finally:
        gc.enable()
