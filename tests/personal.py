"""Personal tokens for tests: who owns them, orders that are carried out on a store, what control says of one."""

from hashlib import sha256
from os import urandom
from typing import Any, Final, Literal

from msgspec.structs import replace

from jotgate.core.accounts import Account, PrincipalRecord
from jotgate.core.personal_tokens import PERSONAL_CLIENT_ID, PersonalAnswer, PersonalFinding, PersonalOrder
from jotgate.core.principals import Principal
from jotgate.services.personal_desk import PersonalDesk, PersonalDone
from jotgate.services.personal_lookup import look_up, read_finding
from jotgate.store_ports import Store
from jotgate.testing.ports import ManualClock

ISSUER: Final = "https://gate.example"
GOOD: Final = b"jot_p_" + b"A" * 42 + b"8"
"""A text of the right form, which is nobody's unless a test says so."""


Action = Literal["create", "list", "show", "roll", "revoke"]


class Chance:
    """The kernel's (ports.Entropy)."""

    def random_bytes(self, count: int) -> bytes:
        return urandom(count)


class Office:
    """A store with the principal `alice`, who may make AI calls and read figures, and orders at the time of a clock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock()
        store.put_account(PrincipalRecord(name="alice", scopes=("ai", "metrics")))

    def order(self, action: Action, name: str = "ci", subject: str = "alice", **content: Any) -> PersonalDone:
        """Carry out an order of the operator."""
        order = PersonalOrder(action=action, subject=subject, name=name, **content)
        desk = PersonalDesk(self.store, ISSUER, Chance(), self.clock.now_s())
        return desk.carry_out(order, actor="tester")

    def answer(self, action: Action, name: str = "ci", **content: Any) -> PersonalAnswer:
        """What the operator is told of such an order."""
        return self.order(action, name, **content).answer

    def create(self, name: str = "ci", **content: Any) -> str:
        """The text of a new token."""
        return self.order("create", name, **content).answer.secret

    def find(self, secret: str) -> PersonalFinding:
        """What the store says of a token now."""
        return look_up(self.store, sha256(secret.encode()).digest(), ISSUER, self.clock.now_s())

    def principal(self, secret: str) -> Principal:
        """Whom a token speaks for now. Raises as `read_finding`."""
        return read_finding(self.find(secret), self.clock.now_s())

    def change(self, kind: type[Account], name: str, **members: Any) -> None:
        """Change an account that is there."""
        found = self.store.account(kind, name)
        assert found is not None
        assert self.store.put_account(replace(found, **members)) is not None

    def drop_alice(self) -> None:
        """The owner is no more."""
        found = self.store.account(PrincipalRecord, "alice")
        assert found is not None
        assert self.store.drop_account(PrincipalRecord, "alice", found.version)


def finding(
    token_id: str = "t-1", *, subject: str = "alice", tenant: str = "default", until_s: int = 1_900_000_000
) -> PersonalFinding:
    """What control says of a token that counts."""
    return PersonalFinding(
        version=1,
        principal=Principal(
            issuer=ISSUER,
            subject=subject,
            client_id=PERSONAL_CLIENT_ID,
            token_id=token_id,
            kid="",
            scopes=frozenset(("ai",)),
            models=None,
            expires_at_s=1_900_000_000.0,
            not_before_s=0.0,
        ),
        until_s=until_s,
        tenant=tenant,
    )
