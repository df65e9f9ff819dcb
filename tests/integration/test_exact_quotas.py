"""Quotas hold exactly while calls race, on every store, whatever dies; what is changed of them is in effect at once."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPException
from typing import Final

import pytest

from jotgate.core.limit_records import LimitRecord
from jotgate.core.limit_texts import read_limit
from jotgate.core.quotas import Level
from jotgate.core.revocations import token_handle
from jotgate.jose.jwt import peek_unverified
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.opening import open_store
from jotgate.stores.sql import SqlStore
from jotgate.testing.running import Gateway, run_command, until
from tests.databases import Postgres, postgres
from tests.integration.exchanges import Answer, Caller

_MASTER: Final = {"JOTGATE_MASTER_KEY": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"}
_TWO: Final = "[server]\nworkers = 2\n"
_SHARED: Final = """\
[server]
public_url = "https://gate.example"
workers = 2
[store]
url = "{url}"
[keys]
master_key_env = "JOTGATE_MASTER_KEY"
"""
_RULE: Final = """\
[[quotas]]
name = "{name}"
limit = "{limit}"
per = ["principal"]
"""
_EFFECT_S: Final = 1.0
"""So soon a change of limits is in effect."""
_CLIENTS: Final = 12
_PROBES: Final = 6
_REFUSALS: Final = frozenset({"quota_exceeded", "quota_unavailable"})

StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    with postgres() as found:
        yield found


class Site:
    """A gateway of two workers on one of the stores, and a token for it. Mutable: how often `ask` was served."""

    def __init__(self, gateway: Gateway, address: StoreAddress) -> None:
        self.gateway = gateway
        self.token = gateway.token()
        self._address = address
        self.probes = 0

    @contextmanager
    def store(self) -> Iterator[SqlStore]:
        """Its store, as another process has it."""
        store = open_store(self._address)
        try:
            yield store
        finally:
            store.close()

    def limit(self, *texts: str, level: Level = "principal") -> None:
        """Have the store keep these limits of the token's subject, or of the token."""
        claims = peek_unverified(self.token.encode())[1]
        named = claims["sub"] if level == "principal" else claims["jti"]
        holder = token_handle(str(claims["iss"]), str(named))
        with self.store() as store:
            found = store.limits_of(((level, holder),))
            record = LimitRecord(
                level=level,
                holder=holder,
                limits=tuple(map(read_limit, texts)),
                version=found[0].version if found else 0,
            )
            assert store.put_limits(record) is not None

    def ask(self) -> Answer:
        """One call on a connection of its own."""
        with closing(Caller(self.gateway, self.token)) as caller:
            answer = caller.chat()
        self.probes += answer.status == 200
        return answer

    def statuses(self) -> set[int]:
        """What calls end in, on connections enough for every worker."""
        return {self.ask().status for _ in range(_PROBES)}

    def kill(self, name: str) -> None:
        """Kill a process and wait until another has its place."""
        pid = self.gateway.pids[name]
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.gateway.pids.get(name, pid) != pid, f"{name} is started again")


