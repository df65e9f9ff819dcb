"""Policies against a plain reading of what they say, and what no change to them or to a token may bring about."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any, Final

from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jotgate.core.circumstances import Circumstances
from jotgate.core.lineage import Actor, Confirmation
from jotgate.core.operations import METRICS, SCOPES
from jotgate.core.policies import Allow, Decision, Deny, Policies, authorize
from jotgate.core.policy_values import Policy, Window
from jotgate.core.principals import Principal
from tests.callers import NAME, NOW_S

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
    "issuers": st.sampled_from(((NAME,), ("https://partner.example",))),
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
    issuer=st.sampled_from((NAME, "https://partner.example")),
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
        st.sampled_from(("client a", "client b", "subject https://partner.example b", "tenant ab", "key x y")),
        max_size=2,
    ).map(tuple),
    actors=st.sampled_from(((), (Actor("a"),), (Actor("b"), Actor("a")))),
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
    scopes = set(principal.scopes) | (SCOPES - {METRICS} if "ai" in principal.scopes else set())
    said: tuple[tuple[tuple[str, ...], Collection[str]], ...] = (
        (one.subjects, {principal.subject} | {word[2] for word in words if word[0] == "subject"}),
        (one.issuers, {principal.issuer} | {word[1] for word in words if word[0] == "subject"}),
        (one.clients, {principal.client_id} | {word[1] for word in words if word[0] == "client"}),
        (one.tenants, {principal.tenant or "default"} | {word[1] for word in words if word[0] == "tenant"}),
        (one.roles, set(principal.roles)),
        (one.actors, {actor.subject for actor in principal.actors[:1]}),
        (one.scopes, scopes),
        (one.operations, {operation}),
        (one.models, {model}),
        (one.routes, {model} & ALIASES),
        (one.tools, set()),
    )
    if not all(not wanted or any(_like(text, value) for text in wanted for value in got) for wanted, got in said):
        return False
    method = principal.confirmation.method if principal.confirmation else ""
    proven = {"": {"none"}, "jkt": {"any", "dpop"}, "x5t#S256": {"any", "mtls"}}[method]
    if one.binding and one.binding not in proven:
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


@st.composite
def narrowed(draw: st.DrawFn, parent: Principal) -> Principal:
    """A child that the same client makes of a token for itself: it says less, and names what it comes of."""
    covered = parent.scopes | (SCOPES - {METRICS} if "ai" in parent.scopes else frozenset())
    scopes = draw(st.just(covered - {"ai"}) | st.sets(st.sampled_from(sorted(covered)), min_size=1))
    models = draw(st.sampled_from((parent.models, frozenset(parent.models or _NAMES), frozenset({"a"}))))
    return replace(
        parent,
        scopes=frozenset(scopes),
        models=models,
        expires_at_s=draw(st.sampled_from((parent.expires_at_s, NOW_S + 1))),
        issued_at_s=NOW_S,
        ancestors=(*parent.ancestors, "one more"),
        token_id="child",
    )


@settings(max_examples=300)
@given(sets, st.data(), principals, asked)
def test_a_narrowed_token_is_never_allowed_more(
    found: list[Policy], data: st.DataObject, parent: Principal, call: Asked
) -> None:
    child = data.draw(narrowed(parent))
    if isinstance(decide(found, child, call), Allow):
        event("allowed")
        assert isinstance(decide(found, parent, call), Allow)


@settings(max_examples=300)
@given(sets, st.sampled_from(("client_id", "subject", "tenant")), principals, st.data(), asked)
def test_no_token_gets_rid_of_a_refusal_by_becoming_somebody_elses(
    found: list[Policy], changed: str, parent: Principal, data: st.DataObject, call: Asked
) -> None:
    """A client, subject or tenant that a policy denies stays denied in whatever was narrowed from its tokens."""
    denies = [one for one in found if one.effect == "deny" and not one.actors and one.binding == ""]
    everything = Policy(name="everything", effect="allow")
    names = {
        "client_id": f"client {parent.client_id}",
        "subject": f"subject {parent.issuer} {parent.subject}",
        "tenant": f"tenant {parent.tenant or 'default'}",
    }
    child = replace(
        data.draw(narrowed(parent)),
        origins=(*parent.origins, names[changed]),
        **{changed: data.draw(st.sampled_from(_NAMES))},
    )
    if isinstance(decide([*denies, everything], child, call), Allow):
        event("allowed")
        assert isinstance(decide([*denies, everything], parent, call), Allow)
