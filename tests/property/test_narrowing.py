"""Whatever chain of narrowings: no token may more, or longer, than any before it, and all end with each of those."""

import asyncio
import json
from typing import Any, Final

from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jotgate.core.accounts import ClientRecord, PrincipalRecord
from jotgate.core.config_reader import parse
from jotgate.core.grants import ACCESS_TOKEN_URN, JWT_URN
from jotgate.core.issuers import QuotaClaim
from jotgate.core.limit_texts import read_limit
from jotgate.core.lineage import ACTORS_MAX
from jotgate.core.meters import meter_of
from jotgate.core.narrow_orders import NarrowOrder
from jotgate.core.narrowing import NARROWINGS_MAX
from jotgate.core.operations import METRICS, SCOPES
from jotgate.core.policies import Allow, authorize
from jotgate.core.principals import Principal
from jotgate.core.quota_reader import compile_quotas
from jotgate.core.quota_rules import rule_meters
from jotgate.core.quotas import TokenLimit
from jotgate.core.revocations import names_of
from jotgate.core.spenders import spender_of, spending_of, surroundings_of, token_meters
from jotgate.errors import CommandError, OAuthRefused
from jotgate.jose.jwt import peek_unverified
from jotgate.services.narrowing import Narrower
from jotgate.services.personal_lookup import find_personal
from tests.callers import NAME
from tests.token_stage import SECRET, client
from tests.trading import CI, TradingFloor

MODELS: Final = ("a", "b", "c", "other")
FILES: Final = "https://files.example"
OPERATIONS: Final = sorted(SCOPES)
TYPES: Final = {"subject_token_type": JWT_URN}

scopes = st.lists(st.sampled_from(OPERATIONS), max_size=4, unique=True)
LIMITS: Final = ("5 requests", "7 requests/day", "3 tokens/hour", "1 USD/month", "2 concurrent", "6 requests/60s")
RULES: Final = compile_quotas(
    parse(
        {
            "quotas": [
                {"name": "alice", "limit": "9 requests/day", "subjects": ["alice", "ci/*"]},
                {"name": "token", "limit": "9 requests/hour", "per": ["token"]},
                {"name": "client", "limit": "9 requests/day", "per": ["client"]},
                {"name": "worker", "limit": "8 requests/day", "per": ["client"], "clients": ["worker", "app"]},
                {"name": "tenant", "limit": "9 requests/day", "per": ["tenant"], "tenants": ["default"]},
                {"name": "issuer", "limit": "9 requests/day", "issuers": [CI, NAME]},
            ]
        }
    ).quotas
)
limits = st.lists(st.sampled_from(LIMITS), max_size=2, unique=True).map(tuple)
models = st.none() | st.lists(st.sampled_from(MODELS), min_size=1, max_size=3, unique=True)
steps = st.fixed_dictionaries(
    {
        "way": st.sampled_from(["command", "public", "proven", "other", "actor", "refresh"]),
        "scopes": scopes,
        "models": models,
        "limits": limits,
        "details": st.booleans(),
        "audience": st.none() | st.sampled_from((NAME, FILES)),
        "ttl_s": st.none() | st.integers(1, 4_000),
        "wait_s": st.integers(0, 300),
    }
)
roots = st.fixed_dictionaries(
    {
        "scopes": st.lists(st.sampled_from(OPERATIONS), min_size=1, unique=True).map(tuple),
        "models": models.map(lambda names: None if names is None else tuple(names)),
        "ttl_s": st.integers(600, 8_000),
        "limits": limits.map(lambda texts: tuple(TokenLimit(read_limit(text)) for text in texts)),
    }
)


def rights(principal: Principal) -> set[tuple[str, str]]:
    """Every operation with every model that the token may."""
    return {
        (operation, model)
        for operation in OPERATIONS
        for model in ("", *MODELS)
        if isinstance(authorize(principal, operation, model), Allow)
    }


