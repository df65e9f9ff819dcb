"""Policies against a plain reading of what they say, and what no change to them or to a token may bring about."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any, Final

from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jotgate.core.circumstances import Circumstances
from jotgate.core.claims import AccessGrant
from jotgate.core.delegation import chain_with, history_of
from jotgate.core.issuers import OURS
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.narrowing import descend
from jotgate.core.operations import METRICS, SCOPES
from jotgate.core.policies import Allow, Decision, Deny, Policies, authorize
from jotgate.core.policy_values import Policy, Window
from jotgate.core.presented import Presented
from jotgate.core.principals import Principal
from jotgate.core.revocations import ancestor_name
from tests.callers import NAME, NOW_S

PARTNER: Final = "https://partner.example"
ALIASES: Final = frozenset({"a", "ab"})
_NAMES: Final = ("a", "ab", "b")
_PATTERNS: Final = (*_NAMES, "a*", "*", "z")
_ADDRESSES: Final = ("10.0.0.1", "10.0.1.1", "2001:db8::1", "::ffff:10.0.0.1", "unix")
_NETWORKS: Final = ("10.0.0.0/24", "10.0.0.0/16", "10.0.1.1", "2001:db8::/32", "0.0.0.0/0")
_OPERATIONS: Final = ("chat.completions", "embeddings", METRICS)

patterns = st.lists(st.sampled_from(_PATTERNS), min_size=1, max_size=2).map(tuple)
ages = st.sampled_from((60, 3_600))
windows = st.builds(
    Window,
    days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
    begin=st.sampled_from((0, 480, 1_320)),
    end=st.sampled_from((360, 1_080, 1_440)),
    zone=st.sampled_from(("UTC", "nowhere")),
)


_ONE_OF: Final[dict[str, st.SearchStrategy[Any]]] = {
    **dict.fromkeys(("subjects", "clients", "roles", "actors", "routes", "models"), patterns),
    "tenants": patterns | st.just(("default",)),
    "issuers": st.sampled_from(((NAME,), (PARTNER,))),
    "scopes": st.sampled_from((("ai",), ("chat.completions",), ("chat*", "x"), (METRICS,))),
    "operations": st.sampled_from((("chat.completions",), ("chat*",), ("embeddings", METRICS))),
    "tools": st.just(("t",)),
    "binding": st.sampled_from(("none", "dpop", "mtls", "any")),
    "addresses": st.lists(st.sampled_from(_NETWORKS), min_size=1, max_size=2).map(tuple),
    "times": st.lists(windows, min_size=1, max_size=2).map(tuple),
    "older_s": ages,
    "younger_s": ages,
}
"""What a policy may name, each with what it may say there."""


@st.composite
def policies(draw: st.DrawFn, effect: str = "") -> Policy:
    """A policy that names one or two things, so that it mostly fits; one that denies names no scopes."""
    allows = (effect or draw(st.sampled_from(("allow", "allow", "deny")))) == "allow"
    names = [name for name in _ONE_OF if allows or name != "scopes"]
    named = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return Policy(
        name=f"p{draw(st.integers(0, 999))}",
        effect="allow" if allows else "deny",
        reason="" if allows else draw(st.sampled_from(("", "because"))),
        **{name: draw(_ONE_OF[name]) for name in named},
    )


principals = st.builds(
    Principal,
    issuer=st.sampled_from((NAME, PARTNER)),
    subject=st.sampled_from(_NAMES),
    client_id=st.sampled_from((*_NAMES, "")),
    token_id=st.just("t"),
    kid=st.just("k"),
    scopes=st.sampled_from((frozenset({"ai", METRICS}), frozenset({"ai"}), frozenset({"embeddings", "x"}))),
    models=st.sampled_from((None, None, frozenset({"a", "ab"}))),
    expires_at_s=st.just(NOW_S + 600),
    not_before_s=st.just(0.0),
    tenant=st.sampled_from((*_NAMES, "")),
    roles=st.sets(st.sampled_from(_NAMES)).map(frozenset),
    issued_at_s=st.none() | st.sampled_from((NOW_S - 7_200, NOW_S - 600, NOW_S)),
    ancestors=st.sampled_from(((), (), ("parent",))),
    origins=st.just(())
    | st.lists(
        st.sampled_from(
            ("client a", "clients b", f"subject {PARTNER} b", "tenant ab", "key x y", "tenants default")
            + ("roles ab", "actors b", "bindings none", "bindings mtls", "issued 5")
        ),
        max_size=2,
    ).map(tuple),
    actors=st.lists(
        st.sampled_from(
            (Actor("a"), Actor("b", client_id="ab"), Actor("ab", PARTNER), Actor("a", "https://else.example"))
        ),
        max_size=2,
    ).map(tuple),
    confirmation=st.none() | st.builds(Confirmation, st.sampled_from(("jkt", "x5t#S256")), st.just("v")),
)
circumstances = st.builds(
    Circumstances,
    address=st.sampled_from(_ADDRESSES),
    now_s=st.integers(0, 14 * 24).map(lambda hours: NOW_S + 3_600 * hours),
)
Asked = tuple[str, str, Circumstances]
"""An operation, a model, and the circumstances."""
asked = st.tuples(st.sampled_from(_OPERATIONS), st.sampled_from((*_NAMES, "")), circumstances)
sets = st.lists(policies(), min_size=1, max_size=5)


def decide(found: Sequence[Policy], principal: Principal, call: Asked) -> Decision:
    """What is decided; days are those of UTC, the one zone that is known."""
    return Policies(found, ALIASES, {"UTC": UTC}).decide(principal, *call)


def reading(found: Sequence[Policy], principal: Principal, call: Asked) -> Decision:
    """The same, by reading the policies from the first to the last and each word of each of them."""
    bound = authorize(principal, *call[:2])
    if isinstance(bound, Deny):
        return bound
    for one in found:
        if one.effect == "deny" and _fits(one, principal, call):
            return Deny("policy", one.reason, one.name)
    for one in found:
        if one.effect == "allow" and _fits(one, principal, call):
            return Allow(one.name)
    return Deny("policy")


def _fits(one: Policy, principal: Principal, call: Asked) -> bool:
    denies = one.effect == "deny"
    operation, model, now = call
    inherited = principal.origins if denies else ()
    words = [name.split(" ") for name in inherited]
    acted = [one if one.issuer != principal.issuer else replace(one, issuer="") for one in principal.actors]
    names = [f"{one.issuer} {one.subject}".lstrip() for one in acted]
    scopes = set(principal.scopes) | (SCOPES - {METRICS} if "ai" in principal.scopes else set())
    said: tuple[tuple[tuple[str, ...], Collection[str]], ...] = (
        (one.subjects, {principal.subject} | {word[2] for word in words if word[0] == "subject"}),
        (one.issuers, {principal.issuer} | {word[1] for word in words if word[0] == "subject"}),
        (one.clients, {principal.client_id} | {word[1] for word in words if word[0] in ("client", "clients")}),
        (
            one.tenants,
            {principal.tenant or "default"} | {word[1] for word in words if word[0] in ("tenant", "tenants")},
        ),
        (one.roles, set(principal.roles) | {word[1] for word in words if word[0] == "roles"}),
        (
            one.actors,
            {*names, *(actor.client_id for actor in acted), *(word[1] for word in words if word[0] == "actors")}
            if denies
            else set(names[:1]),
        ),
        (one.scopes, scopes),
        (one.operations, {operation}),
        (one.models, {model}),
        (one.routes, {model} & ALIASES),
        (one.tools, set()),
    )
    if not all(not wanted or any(_like(text, value) for text in wanted for value in got) for wanted, got in said):
        return False
    method = principal.confirmation.method if principal.confirmation else ""
    proven = {{"": "none", "jkt": "dpop", "x5t#S256": "mtls"}[method], *(w[1] for w in words if w[0] == "bindings")}
    if one.binding and one.binding not in proven | ({"any"} if proven != {"none"} else set()):
        return False
    return _is_there(one, now, denies=denies) and _is_then(one, now, denies=denies) and _is_aged(one, principal, now)


def _like(pattern: str, value: str) -> bool:
    if not value:
        return False
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def _is_there(one: Policy, now: Circumstances, *, denies: bool) -> bool:
    if not one.addresses:
        return True
    try:
        address = ip_address(now.address.removeprefix("::ffff:"))
    except ValueError:
        return denies
    return any(address in ip_network(network) for network in one.addresses)


def _is_then(one: Policy, now: Circumstances, *, denies: bool) -> bool:
    return not one.times or any(denies if window.zone != "UTC" else _opened(window, now) for window in one.times)


def _opened(window: Window, now: Circumstances) -> bool:
    """By the last two openings of the window: whether now is before the end of one."""
    local = datetime.fromtimestamp(now.now_s, UTC)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight - timedelta(days=1), midnight):
        begin = day + timedelta(minutes=window.begin)
        end = day + timedelta(minutes=window.end) + timedelta(days=window.end <= window.begin)
        if day.weekday() in window.days and begin <= local < end:
            return True
    return False


def _is_aged(one: Policy, principal: Principal, now: Circumstances) -> bool:
    if one.older_s is None and one.younger_s is None:
        return True
    if principal.issued_at_s is None or principal.ancestors:
        return one.effect == "deny"
    age_s = now.now_s - principal.issued_at_s
    return (one.older_s or age_s) <= age_s and (one.younger_s is None or age_s < one.younger_s)


@settings(max_examples=300)
@given(sets, principals, asked)
def test_what_is_found_by_index_is_what_reading_all_of_them_finds(
    found: list[Policy], principal: Principal, call: Asked
) -> None:
    decision = decide(found, principal, call)
    event(f"{type(decision).__name__} {getattr(decision, 'reason', '')}")
    assert decision == reading(found, principal, call)


@settings(max_examples=300)
@given(sets, policies("deny"), st.integers(0, 6), principals, asked)
def test_one_more_that_denies_never_allows_more(
    found: list[Policy], more: Policy, place: int, principal: Principal, call: Asked
) -> None:
    changed = [*found[:place], more, *found[place:]]
    if isinstance(decide(changed, principal, call), Allow):
        event("allowed")
        assert isinstance(decide(found, principal, call), Allow)


@settings(max_examples=300)
@given(sets, st.data(), principals, asked)
def test_one_less_that_allows_never_allows_more(
    found: list[Policy], data: st.DataObject, principal: Principal, call: Asked
) -> None:
    gone: Policy | None = data.draw(st.sampled_from([None, *(one for one in found if one.effect == "allow")]))
    if isinstance(decide([one for one in found if one is not gone], principal, call), Allow):
        assert isinstance(decide(found, principal, call), Allow)


_JKT: Final = Confirmation("jkt", "w")


@st.composite
def narrowed(draw: st.DrawFn, parent: Principal, *, by_itself: bool = False) -> Principal:
    """A child as it is made of a token: it says less, of whomever it is, and names what it comes of.

    `by_itself`: its client makes it of a token of ours, and nobody new acts by it.
    """
    own = parent.issuer == NAME
    subject = parent.subject if own else f"partner/{parent.subject}"
    presented = Presented(
        principal=parent,
        issuer_name=OURS if own else "partner",
        subject=subject,
        scopes=parent.scopes,
        ancestor=ancestor_name(NAME, parent),
    )
    covered = parent.scopes | (SCOPES - {METRICS} if "ai" in parent.scopes else frozenset())
    acting = None if by_itself else draw(st.sampled_from((None, Actor("b"), Actor("a", client_id="ab"))))
    proof = None if by_itself else draw(st.sampled_from((None, _JKT, Confirmation("x5t#S256", "w"))))
    grant = AccessGrant(
        subject=subject,
        client_id=parent.client_id if by_itself else draw(st.sampled_from(_NAMES)),
        scopes=draw(
            st.just(tuple(covered - {"ai"})) | st.sets(st.sampled_from(sorted(covered)), min_size=1).map(tuple)
        ),
        audiences=(NAME,),
        ttl_s=60,
        models=draw(
            st.sampled_from(
                (None if parent.models is None else tuple(parent.models), tuple(parent.models or _NAMES), ("a",))
            )
        ),
        tenant=(parent.tenant or "default") if own else draw(st.sampled_from((*_NAMES, "default"))),
        roles=tuple(draw(st.sets(st.sampled_from(_NAMES)).map(lambda some: some & parent.roles if own else some))),
        actors=chain_with(acting, history_of(presented, NAME)),
        confirmation=proof or parent.confirmation,
    )
    return grown(descend(grant, presented, None, NAME, NOW_S))


def grown(grant: AccessGrant) -> Principal:
    """What is granted, as the token says it."""
    return Principal(
        issuer=NAME,
        subject=grant.subject,
        client_id=grant.client_id,
        token_id="child",
        kid="k",
        scopes=frozenset(grant.scopes),
        models=None if grant.models is None else frozenset(grant.models),
        expires_at_s=grant.expires_at_s(NOW_S),
        not_before_s=0.0,
        tenant="" if grant.tenant == "default" else grant.tenant,
        roles=frozenset(grant.roles),
        issued_at_s=NOW_S,
        ancestors=grant.ancestors,
        origins=grant.origins,
        actors=grant.actors,
        confirmation=grant.confirmation,
    )


@settings(max_examples=300)
@given(sets, st.data(), principals, asked)
def test_a_narrowed_token_is_never_allowed_more(
    found: list[Policy], data: st.DataObject, parent: Principal, call: Asked
) -> None:
    parent = replace(parent, issuer=NAME, client_id=parent.client_id or "a")
    child = data.draw(narrowed(parent, by_itself=True))
    if isinstance(decide(found, child, call), Allow):
        event("allowed")
        assert isinstance(decide(found, parent, call), Allow)


@settings(max_examples=1_000)
@given(st.lists(policies("deny"), min_size=1, max_size=3), st.integers(1, 2), st.data(), principals, asked)
def test_no_token_gets_rid_of_a_refusal_whoever_trades_it_for_whatever(
    denies: list[Policy], steps: int, data: st.DataObject, parent: Principal, call: Asked
) -> None:
    """What a policy denies stays denied in all that is narrowed from it, whatever that says of itself."""
    found = [*denies, Policy(name="everything", effect="allow")]
    child = parent
    for _ in range(steps):
        child = data.draw(narrowed(child))
    if isinstance(decide(found, child, call), Allow):
        event("allowed")
        assert isinstance(decide(found, parent, call), Allow)
