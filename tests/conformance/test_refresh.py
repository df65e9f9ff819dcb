"""Refresh tokens that are presented at once, around a crash and after a restart: rows F01 and F02, on each store."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from jotgate.core.durable import Issuance
from jotgate.core.families import Family, RefreshRecord
from jotgate.core.opaque import opaque_digest
from jotgate.core.refresh import Presentation, RefreshRules
from jotgate.core.values import Secret
from jotgate.errors import AuditUnavailable, GrantRefused, StoreUnavailable
from jotgate.ports import Signer
from jotgate.services.families import Families, FamilyTerms, Revocations
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import Revoker
from jotgate.store_ports import Store
from jotgate.stores.access import ThreadedAccess
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.memory import MemoryStore
from jotgate.stores.opening import open_store
from jotgate.testing.ports import ManualClock
from tests.callers import NOW_S
from tests.refreshing import RefreshStage
from tests.token_stage import Chance, EventLog

AT_ONCE: Final = 50
MACHINES: Final = 2
TERMS: Final = FamilyTerms(client_id="app", subject="alice", scopes=("ai",), audiences=("https://gate.example",))
_Result = TypeVar("_Result")


class Machine:
    """One control process: its own way to the store, and its own audit log."""

    def __init__(self, store: Store, clock: ManualClock, rules: RefreshRules) -> None:
        self.access = ThreadedAccess(store, 4)
        self.clock = clock
        self.log = EventLog()
        recorder = Recorder(self.log, clock)
        self.families = Families(
            self.access,
            clock=clock,
            entropy=Chance(),
            recorder=recorder,
            rules=lambda: rules,
            revocations=Revocations(lambda _: "", _look),
        )
        self.revoker = Revoker(self.access, recorder, clock, _look)

    async def refresh(self, text: Secret) -> str:
        """The text of the refresh token that a presented one gets, or what it is told instead."""
        try:
            presented = Presentation(text, "app", self.clock.now_s())
            decision = await self.families.present(presented)
            return (await self.families.carry_out(presented, decision)).reveal()
        except GrantRefused as refusal:
            return refusal.message


async def _look() -> None:
    """Nobody verifies anything here."""


class Installation:
    """Two machines that share a store, and a clock that is set by hand."""

    def __init__(self, opened: list[Store], grace_s: int) -> None:
        self.clock = ManualClock(NOW_S)
        self.machines = [Machine(store, self.clock, RefreshRules(grace_s=grace_s)) for store in opened]
        self.store = opened[0]

    @property
    def one(self) -> Machine:
        return self.machines[0]

    async def begin(self) -> Secret:
        return (await self.one.families.begin(TERMS)).token

    async def at_once(self, text: Secret, *others: Any) -> list[str]:
        """What so many get who present a token at once, at both machines."""
        asked = [self.machines[index % MACHINES].refresh(text) for index in range(AT_ONCE)]
        return (await asyncio.gather(*asked, *others))[:AT_ONCE]

    def live(self, first: Secret) -> list[RefreshRecord]:
        """The tokens of a family that nobody has used, if it lives."""
        found = self.store.find_family(opaque_digest(first.reveal()))
        assert found is not None
        if found.family.ended_at_s is not None:
            return []
        return [one for one in (found.token, *found.later) if one.used_at_s is None]

    def told(self) -> list[str]:
        """What both audit logs have of families, sorted."""
        return sorted(one.event for machine in self.machines for one in machine.log.events)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def install(request: pytest.FixtureRequest, make_address: Callable[[str], StoreAddress]) -> Iterator[Any]:
    """Makes an installation with a grace, on a store of each kind."""
    with ExitStack() as stack:

        def make(grace_s: int = 10) -> Installation:
            if request.param == "memory":
                opened: list[Store] = [MemoryStore()] * MACHINES
            else:
                address = make_address(request.param)
                opened = [open_store(address) for _ in range(MACHINES)]
            installation = Installation(opened, grace_s)
            for machine in installation.machines:
                stack.callback(machine.access.close)
            return installation

        yield make


Install = Callable[..., Installation]


# F01


def test_F01_of_50_at_once_one_rotates_and_all_get_the_one_successor(install: Install) -> None:
    installation = install()

    async def run() -> None:
        first = text = await installation.begin()
        for _ in range(4):
            got = await installation.at_once(text)
            assert len(set(got)) == 1
            assert got[0] != text.reveal()
            text = Secret(got[0])
            (live,) = installation.live(first)
            assert live.digest == opaque_digest(got[0]), "what everybody got is the one that counts"
        told = installation.told()
        assert (told.count("family.rotated"), told.count("family.repeated")) == (4, 4 * (AT_ONCE - 1))

    asyncio.run(run())


def test_F01_programs_that_share_a_session_and_do_not_wait_for_one_another_keep_it(install: Install) -> None:
    """Each presents the newest token that it has, which another may have used by then, also several times over."""
    installation = install()

    async def go_on(machine: Machine, text: Secret) -> str:
        for _ in range(10):
            text = Secret(await machine.refresh(text))
        return text.reveal()

    async def run() -> None:
        first = await installation.begin()
        last = await asyncio.gather(*(go_on(installation.machines[index % MACHINES], first) for index in range(6)))
        assert all(text.startswith("jot_r_") for text in last), "nobody was refused"
        (live,) = installation.live(first)
        assert live.digest in {opaque_digest(text) for text in last}
        told = installation.told()
        assert told.count("family.rotated") + told.count("family.repeated") == 6 * 10

    asyncio.run(run())


def test_F01_who_had_to_wait_for_longer_than_the_grace_is_not_late(install: Install) -> None:
    """Its request came in time; the machine was busy before it decided, and again before it rotated."""
    installation = install()
    one, other = installation.machines

    async def run() -> None:
        first = await installation.begin()
        early = Presentation(first, "app", installation.clock.now_s())
        decision = await one.families.present(early)
        given = await other.refresh(first)
        installation.clock.advance(3_600)
        assert (await one.families.carry_out(early, decision)).reveal() == given
        again = await one.families.present(early)
        assert (await one.families.carry_out(early, again)).reveal() == given
        assert "used before" in await one.refresh(first), "what comes now is late"

    asyncio.run(run())


def test_F01_of_50_at_once_after_the_grace_none_gets_anything_and_the_family_ends_once(install: Install) -> None:
    installation = install()

    async def run() -> None:
        first = await installation.begin()
        live = Secret(await installation.one.refresh(first))
        installation.clock.advance(10)
        got = await installation.at_once(first)
        assert {message.partition(",")[0] for message in got} <= {
            "the refresh token was used before",
            "the refresh token was revoked",
        }
        assert installation.live(first) == []
        assert "jot_r_" not in await installation.one.refresh(live)
        assert installation.told().count("family.reused") == 1

    asyncio.run(run())
    assert len(installation.store.revocations_after(0, 10)) == 1


def test_F01_without_a_grace_at_most_one_of_50_gets_a_successor(install: Install) -> None:
    installation = install(grace_s=0)

    async def run() -> None:
        first = await installation.begin()
        got = await installation.at_once(first)
        assert sum(text.startswith("jot_r_") for text in got) == 1
        assert installation.live(first) == [], "the second use has ended the family"

    asyncio.run(run())


def test_who_ends_a_family_while_50_refresh_leaves_no_token_that_counts(install: Install) -> None:
    installation = install()

    async def run() -> None:
        first = await installation.begin()
        found = await installation.one.families.find(first.reveal())
        assert found is not None
        revoker = installation.machines[1].revoker
        got = await installation.at_once(first, revoker.end_family(found.family, reason="returned", actor="app"))
        assert installation.live(first) == []
        for text in {one for one in got if one.startswith("jot_r_")}:
            assert await installation.one.refresh(Secret(text)) == "the refresh token was revoked"

    asyncio.run(run())


# A crash, and what else can go wrong between a rotation and its answer


class Failing:
    """A store whose rotations fail: before anything is done, or when it is done and nobody learns of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fails: str = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def rotate_family(self, family: Family, used: RefreshRecord, successor: RefreshRecord) -> bool:
        if self.fails == "before":
            raise StoreUnavailable("the store does not answer")
        done = self._store.rotate_family(family, used, successor)
        if self.fails == "after":
            raise StoreUnavailable("the connection was lost")
        return done


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rotation_of_which_nobody_heard_costs_no_session(store: Store, when: str) -> None:
    failing: Any = Failing(store)
    stage = RefreshStage(failing)
    first = stage.first()
    failing.fails = when
    assert stage.present(first).status_code == 503
    failing.fails = ""
    second = stage.successor(first)
    assert stage.successor(second) not in {first, second}
    assert stage.told()[-2:] == [*["rotated"] * 2] if when == "before" else ["repeated", "rotated"]


