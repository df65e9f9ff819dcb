"""What a command asks of the signing keys, and what it is told."""

from typing import Literal

from msgspec import Struct

from jotgate.core.durable import KeyRecord
from jotgate.core.key_life import standing

Action = Literal["list", "rotate", "promote", "retire", "revoke", "import", "export"]


class KeyOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command. `material` of an import is PEM or a JWK, and may be secret; so `repr` shows the action alone.

    `ahead_s` None: a key signs as soon as all know it. `algorithm` empty: the one of the settings, or of the material.
    `private`: the private part is exported, and not the public one.
    """

    action: Action
    kid: str = ""
    algorithm: str = ""
    ahead_s: int | None = None
    material: str = ""
    state: Literal["pending", "retired"] = "pending"
    private: bool = False

    def __repr__(self) -> str:
        return f"KeyOrder({self.action})"


class KeyView(Struct, frozen=True):
    """One key as its operator sees it; `private` says whether its private part is here. Times are NumericDates.

    `live_tokens` is how many tokens it signed that have not ended, as far as they were kept. `private_fault` says why a
    private part that is kept cannot be used; empty: there is nothing wrong with it, or there is none.
    """

    kid: str
    algorithm: str
    state: str
    private: bool
    created_at_s: int
    signs_from_s: int | None
    activated_at_s: int | None
    retired_at_s: int | None
    verifies_until_s: int | None
    ended_at_s: int | None
    live_tokens: int = 0
    private_fault: str = ""


class KeyAnswer(Struct, frozen=True):
    """What came of it: the keys as they are now, and the `kid` that it was about.

    `patience_s` is how long at most a pending key waits until it signs, once its time has come. `settled` says that
    every worker of this machine goes by it already; `shared` that other machines may use the store, `running` that a
    control process will carry on what is left to do. `text` is what was exported.
    """

    keys: list[KeyView]
    kid: str = ""
    patience_s: float = 0.0
    settled: bool = True
    shared: bool = False
    running: bool = False
    text: str = ""

    def __repr__(self) -> str:
        return f"KeyAnswer({self.kid})"

    def find(self, kid: str) -> KeyView | None:
        """The key with this `kid`."""
        return next((key for key in self.keys if key.kid == kid), None)


def view(key: KeyRecord, now_s: float, *, private: bool, live_tokens: int, fault: str = "") -> KeyView:
    """A key in the state that counts now."""
    return KeyView(
        kid=key.kid,
        algorithm=key.algorithm,
        state=standing(key, now_s).value,
        private=private,
        created_at_s=key.created_at_s,
        signs_from_s=key.signs_from_s,
        activated_at_s=key.activated_at_s,
        retired_at_s=key.retired_at_s,
        verifies_until_s=key.verifies_until_s if key.retired_at_s is not None else None,
        ended_at_s=key.ended_at_s,
        live_tokens=live_tokens,
        private_fault=fault,
    )
