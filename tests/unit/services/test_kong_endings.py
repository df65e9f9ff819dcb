"""What is revoked ends at Kong: of a subject, of one token, before control began and while it runs."""

from collections.abc import Callable
from typing import Final, TypeVar

import pytest

from jotgate.core.durable import Revocation, RevocationKind
from jotgate.core.kong_credentials import CredentialState, KongCredential
from jotgate.core.revocations import token_handle
from jotgate.errors import StoreUnavailable
from jotgate.services import kong_endings
from jotgate.services.kong_endings import KongEndings
from jotgate.services.revocation import RevokedSet
from jotgate.store_ports import Store
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from jotgate.testing.ports import ManualClock
from tests.kong_stage import make_row
from tests.loops import on_loop

CASDOOR: Final = "https://casdoor.example"
OURS: Final = "https://gateway.example"

_Result = TypeVar("_Result")


class Flaky(DirectAccess):
    """A way to the store that can be cut. Mutable: whether it is."""

    cut = False

    async def run(self, work: Callable[[Store], _Result]) -> _Result:
        """Do it, or not."""
        if self.cut:
            raise StoreUnavailable("the database does not answer")
        return await super().run(work)


class Scene:
    """A store with tokens, what was revoked, and who ends it."""

    def __init__(self, *revoked: Revocation) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.revoked = RevokedSet()
        self.take(*revoked)
        issuers = frozenset({CASDOOR, OURS})
        self.access = Flaky(self.store)
        self.endings = KongEndings(self.access, self.clock, self.revoked, lambda: issuers)
        self.revoked.follow(self.endings.told)

    def take(self, *rows: Revocation) -> None:
        self.revoked.take_rows(rows)

    def hold(self, owner: str, name: str = "token", **changed: object) -> KongCredential:
        row = make_row(owner, name, int(self.clock.now_s()), **changed)
        self.store.take_credential(row, 100)
        self.store.hold_credentials([row.credential_id], row.changed_at_s)
        return row

    def living(self) -> list[str]:
        rows = self.store.credential_page("", 1_000)
        return sorted(one.consumer for one in rows if one.state is CredentialState.HELD)


def revocation(kind: RevocationKind, issuer: str, who: str, before_s: int | None = None) -> Revocation:
    return Revocation(kind, token_handle(issuer, who), 1_800_000_000, before_s=before_s)


@pytest.mark.parametrize(
    ("row", "ended"),
    [
        (revocation(RevocationKind.SUBJECT, CASDOOR, "sub of ann"), True),
        (revocation(RevocationKind.SUBJECT, OURS, "sub of ann"), True),
        (revocation(RevocationKind.SUBJECT, CASDOOR, "sub of ann", before_s=1_800_000_000), True),
        (revocation(RevocationKind.SUBJECT, CASDOOR, "sub of ann", before_s=1_700_000_000), False),
        (revocation(RevocationKind.SUBJECT, "https://other.example", "sub of ann"), False),
        (revocation(RevocationKind.SUBJECT, CASDOOR, "sub of bob"), False),
        (revocation(RevocationKind.TOKEN, CASDOOR, make_row("ann", "token", 0).credential_id), True),
        (revocation(RevocationKind.TOKEN, CASDOOR, "another"), False),
        (revocation(RevocationKind.SESSION, CASDOOR, "sub of ann"), False),
    ],
)
@on_loop
async def test_what_is_revoked_ends_and_nothing_else(row: Revocation, ended: bool) -> None:
    for before in (True, False):
        scene = Scene(row) if before else Scene()
        scene.hold("ann")
        scene.hold("carl")
        if not before:
            await scene.endings.end()
            scene.take(row)
        assert await scene.endings.end() == ended
        assert scene.living() == (["carl"] if ended else ["ann", "carl"])
        assert await scene.endings.end() == 0


@on_loop
async def test_a_subject_too_long_for_a_handle_is_found_all_the_same() -> None:
    scene = Scene()
    scene.hold("ann", subject="s" * 600)
    await scene.endings.end()
    scene.take(revocation(RevocationKind.SUBJECT, CASDOOR, "s" * 600))
    assert await scene.endings.end() == 1


@on_loop
async def test_of_very_many_at_once_all_tokens_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kong_endings, "WAITING_MAX", 3)
    monkeypatch.setattr(kong_endings, "PAGE", 2)
    scene = Scene()
    for number in range(5):
        scene.hold(f"user-{number}")
    await scene.endings.end()
    scene.take(*(revocation(RevocationKind.SUBJECT, CASDOOR, f"sub of user-{number}") for number in range(1, 5)))
    assert await scene.endings.end() == 4
    assert scene.living() == ["user-0"]


@on_loop
async def test_what_the_store_does_not_take_is_not_forgotten() -> None:
    scene = Scene()
    scene.hold("ann")
    await scene.endings.end()
    scene.take(revocation(RevocationKind.SUBJECT, CASDOOR, "sub of ann"))
    scene.access.cut = True
    with pytest.raises(StoreUnavailable):
        await scene.endings.end()
    scene.access.cut = False
    assert await scene.endings.end() == 1
