"""What a command asks of policies, and what it is told: what there is, a new set, what would be decided."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from jotgate.core.policy_entries import PolicyEntry
from jotgate.core.policy_values import Origin
from jotgate.core.routes import EndedTokens

_Text = Annotated[str, Meta(max_length=512)]
_Texts = Annotated[tuple[_Text, ...], Meta(max_length=64)]


class PolicyOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One command. `tables` are the entries of a new set, as JSON of what would stand in the configuration.

    `check` says what is wrong with them and lists what there is, before anybody is asked whether to apply them.
    `version` is that of the set which they take the place of; None: whichever there is.
    """

    action: Literal["list", "check", "apply"]
    tables: str = ""
    version: int | None = None


class PolicyView(Struct, frozen=True, kw_only=True):
    """A policy. `settings` are those that were written down; null where what the store has cannot be read.

    `faults` say why it cannot count for what it says.
    """

    name: str
    origin: Origin
    settings: PolicyEntry | None
    faults: list[str] = []
    version: int | None = None
    created_at_s: int | None = None


class PolicyAnswer(Struct, frozen=True):
    """All policies in their order, as they are now, and the version of those of the store.

    `running` says that a control process goes by them already, and `settled` that every worker of the machine does.
    `warnings` are for their author.
    """

    policies: list[PolicyView]
    version: int
    running: bool = False
    settled: bool = True
    warnings: list[str] = []


AGE_MAX_S: Final = 3_153_600_000
"""A hundred years: so old may be the token that somebody describes."""


class PolicyQuestion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A principal and a call, as somebody describes them. `at_s` is the time of the call (NumericDate); null: now.

    `issuer` empty: this installation. `models` are those that its token names; null: it names none. `age_s` null: it
    does not say when it was issued.
    """

    subject: Annotated[str, Meta(min_length=1, max_length=512)]
    operation: _Text
    model: _Text = ""
    client_id: _Text = ""
    tenant: _Text = ""
    roles: _Texts = ()
    issuer: _Text = ""
    actor: _Text = ""
    scopes: _Texts = ("ai",)
    models: _Texts | None = None
    binding: Literal["none", "dpop", "mtls"] = "none"
    address: _Text = "127.0.0.1"
    age_s: Annotated[int, Meta(ge=0, le=AGE_MAX_S)] | None = 0
    at_s: Annotated[float, Meta(ge=0, le=253_402_300_799)] | None = None


class PolicyTrial(Struct, frozen=True, kw_only=True):
    """A set that the store might keep, `tables` as in a `PolicyOrder`, and calls to decide by it and without it."""

    tables: str
    calls: tuple[PolicyQuestion, ...]


class TokenQuestion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a token is asked about: a call that is made with it now."""

    token: str
    operation: str
    model: str = ""
    address: str = "127.0.0.1"


class PolicyFinding(Struct, frozen=True, kw_only=True):
    """What would be decided. `code` and `message` are what a caller would be told; empty where the call is allowed.

    `policy` is the one that decides; empty: none speaks of the call, or the token alone or the route refuses it.
    `ended_tokens` is what becomes of a running answer when its token ends, `stale` whether the call goes on while what
    was revoked is not known, `payloads` whether what is said in it is written down.
    """

    allowed: bool
    subject: str
    operation: str
    model: str
    policy: str = ""
    origin: Origin | None = None
    code: str = ""
    message: str = ""
    ended_tokens: EndedTokens | None = None
    stale: bool = False
    payloads: bool = False


class TriedCall(Struct, frozen=True):
    """What is decided of a call `now`, and would be `then`. `changes`: its caller would notice."""

    now: PolicyFinding
    then: PolicyFinding
    changes: bool


class PolicyTrialAnswer(Struct, frozen=True):
    """What a set would change, which is not applied: the calls in their order. `warnings` are for its author."""

    calls: list[TriedCall]
    warnings: list[str]
