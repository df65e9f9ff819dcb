"""Rows RI-01 and TE-06 of the token checklist where they concern token exchange: for which resources a child is."""

from typing import Any, Final

import pytest

from jotgate.core.accounts import ClientRecord
from jotgate.core.grants import ACCESS_TOKEN_URN, JWT_URN
from jotgate.errors import Code, OAuthRefused, TokenError
from tests.callers import NAME, make_issuer
from tests.trading import CI, TradingFloor, claims_of

ADMIN: Final = NAME + "/admin/api"


@pytest.fixture
def floor() -> TradingFloor:
    return TradingFloor()


def refused(floor: TradingFloor, token: str, client: str = "app", /, **form: Any) -> OAuthRefused:
    """The refusal of a trade; nothing was issued."""
    before = floor.issued
    with pytest.raises(OAuthRefused) as caught:
        floor.trade(token, client, **form)
    assert floor.issued == before
    return caught.value


@pytest.mark.parametrize("name", ["resource", "audience"])
def test_RI_01_resources_are_the_clients_and_those_that_the_token_is_for(floor: TradingFloor, name: str) -> None:
    floor.change(ClientRecord, "app", audiences=(NAME, "https://files.example", "https://mail.example"))
    token = floor.made(audiences=(NAME, "https://files.example")).token
    assert claims_of(floor.trade(token))["aud"] == NAME
    assert claims_of(floor.trade(token, **{name: "https://files.example"}))["aud"] == "https://files.example"
    both = floor.trade(token, **{name: ["https://files.example", NAME]})
    assert claims_of(both)["aud"] == ["https://files.example", NAME]
    for wrong in ("https://mail.example", "https://other.example", "files", NAME + "#f", NAME + "/"):
        refusal = refused(floor, token, **{name: [NAME, wrong]})
        assert (refusal.error, refusal.code) == ("invalid_target", Code.TARGET_REFUSED), wrong


def test_RI_01_a_token_of_another_issuer_is_for_the_gateway_and_what_else_it_names(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", audiences=(NAME, ADMIN, "https://files.example"))
    token = floor.job(aud=[NAME, "https://files.example"])
    assert refused(floor, token, subject_token_type=JWT_URN, resource=ADMIN).error == "invalid_target"
    answer = floor.trade(token, subject_token_type=JWT_URN, resource="https://files.example", scope="models")
    assert claims_of(answer)["aud"] == "https://files.example"


def test_RI_01_a_token_for_nothing_that_the_client_may_name_is_refused(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", audiences=("https://files.example",))
    assert refused(floor, floor.made().token).error == "invalid_target"


def test_RI_01_a_token_for_another_resource_is_narrowed_again_for_that_one_alone(floor: TradingFloor) -> None:
    """Whoever is handed it there trades it on (RFC 8693 s1.1), and gets nothing by it for anybody else."""
    files, mail = "https://files.example", "https://mail.example"
    floor.change(ClientRecord, "app", audiences=(NAME, files, mail))
    parent = floor.made(audiences=(NAME, files, mail), scopes=("chat.completions", "models")).token
    child = floor.trade(parent, resource=[files, mail], scope="models")
    with pytest.raises(TokenError):
        floor.principal(child.access_token)
    grandchild = floor.trade(child.access_token, resource=files)
    found = claims_of(grandchild)
    assert (found["aud"], found["scope"], len(found["ancestors"])) == (files, "models", 2)
    assert claims_of(floor.trade(grandchild.access_token))["aud"] == files
    for resource in (NAME, mail, ADMIN):
        assert refused(floor, grandchild.access_token, resource=resource).error == "invalid_target"
    assert refused(floor, grandchild.access_token, scope="chat.completions").error == "invalid_scope"
    told = refused(floor, floor.made().token, actor_token=child.access_token, actor_token_type=ACCESS_TOKEN_URN)
    assert "actor token is refused" in told.message, "it does not show who acts: that resource has it, too"
    floor.change(ClientRecord, "app", audiences=(NAME,))
    told = refused(floor, grandchild.access_token)
    assert (told.error, told.hint) == (
        "invalid_request",
        f"It is for: {files}; 'jotgate client set NAME --audience URL' lets a client name one",
    )


def test_RI_01_a_token_for_another_resource_that_was_revoked_or_is_forged_is_not_narrowed(floor: TradingFloor) -> None:
    files = "https://files.example"
    floor.change(ClientRecord, "app", audiences=(NAME, files))
    parent = floor.made(audiences=(NAME, files))
    child = floor.trade(parent.token, resource=files).access_token
    assert floor.trade(child).access_token
    floor.revoke(floor.principal(parent.token))
    assert refused(floor, child).error == "invalid_request"
    for token in (
        floor.keys.with_claims(sub="alice", aud=files, iss=CI).decode(),
        make_issuer().with_claims(sub="alice", client_id="jotgate-cli", aud=files).decode(),
        floor.made(audiences=(ADMIN,), scopes=("admin:read",)).token,
        floor.job(aud=files),
    ):
        assert refused(floor, token, resource=files).error == "invalid_request"


def test_TE_06_a_client_that_may_not_trade_is_told_so(floor: TradingFloor) -> None:
    floor.change(ClientRecord, "app", grants=("client_credentials",))
    refusal = refused(floor, floor.made().token)
    assert (refusal.error, refusal.code) == ("unauthorized_client", Code.CLIENT_NOT_ALLOWED)
