"""Throws tokens with keys that nobody has at a gateway: `python -m bench.soak.strangers PORT ISSUER AUDIENCE`.

Each line on stdin says how many, and in how many seconds; each is answered by a line of JSON with the statuses. It is a
process of its own and yields to all others: strangers sit elsewhere, and what it costs to be one is not to be measured.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from typing import Final
from uuid import uuid4

from bench.soak.raw import Door
from bench.soak.trust_load import CONNECTIONS, Kept
from jotgate.jose.encoding import b64url_encode

_LIFETIME_S: Final = 600
_YIELDS: Final = 19
_SIGNATURE_BYTES: Final = 64


def stranger(issuer: str, audience: str) -> bytes:
    """A token that is good in everything but its key, which does not exist."""
    now_s = int(time.time())
    header = {"alg": "ES256", "typ": "at+jwt", "kid": str(uuid4())}
    claims = {
        "iss": issuer,
        "sub": "stranger",
        "client_id": "stranger",
        "aud": audience,
        "iat": now_s,
        "exp": now_s + _LIFETIME_S,
        "jti": str(uuid4()),
        "scope": "ai",
    }
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), os.urandom(_SIGNATURE_BYTES)]
    return b".".join(map(b64url_encode, parts))


async def throw(lines: list[Kept], tokens: list[bytes], within_s: float) -> Counter[str]:
    """All of them, evenly over the time."""
    statuses: Counter[str] = Counter()
    began_s = time.monotonic()
    rest = iter(enumerate(tokens))

    async def keep_throwing(line: Kept) -> None:
        for number, token in rest:
            await asyncio.sleep(began_s + within_s * number / len(tokens) - time.monotonic())
            reply = await line.ask(token)
            statuses[f"{reply.status} {reply.code}"] += 1

    await asyncio.gather(*map(keep_throwing, lines))
    return statuses


def main(port: int, issuer: str, audience: str) -> None:
    """Obey stdin until it ends."""
    os.nice(_YIELDS)
    with asyncio.Runner() as runner:
        lines = [Kept(Door(port, "", None)) for _ in range(CONNECTIONS)]
        for order in sys.stdin:
            count, within_s = order.split()
            tokens = [stranger(issuer, audience) for _ in range(int(count))]
            print("ready", flush=True)
            sys.stdin.readline()
            print(json.dumps(runner.run(throw(lines, tokens, float(within_s)))), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