def accounts(principal: Principal, floor: TradingFloor) -> set[tuple[str, int]]:
    """On which accounts a call by the token counts, by what it brings and by rules, and how much each of them has."""
    spender = spender_of(principal)
    around = surroundings_of(tuple(one.content for one in floor.verifier.federation.issuers), frozenset(MODELS))
    spending = spending_of(spender, "a", "chat.completions", around)
    return {(one.key, one.quota.limit.amount) for one in (*token_meters(spender), *rule_meters(RULES, spending))}


def of_tokens(principal: Principal) -> set[str]:
    """The account on which the rule per token counts a token."""
    return {meter_of(RULES[1].quota, (spender_of(principal).token,)).key}


class Chain:
    """A root for alice, and the tokens that were narrowed from one another."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.floor = floor = TradingFloor()
        for name in ("worker", "second"):
            floor.put(
                client(
                    name,
                    grants=tuple(floor.grants),
                    authentication="client_secret_post",
                    scopes=("ai", METRICS),
                    audiences=(NAME, FILES),
                )
            )
        floor.change(ClientRecord, "app", scopes=("ai", METRICS), audiences=(NAME, FILES))
        for name in ("alice", "agent"):
            floor.put(PrincipalRecord(name=name, scopes=("ai", METRICS)))
        self.texts = [floor.made(audiences=(NAME, FILES), **root).token]
        self.line = [floor.principal(self.texts[0])]
        self.narrower = Narrower(
            tokens=floor.presented, access=floor.access, issuer=floor.issuer, recorder=floor.recorder, clock=floor.clock
        )

    def take(self, step: dict[str, Any]) -> None:
        """Narrow the newest token, if it may be done."""
        self.floor.clock.advance(step["wait_s"])
        try:
            text = self.by_command(step) if step["way"] == "command" else self.by_exchange(step)
        except (OAuthRefused, CommandError) as refusal:
            event(f"{step['way']}: {type(refusal).__name__}")
            return
        event(f"{step['way']}: granted")
        found = self.read(text)
        if found is not None:
            self.texts.append(text)
            self.line.append(found)

    def read(self, text: str) -> Principal | None:
        """The token, if it is for the gateway."""
        audiences = peek_unverified(text.encode())[1]["aud"]
        listed = audiences if isinstance(audiences, list) else [audiences]
        return self.floor.principal(text) if NAME in listed else None

    def by_command(self, step: dict[str, Any]) -> str:
        order = NarrowOrder(
            token=self.texts[-1],
            scopes=tuple(step["scopes"]),
            models=None if step["models"] is None else tuple(step["models"]),
            audiences=() if step["audience"] is None else (step["audience"],),
            ttl_s=step["ttl_s"],
            limits=step["limits"],
        )
        return asyncio.run(self.narrower.carry_out(order)).token

    def by_exchange(self, step: dict[str, Any]) -> str:
        names = {"proven": "worker", "other": "second"}
        name = names.get(step["way"], "app")
        form: dict[str, Any] = {"client_secret": SECRET} if name != "app" else {}
        if step["way"] == "actor":
            form = {"actor_token": self.floor.made("agent").token, "actor_token_type": ACCESS_TOKEN_URN}
        form |= {"scope": " ".join(step["scopes"]), "resource": [step["audience"]] if step["audience"] else []}
        if step["details"] and (step["models"] is not None or step["limits"]):
            asked = {"models": step["models"], "limits": step["limits"]}
            asked = {name: texts for name, texts in asked.items() if texts}
            form["authorization_details"] = json.dumps([{"type": "jotgate_call", **asked}])
        if step["way"] != "refresh":
            return self.floor.trade(self.texts[-1], name, **form).access_token
        form["scope"] = f"{form['scope']} offline_access".strip()
        first = self.floor.trade(self.texts[-1], name, **form)
        return self.floor.grant("refresh_token", name, refresh_token=first.refresh_token).access_token


@given(roots, st.lists(steps, min_size=1, max_size=NARROWINGS_MAX + 2), st.integers(0, 3))
@settings(deadline=None)
def test_narrowing_never_allows_more(root: dict[str, Any], taken: list[dict[str, Any]], revoked: int) -> None:
    chain = Chain(root)
    for step in taken:
        if chain.line[-1].expires_at_s > chain.floor.clock.now_s() + step["wait_s"]:
            chain.take(step)
    for place, child in enumerate(chain.line):
        for ancestor in chain.line[:place]:
            assert rights(child) <= rights(ancestor)
            assert accounts(ancestor, chain.floor) <= accounts(child, chain.floor), "no child escapes a limit"
            assert child.expires_at_s <= ancestor.expires_at_s
            assert child.audiences <= ancestor.audiences
            assert child.subject == ancestor.subject
            assert child.actors[len(child.actors) - len(ancestor.actors) :] == ancestor.actors
        assert len(child.actors) <= ACTORS_MAX
        assert len(child.ancestors) <= NARROWINGS_MAX
    root_names = names_of(chain.line[0], NAME)
    name = root_names[min(revoked, len(root_names) - 1)]
    assert all(name in names_of(child, NAME) for child in chain.line), "whatever ends the root ends all of them"


@given(st.sampled_from(["personal", "job", "assertion"]), limits, st.lists(limits, max_size=3), st.booleans())
@settings(deadline=None)
def test_what_is_got_for_tokens_of_other_kinds_escapes_no_limit(
    kind: str, brought: tuple[str, ...], asked: list[tuple[str, ...]], offline: bool
) -> None:
    floor = TradingFloor()
    quota = QuotaClaim("quota", absent=100, daily=1_000)
    floor.trusts(replace(floor.terms(), quota=quota))
    form: dict[str, Any] = {"scope": "chat.completions offline_access" if offline else "chat.completions"}
    if kind == "personal":
        text = floor.personal("create", limits=brought)
        root = find_personal(floor.store, text.encode(), NAME, floor.clock.now_s())
        answer = floor.trade(text, **form)
    else:
        text = floor.job(quota=len(brought), jti="one")
        root = floor.principal(text)
        answer = floor.present(text, **form) if kind == "assertion" else floor.trade(text, **TYPES, **form)
    line = [root, floor.principal(answer.access_token)]
    for texts in asked:
        details = json.dumps([{"type": "jotgate_call", "limits": texts}]) if texts else None
        if offline:
            answer = floor.grant("refresh_token", refresh_token=answer.refresh_token, authorization_details=details)
        else:
            answer = floor.trade(answer.access_token, authorization_details=details)
        line.append(floor.principal(answer.access_token))
    # An assertion shows who somebody is, once: by rules per token it is none that its tokens were narrowed from.
    bound = {one for one in accounts(root, floor) if kind != "assertion" or one[0] not in of_tokens(root)}
    for child in line[1:]:
        assert bound <= accounts(child, floor), "no trade escapes a limit"
        assert {key for key, _ in accounts(line[1], floor)} <= {key for key, _ in accounts(child, floor)} or offline


@given(st.lists(st.sampled_from(LIMITS), min_size=1, max_size=3, unique=True).map(tuple), st.integers(1, 3))
@settings(deadline=None)
def test_the_tokens_of_a_family_share_the_limits_that_were_asked_for(asked: tuple[str, ...], refreshes: int) -> None:
    floor = TradingFloor()
    details = json.dumps([{"type": "jotgate_call", "limits": asked}])
    answer = floor.trade(floor.made().token, scope="ai offline_access", authorization_details=details)
    first = {meter.key for meter in token_meters(spender_of(floor.principal(answer.access_token)))}
    assert len(first) == len(asked)
    for _ in range(refreshes):
        answer = floor.grant("refresh_token", refresh_token=answer.refresh_token)
        assert {meter.key for meter in token_meters(spender_of(floor.principal(answer.access_token)))} == first