def test_a_token_that_cannot_be_recorded_is_not_handed_out_and_costs_no_session(store: Store) -> None:
    stage = RefreshStage(store)
    first = stage.first()
    stage.log.full = True
    assert stage.present(first).status_code == 503
    stage.log.full = False
    second = stage.successor(first)
    stage.successor(second)


def test_what_cannot_be_signed_uses_no_refresh_token(store: Store) -> None:
    """So it may fail for longer than any grace."""
    stage = RefreshStage(store)
    first = stage.first()

    async def refuse(expires_at_s: int, row: Callable[[str], Issuance]) -> Signer:
        raise StoreUnavailable("the store does not answer")

    signers = stage.issuer._signers
    signs, signers.signer = signers.signer, refuse  # type: ignore[method-assign]
    assert stage.present(first).status_code == 503
    signers.signer = signs  # type: ignore[method-assign]
    assert stage.told() == ["begun"]
    stage.clock.advance(86_400)
    stage.successor(first)


def test_a_family_that_cannot_be_recorded_is_given_to_nobody(store: Store) -> None:
    stage = RefreshStage(store)
    stage.log.full = True
    with pytest.raises(AuditUnavailable):
        stage.begin()


# F02


def test_F02_uses_graces_and_ends_survive_a_restart(address: StoreAddress) -> None:
    """Each step by a process of its own, with nothing but the database in common."""
    clock = ManualClock(NOW_S)

    def process(work: Callable[[RefreshStage], _Result]) -> _Result:
        store = open_store(address)
        try:
            stage = RefreshStage(store)
            stage.clock.advance(clock.now_s() - NOW_S)
            return work(stage)
        finally:
            store.close()

    first = process(lambda stage: stage.first())
    second = process(lambda stage: stage.successor(first))
    clock.advance(9)
    assert process(lambda stage: stage.successor(first)) == second, "the grace goes on"
    clock.advance(1)
    assert process(lambda stage: stage.refusal(first)) == "invalid_grant", "and was not begun anew"
    assert process(lambda stage: stage.refusal(second)) == "invalid_grant"
    clock.advance(86_400)
    assert process(lambda stage: stage.refusal(second)) == "invalid_grant"


def test_the_database_holds_no_text_of_a_token(tmp_path: Path) -> None:
    file = tmp_path / "private" / "store.db"
    stage = RefreshStage(open_store(StoreAddress(file=file)))
    texts = [stage.first()]
    for _ in range(3):
        texts.append(stage.successor(texts[-1]))
    held = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert stage.family(texts[0]).family_id.encode() in held, "the log beside the file was read too"
    logged = b"".join(stage.log.lines)
    for text in texts:
        random = text.removeprefix("jot_r_").encode()
        assert random not in held
        assert random not in logged
    stage.store.close()
