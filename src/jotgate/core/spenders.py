"""Who spends, as quotas see it: all names of a caller that rules can speak of, and the handles by which it counts.

A token that was narrowed, or got for another one, spends what that one would have spent: its clients, tenants and
roles count for it too, as they do for policies that deny (`core.heredity`), so that no trade sheds a limit; and so do
those of who acts by it. Whom it speaks for is the same before and after, and is found by the name that it has here.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.accounts import DEFAULT_TENANT
from jotgate.core.claims import CLI_CLIENT_ID, EPHEMERAL_CLIENT_ID, RENEWED_CLIENT_ID
from jotgate.core.heredity import read_inherited
from jotgate.core.issuers import Issuer
from jotgate.core.limit_texts import write_limit
from jotgate.core.mcp_operations import OPERATIONS as MCP_OPERATIONS
from jotgate.core.mcp_tools import read_label, server_route
from jotgate.core.meters import meter_of
from jotgate.core.operations import DECIDE
from jotgate.core.personal_tokens import PERSONAL_CLIENT_ID
from jotgate.core.principals import Principal
from jotgate.core.quotas import Level, Limit, Meter, Quota, Spender
from jotgate.core.revocations import ancestor_handle, token_handle

Trait = Literal["subjects", "clients", "tenants", "roles", "issuers", "operations", "routes", "models", "tools"]
"""The members of a rule."""

_NO_CLIENTS: Final = frozenset({"", CLI_CLIENT_ID, EPHEMERAL_CLIENT_ID, PERSONAL_CLIENT_ID, RENEWED_CLIENT_ID})
"""Names in `client_id` that are of no client: what counts per client does not meet their tokens."""
_NOTHING: Final[Set[str]] = frozenset()


class Surroundings(Struct, frozen=True):
    """What is the same for all callers: our own name, the names of other issuers by their `iss`, the routes' aliases.

    An issuer whose tokens carry no `iss` stands there by its name. `daily` is how many requests the subjects of an
    issuer have in a day unless another limit of them is set, by the issuer's name (`core.issuers.QuotaClaim`).
    """

    own_issuer: str
    issuers: Mapping[str, str] = {}
    aliases: Set[str] = frozenset()
    daily: Mapping[str, int] = {}


class Spending(Struct, frozen=True):
    """One call: what it is by the members of rules, and by level its handles, by the names that rules have for them.

    Of one level there may be several: a token's ancestors, the clients and tenants of tokens that it came of.
    `unreadable`: some names of those are not known, so that rules by names meet it. `daily` is how many requests the
    principal has in a day unless another limit of them is set; None: as many as it likes.
    """

    values: Mapping[Trait, Set[str]]
    holders: Mapping[Level, Mapping[str, str]]
    unreadable: bool = False
    daily: int | None = None

    @property
    def levels(self) -> tuple[tuple[Level, str], ...]:
        """All its levels with their handles: by these the store has limits."""
        return tuple((level, handle) for level, handles in self.holders.items() for handle in handles.values())


def surroundings_of(issuers: tuple[Issuer, ...], aliases: Set[str]) -> Surroundings:
    """Those of a snapshot with these issuers, this installation first."""
    ours, *others = issuers
    daily = {one.name: one.quota.daily for one in others if one.quota is not None}
    return Surroundings(ours.issuer, {one.issuer or one.name: one.name for one in others}, aliases, daily)


def spender_of(principal: Principal) -> Spender:
    """Who spends by a verified token."""
    issuer = principal.issuer
    return Spender(
        issuer=issuer,
        subject=principal.subject,
        client_id=principal.client_id,
        tenant=principal.tenant,
        token=token_handle(issuer, principal.token_id),
        ancestors=tuple(ancestor_handle(issuer, one) for one in principal.ancestors),
        roles=tuple(sorted(principal.roles)),
        limits=principal.limits,
        origins=principal.origins,
    )


class _Subject(Struct, frozen=True):
    """Whom a token speaks for: `local` is the name here, `issuer` the `iss`.

    Where another issuer says who that is, `name` is what it is called here, and `foreign` the `sub` of its tokens.
    """

    local: str
    issuer: str
    name: str = ""
    foreign: str = ""


def _subject(spender: Spender, around: Surroundings) -> _Subject:
    name = around.issuers.get(spender.issuer)
    if name is not None:
        return _Subject(f"{name}/{spender.subject}", spender.issuer, name, spender.subject)
    # What was got for a token of another issuer speaks for `NAME/SUBJECT`.
    name, _, foreign = spender.subject.partition("/")
    iss = next((iss for iss, known in around.issuers.items() if known == name), "") if foreign else ""
    return _Subject(spender.subject, iss, name, foreign) if iss else _Subject(spender.subject, spender.issuer)


def spending_of(spender: Spender, model: str, operation: str, around: Surroundings) -> Spending:
    """A call of somebody. `model` is the one that it names; empty: none. Of `DECIDE` it is the path rule's name.

    Of what is asked of MCP servers it is that of a tool, or of a server, whose route it is.
    """
    inherited = read_inherited(spender.origins)
    had = inherited.values
    route = model if operation == DECIDE or model in around.aliases else ""
    tool = ""
    if operation == DECIDE:
        model = ""
    elif operation in MCP_OPERATIONS:
        server, named = read_label(model)
        route, tool, model = server_route(server), model if named else "", ""
    tenant = spender.tenant or DEFAULT_TENANT
    subject = _subject(spender, around)
    local = subject.local
    values: dict[Trait, Set[str]] = {
        "subjects": {local, subject.foreign or local},
        "clients": _some(spender.client_id) | had["clients"],
        "tenants": {tenant, *had["tenants"]},
        "roles": {*spender.roles, *had["roles"]},
        "issuers": {spender.issuer, subject.issuer, *_some(subject.name)},
        "operations": {operation},
        "routes": _some(route),
        "models": _some(model),
        "tools": _some(tool),
    }
    tokens = (spender.token, *spender.ancestors, *_continued(spender, around))
    clients = [one for one in (spender.client_id, *sorted(had["clients"])) if one not in _NO_CLIENTS]
    holders: dict[Level, dict[str, str]] = {
        "token": {one: one for one in tokens},
        "principal": {local: token_handle(around.own_issuer, local)},
        "client": {one: token_handle(around.own_issuer, one) for one in clients},
        "tenant": {one: one for one in (tenant, *sorted(had["tenants"]))},
        "route": {route: route} if route else {},
        "model": {model: model} if model else {},
        "tool": {tool: tool} if tool else {},
    }
    return Spending(
        values,
        {level: found for level, found in holders.items() if found},
        inherited.unreadable,
        around.daily.get(subject.name),
    )


def _continued(spender: Spender, around: Surroundings) -> Iterable[str]:
    """The tokens of another issuer that one goes on for which was renewed here: by what counts per token it is these.

    Ours name in their limits what stands among their ancestors anyway, and families.
    """
    return () if spender.issuer == around.own_issuer else (one.of for one in spender.limits if one.of)


def token_meters(spender: Spender) -> tuple[Meter, ...]:
    """The accounts of the limits that a token brings: its own, and those of the tokens that it came of."""
    found = []
    for one in spender.limits:
        name = f"{'ancestor' if one.of else 'token'} {write_limit(one.limit)}"
        found.append(meter_of(Quota(name, one.limit, ("token",)), (one.of or spender.token,)))
    return tuple(found)


def subject_meter(spending: Spending, others: Iterable[Meter]) -> Meter | None:
    """The account of the requests that the principal has in a day; None: it has no such limit.

    One of `others`, which meet the call, takes its place if it is a limit of all requests of the principal. A rate is
    none such: it says how fast they come, and not how many there are.
    """
    handles = tuple(spending.holders["principal"].values())
    if spending.daily is None or any(limits_subject(one, handles) for one in others):
        return None
    return meter_of(Quota("subject", Limit("requests", spending.daily, "day"), ("principal",)), handles)


def limits_subject(meter: Meter, handles: tuple[str, ...]) -> bool:
    """Whether it counts all requests of the principal with these handles, so that no daily limit is needed beside."""
    quota = meter.quota
    whole = meter.holders == handles and quota.per == ("principal",) and not quota.scope
    return whole and quota.limit.unit == "requests" and quota.limit.window != "rate"


def _some(value: str) -> Set[str]:
    return {value} if value else _NOTHING
