"""Refresh tokens that die on use: what is kept when, whatever is cut short, fails or happens meanwhile."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import pytest
from msgspec.structs import replace

from jotgate.core.coze_login import REFRESH_LIFE_S
from jotgate.core.token_exchange import KeptRefreshToken
from jotgate.core.token_grants import LOGIN, TokenGrant
from jotgate.core.upstream_logins import UpstreamLogin
from jotgate.core.values import Secret
from jotgate.errors import DirectoryRefused, StoreUnavailable
from jotgate.keystores.sealed_texts import TextSeals
from jotgate.services.kept_refresh_tokens import LATE_S, UNDER_WAY_S, StoredRefreshTokens
from jotgate.store_ports import Store
from jotgate.stores.files import PrivateFiles
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.loops import on_loop, until

_Result = TypeVar("_Result")

GRANT: Final = TokenGrant(
    upstream="coze",
    kind="refresh-token",
    token_url="https://api.coze.com/api/permission/oauth2/token",
    client_id="app",
    dialect="coze",
)
MASTER: Final = Secret("0123456789abcdef" * 4)


class Flaky:
    """A way to the store (ports.StoreAccess) that can be cut. Mutable: whether it is."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cut = False

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        await asyncio.sleep(0)
        if self.cut:
            raise StoreUnavailable("the database does not answer")
        return work(self.store)


class Machine:
    """One machine with its settings. Mutable: those, and how time passes for it."""

    def __init__(self, store: Store | None = None, *, shared: bool = False, folder: Path | None = None) -> None:
        self.access = Flaky(store or MemoryStore())
        self.clock = ManualClock()
        self.grant = GRANT
        self.pauses: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None
        master = MASTER if folder is None else None
        self.kept = StoredRefreshTokens(
            self.access,
            TextSeals(master, PrivateFiles(folder or Path("/nowhere"))),
            self.clock,
            lambda name: self.grant if name == self.grant.upstream else None,
            pause=self.pause,
            shared=shared,
        )

    @property
    def record(self) -> UpstreamLogin | None:
        return self.access.store.upstream_login("coze")

    async def pause(self, span_s: float) -> None:
        self.pauses.append(span_s)
        self.clock.advance(span_s)
        self.on_pause()
        await asyncio.sleep(0)

    async def read(self) -> str | None:
        found = await self.kept.read("coze")
        return None if found is None else found.token.reveal()

    async def renew(self, text: str) -> None:
        await self.kept.keep("coze", KeptRefreshToken(Secret(text), self.grant.origin, self.clock.now_s()))


def restarted(before: Machine) -> Machine:
    """The same installation with another control process."""
    after = Machine(before.access.store)
    after.clock.advance(before.clock.now_s() - after.clock.now_s())
    return after


@on_loop
async def test_a_login_is_kept_and_read_and_its_successors_take_its_place() -> None:
    machine = Machine()
    assert await machine.read() is None
    assert await machine.kept.log_in(GRANT, Secret("first")) is None
    began_s = int(machine.clock.now_s())
    for text, before in (("second", "first"), ("third", "second")):
        machine.clock.advance(900)
        assert await machine.read() == before
        await machine.renew(text)
    record = machine.record
    assert record is not None
    assert (record.origin, record.begun_at_s, record.obtained_at_s) == (LOGIN, began_s, began_s + 1_800)
    assert (record.ends_at_s, record.under_way_s) == (began_s + 1_800 + REFRESH_LIFE_S, None)
    assert await restarted(machine).read() == "third"


@on_loop
async def test_nothing_of_a_token_stands_in_the_store_or_in_a_repr() -> None:
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("very-secret"))
    assert b"very-secret" not in repr(machine.record).encode()
    assert "very-secret" not in repr(await machine.kept.read("coze"))


@on_loop
async def test_a_process_that_ends_before_the_answer_sends_the_same_token_again() -> None:
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("first"))
    assert await machine.read() == "first"
    record = machine.record
    assert record is not None
    assert record.under_way_s == int(machine.clock.now_s()), "whoever looks sees that it was sent, and when"
    machine.clock.advance(60)
    later = restarted(machine)
    assert await later.read() == "first"
    assert later.record == record, "the time when it was sent first stays, for whoever looks for what became of it"
    await later.renew("second")
    assert await restarted(later).read() == "second"


@on_loop
async def test_a_token_of_another_client_or_endpoint_is_not_sent() -> None:
    """Whoever changes `token_url` does not have the token sent to where it was not got."""
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("first"))
    for changed in (replace(GRANT, client_id="other"), replace(GRANT, token_url="https://evil.example/token")):
        machine.grant = changed
        assert await machine.read() is None
    record = machine.record
    assert record is not None
    assert record.under_way_s is None
    machine.grant = GRANT
    assert await machine.read() == "first"
    assert await machine.kept.read("another") is None


