"""A thousand callers of the Coze proxy at once when its token has ended: one renewal, nobody fails, nothing leaks."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import pytest

from jotgate.testing.coze import CozeServer, coze_in_thread
from jotgate.testing.running import until
from jotgate.testing.upstream import Gate
from tests.coze_faces import HELLO, MODEL, SERVED, Housed, exchanges, housed

CALLERS: Final = 1_000
_PATIENCE_S: Final = 50.0
_LIFE_S: Final = 8
_LAST_S: Final = 5.0
"""In the last seconds of its life nobody is given a token."""


@pytest.fixture(scope="module")
def coze() -> Iterator[CozeServer]:
    with coze_in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def house(coze: CozeServer) -> Iterator[Housed]:
    with housed(coze) as found:
        yield found


class Callers:
    """A thousand chats at once, each on a connection of its own; `asked` is set when all have been sent."""

    def __init__(self, house: Housed) -> None:
        self._house = house
        self._sent = 0
        self.asked = asyncio.Event()

    async def ended(self) -> Counter[str]:
        """How they ended: the status, or the whole answer of one that is not as it should be."""
        return Counter(await asyncio.wait_for(asyncio.gather(*(self._call() for _ in range(CALLERS))), _PATIENCE_S))

    async def _call(self) -> str:
        parts = urlsplit(self._house.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        body = json.dumps({"model": MODEL, "messages": HELLO}).encode()
        lines = f"Host: {parts.netloc}\r\nAuthorization: Bearer {self._house.key}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode() + body)
        self._sent += 1
        if self._sent == CALLERS:
            self.asked.set()
        try:
            answer = await reader.read()
        finally:
            writer.close()
        is_good = answer.startswith(b"HTTP/1.1 200 ") and b"You said: Hello!" in answer
        return "good" if is_good else answer.decode()


def test_a_thousand_callers_at_its_expiry_make_one_renewal(house: Housed) -> None:
    coze = house.coze
    coze.life_s = _LIFE_S
    assert house.chat().status_code == SERVED
    begun_s = time.monotonic()
    coze.life_s = None
    until(lambda: time.monotonic() - begun_s > _LIFE_S - _LAST_S, "the token is over")
    coze.token_gate = gate = Gate()
    before = exchanges(coze), len(coze.requests)

    async def held_back() -> Counter[str]:
        callers = Callers(house)
        running = asyncio.create_task(callers.ended())
        await callers.asked.wait()
        await asyncio.to_thread(coze.do, coze.until_requests(before[1] + 1))
        gate.open()
        return await running

    assert asyncio.run(held_back()) == {"good": CALLERS}
    coze.token_gate = None
    assert exchanges(coze) == before[0] + 1
    assert len({one.session for one in coze.chats}) == 1


def test_a_thousand_callers_whose_token_coze_refuses_make_one_renewal(house: Housed) -> None:
    async def called() -> Counter[str]:
        return await Callers(house).ended()

    assert house.chat().status_code == SERVED
    house.coze.expire_tokens()
    before = exchanges(house.coze)
    assert asyncio.run(called()) == {"good": CALLERS}
    assert exchanges(house.coze) == before + 1


def test_nothing_that_the_run_wrote_holds_the_key_or_a_token(house: Housed) -> None:
    assert house.chat().status_code == SERVED
    secrets = [b"czs_", *(line.encode() for line in house.coze.private_key_pem.splitlines()[1:-1])]
    assert house.gateway.stop() == 0
    files = [path for path in house.place.rglob("*") if path.is_file() and path.name != ".env"]
    written = {str(path): path.read_bytes() for path in files}
    assert sum(content.count(b'"model":"gpt-3.5-turbo"') for content in written.values()) > 2 * CALLERS
    assert [name for name, content in written.items() if any(one in content for one in secrets)] == []