class Crowd:
    """Clients that ask at once until each has been told that the quota is used up. Mutable: what they were told."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self.told: Counter[str] = Counter()
        self._clients = [threading.Thread(target=self._ask) for _ in range(_CLIENTS)]

    def __enter__(self) -> "Crowd":
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.join(90)
        assert not any(client.is_alive() for client in self._clients)

    @property
    def served(self) -> int:
        """How many calls were let through."""
        return self.told["served"]

    def _ask(self) -> None:
        with ExitStack() as stack:
            caller = stack.enter_context(closing(Caller(self._site.gateway, self._site.token)))
            said = ""
            while said != "quota_exceeded":
                try:
                    answer = caller.chat()
                    said = "served" if answer.status == 200 else answer.code
                except (OSError, HTTPException):
                    said = "torn"
                    caller.close()
                with self._lock:
                    self.told[said] += 1


@pytest.fixture(params=["sqlite", "postgresql"])
def open_site(request: pytest.FixtureRequest, start_gateway: StartGateway, server: Postgres) -> Callable[[str], Site]:
    """Start a site with these further settings on each of the stores."""

    def start(further: str) -> Site:
        if request.param == "sqlite":
            gateway = start_gateway(_TWO + further)
            return Site(gateway, StoreAddress(file=gateway.data / "store.db"))
        address = server.make_database()
        return Site(start_gateway(_SHARED.format(url=address.url) + further, environment=_MASTER), address)

    return start


def rule(limit: str, name: str = "all") -> str:
    """A rule that counts by principal."""
    return _RULE.format(name=name, limit=limit)


def soon(condition: Callable[[], bool], what: str) -> None:
    """Wait until it is so, which must be within a second."""
    begun_s = time.monotonic()
    until(condition, what)
    assert time.monotonic() - begun_s < _EFFECT_S, what


def test_racing_calls_of_two_workers_get_what_a_rule_says_and_not_one_more(open_site: Callable[[str], Site]) -> None:
    site = open_site(rule("300 requests/lifetime"))
    with Crowd(site) as crowd:
        pass
    assert crowd.told == {"served": 300, "quota_exceeded": _CLIENTS}
    refused = site.ask()
    assert (refused.status, refused.code) == (429, "quota_exceeded")


def test_a_quota_of_one_is_one_call(open_site: Callable[[str], Site]) -> None:
    site = open_site(rule("1 request/lifetime"))
    with Crowd(site) as crowd:
        pass
    assert crowd.told == {"served": 1, "quota_exceeded": _CLIENTS}


def test_the_slot_of_a_call_comes_back_with_its_end(open_site: Callable[[str], Site]) -> None:
    site = open_site(rule("1 concurrent"))
    with closing(Caller(site.gateway, site.token)) as caller:
        assert {caller.chat().status for _ in range(30)} == {200}


@pytest.mark.slow
def test_a_killed_worker_takes_what_it_held_with_it_and_nothing_more(open_site: Callable[[str], Site]) -> None:
    site = open_site(rule("400 requests/lifetime"))
    with Crowd(site) as crowd:
        until(lambda: crowd.served >= 60, "the race is on")
        site.kill("worker 0")
    # A call that was torn may have been counted; what the worker had leased for further ones is posted as lost.
    assert crowd.served <= 400
    assert crowd.served + crowd.told["torn"] >= 400 - 400 // 8
    assert set(crowd.told) - _REFUSALS <= {"served", "torn"}
    assert site.ask().code == "quota_exceeded"


@pytest.mark.slow
def test_a_killed_control_loses_nothing(open_site: Callable[[str], Site]) -> None:
    site = open_site(rule("400 requests/lifetime"))
    with Crowd(site) as crowd:
        for served in (60, 150, 240):
            until(lambda: crowd.served >= served, "the race is on", 30.0)  # noqa: B023 - it is called here
            site.kill("control")
    assert crowd.served == 400
    assert set(crowd.told) - {"served"} <= _REFUSALS


@pytest.mark.slow
def test_without_its_store_a_quota_lets_through_what_is_leased_and_all_of_it_when_it_is_back(
    start_gateway: StartGateway, server: Postgres
) -> None:
    address = server.make_database()
    settings = _SHARED.format(url=address.url) + rule("900 requests/lifetime")
    site = Site(start_gateway(settings, environment=_MASTER), address)
    before = site.gateway.pids
    with Crowd(site) as crowd:
        until(lambda: crowd.served >= 40, "the race is on")
        with server.outage():
            until(lambda: crowd.told["quota_unavailable"] > 0, "what was leased is used up")
            refused = site.ask()
            assert (refused.status, refused.code) == (503, "quota_unavailable")
            assert refused.all("retry-after")
            assert crowd.told["quota_exceeded"] == 0, "nobody is told that it is spent while nobody can know"
    assert crowd.served == 900
    assert set(crowd.told) - {"served"} <= _REFUSALS
    assert site.gateway.pids == before


def test_limits_of_the_store_are_in_effect_within_a_second(open_site: Callable[[str], Site]) -> None:
    """The first one of all, a larger one, a smaller one, and none: for a token that was used before."""
    site = open_site("")
    assert site.statuses() == {200}
    site.limit("0 requests")
    soon(lambda: site.statuses() == {429}, "the first limit")
    site.limit("100000 requests")
    soon(lambda: site.statuses() == {200}, "a larger one")
    site.limit("100000 requests/day", "0 tokens")
    soon(lambda: site.statuses() == {429}, "a smaller one")
    site.limit()
    soon(lambda: site.statuses() == {200}, "none")
    site.limit("0 requests", level="token")
    soon(lambda: site.statuses() == {429}, "one of the token")


def test_what_a_command_sets_is_in_effect_in_every_worker_when_it_returns(open_site: Callable[[str], Site]) -> None:
    site = open_site("")
    assert site.statuses() == {200}
    for order, status in (("0 requests", 429), ("100000 requests", 200), ("--clear", 200)):
        done = run_command("quota", "set", "principal", "tester", order, data=site.gateway.data)
        assert done.returncode == 0, done.stderr
        assert site.statuses() == {status}, order


def test_limits_of_the_store_and_of_rules_hold_together_the_smaller_one_exactly(
    open_site: Callable[[str], Site],
) -> None:
    site = open_site(rule("200 requests/lifetime"))
    site.limit("0 requests")
    until(lambda: site.statuses() == {429}, "every worker knows of it")
    site.limit("90 requests")
    until(lambda: site.ask().status == 200, "the larger one is in effect")
    with Crowd(site) as crowd:
        pass
    assert crowd.served + site.probes == 90
    assert crowd.told["quota_exceeded"] == _CLIENTS


def test_rules_are_in_effect_within_a_second_of_a_reload(open_site: Callable[[str], Site]) -> None:
    site = open_site(rule("0 requests/lifetime"))
    settings = site.gateway.config.read_text()
    assert site.statuses() == {429}

    def reload(limit: str) -> None:
        site.gateway.config.write_text(settings.replace("0 requests/lifetime", limit))
        site.gateway.reload()

    reload("100000 requests/lifetime")
    soon(lambda: site.statuses() == {200}, "a larger one")
    reload("3 requests/lifetime")
    soon(lambda: site.statuses() == {429}, "a smaller one")