@on_loop
async def test_a_row_that_was_moved_is_not_opened() -> None:
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("first"))
    record = machine.record
    assert record is not None
    machine.access.store.put_upstream_login(replace(record, upstream="copy", version=0))
    machine.grant = replace(GRANT, upstream="copy")
    with pytest.raises(DirectoryRefused, match="something else's"):
        await machine.kept.read("copy")


@on_loop
async def test_the_successor_of_a_login_that_was_ended_meanwhile_is_not_kept() -> None:
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("first"))
    await machine.read()
    machine.access.store.drop_upstream_login("coze")
    await machine.renew("successor")
    assert machine.record is None
    await machine.kept.log_in(GRANT, Secret("anew"))
    await machine.renew("successor")
    assert await machine.read() == "anew"


@on_loop
async def test_a_login_takes_the_place_of_what_was_kept_and_of_what_was_to_be() -> None:
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("first"))
    await machine.read()
    machine.access.cut = True
    with pytest.raises(StoreUnavailable):
        await machine.renew("successor")
    machine.access.cut = False
    before = await machine.kept.log_in(GRANT, Secret("anew"))
    assert before is not None
    await machine.kept.settle()
    assert await machine.read() == "anew"


@on_loop
async def test_a_logout_leaves_nothing() -> None:
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("first"))
    await machine.read()
    machine.access.cut = True
    with pytest.raises(StoreUnavailable):
        await machine.renew("successor")
    machine.access.cut = False
    await machine.kept.forget("coze")
    await machine.kept.settle()
    assert (machine.record, await machine.read()) == (None, None)
    await machine.kept.forget("coze")


@on_loop
async def test_what_the_store_did_not_take_is_kept_as_soon_as_it_does() -> None:
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("first"))
    await machine.read()
    machine.access.cut = True
    with pytest.raises(StoreUnavailable):
        await machine.renew("second")

    def mend() -> None:
        machine.access.cut = len(machine.pauses) < 3

    machine.on_pause = mend
    keeping = asyncio.create_task(machine.kept.keep_late())
    await until(lambda: len(machine.pauses) >= 4)
    keeping.cancel()
    assert machine.pauses[:3] == [LATE_S] * 3
    assert await restarted(machine).read() == "second"


@on_loop
async def test_a_successor_of_a_successor_that_was_not_kept_is_kept_in_its_place() -> None:
    machine = Machine()
    await machine.kept.log_in(GRANT, Secret("first"))
    await machine.read()
    machine.access.cut = True
    with pytest.raises(StoreUnavailable):
        await machine.renew("second")
    machine.access.cut = False
    await asyncio.gather(machine.renew("third"), machine.kept.settle(), machine.kept.settle())
    assert await restarted(machine).read() == "third"


@on_loop
async def test_what_descends_from_a_configured_token_is_kept_under_its_origin() -> None:
    machine = Machine()
    machine.grant = replace(GRANT, refresh_token=Secret("configured"))
    assert await machine.read() is None
    await machine.renew("second")
    found = await machine.kept.read("coze")
    assert found is not None
    assert (found.token, found.origin) == (Secret("second"), machine.grant.origin)
    machine.grant = replace(GRANT, refresh_token=Secret("another"))
    found = await machine.kept.read("coze")
    assert found is not None
    assert found.origin != machine.grant.origin, "it is told of which one it is, and is not marked as sent"
    await machine.renew("third")
    record = machine.record
    assert record is not None
    assert (record.origin, record.begun_at_s) == (machine.grant.origin, int(machine.clock.now_s()))


@on_loop
async def test_machines_that_share_a_store_wait_for_one_another() -> None:
    store = MemoryStore()
    one, two = Machine(store, shared=True), Machine(store, shared=True)
    await one.kept.log_in(GRANT, Secret("first"))
    assert await one.read() == "first"
    assert await one.read() == "first", "it does not wait for itself"
    assert one.pauses == []
    reading = asyncio.create_task(two.read())
    await until(lambda: bool(two.pauses))
    await one.renew("second")
    assert await reading == "second"


@on_loop
async def test_a_machine_that_went_down_in_the_middle_is_not_waited_for_for_ever() -> None:
    store = MemoryStore()
    one, two = Machine(store, shared=True), Machine(store, shared=True)
    await one.kept.log_in(GRANT, Secret("first"))
    assert await one.read() == "first"
    assert await two.read() == "first"
    assert UNDER_WAY_S <= sum(two.pauses) < UNDER_WAY_S + 1
    await one.renew("late")
    assert await two.read() == "first", "whoever was not waited for does not replace what the other sent"


@on_loop
async def test_without_a_master_key_the_key_lies_in_data_and_another_machine_cannot_open_it(tmp_path: Path) -> None:
    store = MemoryStore()
    for name in ("one", "two"):
        (tmp_path / name).mkdir(0o700)
    one, two = Machine(store, folder=tmp_path / "one"), Machine(store, folder=tmp_path / "two")
    await one.kept.log_in(GRANT, Secret("first"))
    assert await one.read() == "first"
    with pytest.raises(DirectoryRefused, match="under another key"):
        await two.read()
