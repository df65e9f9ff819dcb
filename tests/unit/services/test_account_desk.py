"""A client made by an order gets tokens at once; disabled, it gets none; deleted, what it got counts nowhere."""

import json
from typing import Any

import pytest
from msgspec import Raw

from jotgate.core.account_orders import AccountAnswer, AccountOrder
from jotgate.core.account_values import ClientValues, PrincipalValues, TenantValues
from jotgate.core.accounts import ClientRecord, Role
from jotgate.core.admin_tokens import AdminTokenOrder
from jotgate.core.claims import TokenRequest
from jotgate.core.rights import within_scopes
from jotgate.core.scopes import ADMIN_SCOPES
from jotgate.errors import AuditUnavailable, CommandError, RecordMissing, RequestMalformed, TokenRevoked
from jotgate.services.account_desk import AccountDesk
from tests.administering import MACHINE
from tests.callers import NAME
from tests.loops import on_loop
from tests.token_stage import Chance, TokenStage, basic, claims_of


def desk_of(stage: TokenStage, looks: list[int] | None = None) -> AccountDesk:
    async def look() -> None:
        if looks is not None:
            looks.append(1)
        await stage._look()

    return AccountDesk(
        tokens=stage.issuer,
        access=stage.access,
        recorder=stage.recorder,
        clock=stage.clock,
        entropy=Chance(),
        look=look,
        running=True,
        others=tuple,
    )


def order(action: Any, name: str = "ci", **more: Any) -> AccountOrder:
    return AccountOrder(noun="client", action=action, name=name, **more)


def only(answer: AccountAnswer) -> dict[str, Any]:
    (found,) = answer.accounts
    return dict(json.loads(bytes(found)))


def ask(stage: TokenStage, secret: str, name: str = "ci") -> tuple[int, dict[str, Any]]:
    answer = stage.post("/oauth/token", {"grant_type": "client_credentials"}, authorization=basic(name, secret))
    return answer.status_code, answer.json()


@on_loop
async def test_a_client_from_its_first_token_to_its_end() -> None:
    stage, looks = TokenStage(), list[int]()
    desk = desk_of(stage, looks)
    made = await desk.carry_out(order("create", client=MACHINE))
    assert (made.issuer, made.running, only(made)["name"]) == (NAME, True, "ci")
    status, content = ask(stage, made.secret)
    assert (status, content["scope"]) == (200, "ai")
    token = content["access_token"]
    assert stage.claims(token)["sub"] == "ci"  # AT-05: nobody else owns what it asks for.
    shown = await desk.carry_out(order("show"))
    assert shown.impact is not None
    assert shown.impact.live_tokens == 1
    await desk.carry_out(order("disable"))
    status, content = ask(stage, made.secret)
    assert (status, content["error"]) == (401, "invalid_client")
    with pytest.raises(TokenRevoked):
        stage.claims(token)
    stage.clock.advance(10)
    await desk.carry_out(order("enable"))
    status, content = ask(stage, made.secret)
    assert status == 200
    token = content["access_token"]
    gone = await desk.carry_out(order("delete"))
    assert gone.impact is not None
    assert gone.impact.live_tokens == 1
    assert ask(stage, made.secret)[0] == 401
    with pytest.raises(TokenRevoked):
        stage.claims(token)
    assert looks != []
    done = [one.event for one in stage.log.events if one.actor == "jotgate-cli"]
    assert done == ["client.created", "client.disabled", "client.enabled", "client.deleted"]


@on_loop
async def test_two_secrets_count_while_holders_change_over() -> None:
    stage = TokenStage()
    desk = desk_of(stage)
    first = (await desk.carry_out(order("create", client=MACHINE))).secret
    second = (await desk.carry_out(order("rotate-secret", overlap_s=60))).secret
    assert [ask(stage, secret)[0] for secret in (first, second)] == [200, 200]
    stage.clock.advance(60)
    assert [ask(stage, secret)[0] for secret in (first, second)] == [401, 200]
    third = (await desk.carry_out(order("rotate-secret"))).secret
    assert [ask(stage, secret)[0] for secret in (first, second, third)] == [401, 401, 200]


@on_loop
async def test_no_answer_and_no_event_shows_a_secret_but_the_one_that_is_new() -> None:
    stage = TokenStage()
    desk = desk_of(stage)
    made = await desk.carry_out(order("create", client=MACHINE))
    kept = stage.store.account(ClientRecord, "ci")
    assert kept is not None
    digest = kept.secrets[0].digest
    for answer in (made, await desk.carry_out(order("show")), await desk.carry_out(order("list", ""))):
        text = b"".join(bytes(one) for one in answer.accounts)
        assert made.secret.encode() not in text
        for form in (digest, digest.hex().encode()):
            assert form not in text
        assert only(answer)["secrets"] == [{"created_at_s": kept.created_at_s, "ends_at_s": None}]
        assert made.secret not in repr(answer)
    assert all(made.secret.encode() not in line for line in stage.log.lines)


@on_loop
async def test_what_cannot_be_recorded_is_not_told() -> None:
    """A secret that the audit log knows nothing of is in nobody's hands."""
    stage = TokenStage()
    stage.log.full = True
    for work in (desk_of(stage).carry_out(order("create", client=MACHINE)), desk_of(stage).issue(AdminTokenOrder())):
        with pytest.raises(AuditUnavailable):
            await work


@on_loop
async def test_what_changes_nothing_is_no_event() -> None:
    stage, looks = TokenStage(), list[int]()
    desk = desk_of(stage, looks)
    await desk.carry_out(order("create", client=MACHINE))
    before = len(stage.log.lines)
    for same in (order("enable"), order("set", client=MACHINE), order("show"), order("list", "")):
        await desk.carry_out(same)
    assert (len(stage.log.lines), looks) == (before, [])


