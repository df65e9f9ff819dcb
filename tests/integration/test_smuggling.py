"""No request reaches the gateway that its front has not seen, and nobody gets an answer that is not theirs."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from jotgate.testing.running import Gateway, until
from tests.integration.exchanges import exchange_at, records, statuses
from tests.integration.fronts import Front, envoy, nginx
from tests.integration.smuggling import ATTACKS

_OURS: Final = re.compile(r"(?:outer|inner)[0-9]{3}")
_SAID: Final = re.compile(rb"(?i)\r\nx-request-id: ((?:outer|inner)[0-9]{3})\r\n")
_AT_ONCE: Final = 8


def port_of(gateway: Gateway) -> int:
    return urlsplit(gateway.url).port or 0


def attack_all(port: int, *, ends: bool) -> list[bytes]:
    """Throw every attack, several at once, and return what each got."""

    def attack(number: int) -> bytes:
        return exchange_at(port, ATTACKS[number].numbered(number), ends=ends)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(attack, range(len(ATTACKS))))


def served(gateway: Gateway) -> Counter[str]:
    """How often a request with each of our ids was served."""
    ids = (str(record["request_id"]) for record in records(gateway))
    return Counter(one for one in ids if _OURS.fullmatch(one))


def strangers(received: list[bytes]) -> list[str]:
    """The attacks that got an answer to somebody else's request."""
    return [
        ATTACKS[number].name
        for number, text in enumerate(received)
        if any(int(one[-3:]) != number for one in _SAID.findall(text))
    ]


def test_alone_a_request_is_cut_apart_in_one_way_or_refused(gateway: Gateway) -> None:
    received = attack_all(port_of(gateway), ends=True)
    answers = [[status for status in statuses(text) if status >= 200] for text in received]
    until(lambda: len(records(gateway)) >= sum(map(len, answers)), "each answer is recorded")
    found = served(gateway)
    hidden = [attack.name for number, attack in enumerate(ATTACKS) if found[f"inner{number:03}"] != attack.pipelined]
    unanswered = [ATTACKS[number].name for number, given in enumerate(answers) if not given]
    assert (hidden, unanswered, strangers(received)) == ([], [], [])
    assert all(status < 500 for given in answers for status in given)
    assert gateway.errors == ""


@pytest.fixture(params=[nginx, envoy], ids=["nginx", "envoy"])
def front(
    request: pytest.FixtureRequest, start_gateway: Callable[..., Gateway], directory: Path
) -> Iterator[tuple[Gateway, Front]]:
    """A gateway and a proxy before it."""
    start: Callable[[Path, int], AbstractContextManager[Front]] = request.param
    gateway = start_gateway()
    with start(directory, port_of(gateway)) as running:
        yield gateway, running


@pytest.mark.peers
@pytest.mark.slow
def test_behind_a_proxy_no_request_is_served_that_the_proxy_has_not_seen(front: tuple[Gateway, Front]) -> None:
    gateway, proxy = front
    received = attack_all(proxy.port, ends=False)
    answers = sum(status >= 200 for text in received for status in statuses(text))
    until(lambda: len(proxy.seen()) >= answers, "each answer is in the proxy's log")
    passed = [one for one in proxy.seen() if one.passed]
    until(lambda: len(records(gateway)) >= len(passed), "each request that was answered is recorded")
    seen = Counter(one.request_id for one in proxy.seen() if _OURS.fullmatch(one.request_id))
    assert served(gateway) - seen == Counter()
    assert len(passed) <= len(records(gateway)) <= len(proxy.seen())
    assert strangers(received) == []
    assert len(passed) > 10, "the proxy took part"