@on_loop
async def test_a_long_list_comes_in_pieces() -> None:
    stage = TokenStage()
    desk = desk_of(stage)
    for number in range(503):
        stage.put(ClientRecord(name=f"c{number:03}", tenant="acme" if number % 2 else "default"))
    first = await desk.carry_out(order("list", ""))
    assert (len(first.accounts), first.more) == (500, True)
    rest = await desk.carry_out(order("list", "", after="c499"))
    assert ([json.loads(bytes(one))["name"] for one in rest.accounts], rest.more) == (["c500", "c501", "c502"], False)
    of_acme = await desk.carry_out(order("list", "", of_tenant="acme"))
    assert (len(of_acme.accounts), of_acme.more) == (251, False)


@on_loop
async def test_principals_and_tenants_are_ordered_alike() -> None:
    stage = TokenStage()
    desk = desk_of(stage)

    def of(noun: Any, action: Any, name: str, **more: Any) -> AccountOrder:
        return AccountOrder(noun=noun, action=action, name=name, **more)

    await desk.carry_out(of("tenant", "create", "acme", tenant=TenantValues(title="Acme")))
    await desk.carry_out(of("tenant", "define-role", "acme", role=Role("reader", ("models",), ("echo",))))
    await desk.carry_out(of("tenant", "define-role", "acme", role=Role("reader", ("models", "embeddings"))))
    await desk.carry_out(of("tenant", "set", "acme", tenant=TenantValues(title="ACME")))
    ann = PrincipalValues(tenant="acme", roles=("reader",))
    made = await desk.carry_out(of("principal", "create", "ann", principal=ann))
    assert (only(made)["roles"], made.impact) == (["reader"], None)
    shown = await desk.carry_out(of("tenant", "show", "acme"))
    assert only(shown)["roles"] == [{"name": "reader", "scopes": ["models", "embeddings"], "models": None}]
    # How many tokens its accounts have is not looked up, so nothing is said of them.
    assert shown.impact is None
    await desk.carry_out(of("principal", "set", "ann", principal=PrincipalValues(roles=())))
    await desk.carry_out(of("tenant", "drop-role", "acme", role=Role("reader")))
    with pytest.raises(RecordMissing, match="no role of this name"):
        await desk.carry_out(of("tenant", "drop-role", "acme", role=Role("reader")))
    await desk.carry_out(of("principal", "delete", "ann"))
    await desk.carry_out(of("tenant", "delete", "acme"))
    assert [(one.event, one.subject, one.actor) for one in stage.log.events] == [
        ("tenant.created", "acme", "jotgate-cli"),
        *[("tenant.changed", "acme", "jotgate-cli")] * 3,
        ("principal.created", "ann", "jotgate-cli"),
        ("principal.changed", "ann", "jotgate-cli"),
        ("tenant.changed", "acme", "jotgate-cli"),
        ("principal.deleted", "ann", "jotgate-cli"),
        ("tenant.deleted", "acme", "jotgate-cli"),
    ]


@pytest.mark.parametrize(
    ("noun", "action"), [("principal", "rotate-secret"), ("tenant", "rotate-secret"), ("client", "define-role")]
)
@on_loop
async def test_there_are_no_other_orders(noun: Any, action: Any) -> None:
    with pytest.raises(CommandError, match=f"there is no '{action}' of a {noun}"):
        await desk_of(TokenStage()).carry_out(AccountOrder(noun=noun, action=action, name="x", role=Role("a")))


@on_loop
async def test_limits_are_refused_in_words_of_the_product() -> None:
    with pytest.raises(RequestMalformed, match="limits: limits of accounts are set with 'jotgate quota set'"):
        await desk_of(TokenStage()).carry_out(order("create", client=ClientValues(limits=Raw(b"{}"))))


@on_loop
async def test_a_token_for_the_admin_api_is_for_that_alone() -> None:
    stage = TokenStage()
    issued = await desk_of(stage).issue(AdminTokenOrder(ttl_s=600))
    claims = claims_of(issued.token)
    assert {name: claims[name] for name in ("iss", "aud", "sub", "client_id", "scope")} == {
        "iss": NAME,
        "aud": f"{NAME}/admin/api",
        "sub": "jotgate-cli",
        "client_id": "jotgate-cli",
        "scope": "admin:*",
    }
    assert claims["exp"] - claims["iat"] == 600
    (event,) = stage.log.named("admin.token_issued")
    assert event.details == {"jti": claims["jti"], "scope": "admin:*", "exp": claims["exp"]}
    assert len(stage.log.named("token.issued")) == 1
    some = await desk_of(stage).issue(AdminTokenOrder(60, ("admin:read", "admin:clients", "admin:read")))
    assert claims_of(some.token)["scope"] == "admin:read admin:clients"


@pytest.mark.parametrize(("ttl_s", "scopes"), [(0, ()), (86_401, ()), (60, ("ai",)), (60, ("admin:x",)), (60, ("",))])
def test_a_token_for_the_admin_api_has_bounds(ttl_s: int, scopes: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        AdminTokenOrder(ttl_s, scopes)


@pytest.mark.parametrize("scope", sorted(ADMIN_SCOPES))
def test_an_ordinary_token_never_administers(scope: str) -> None:
    with pytest.raises(CommandError, match="unknown"):
        TokenRequest(subject="me", scopes=(scope,))
    assert within_scopes((scope,), frozenset({"ai", "metrics"})) == frozenset()
