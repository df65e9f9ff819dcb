"""Whatever is asked for a presented token, what is granted is within the token, the client and the record (TX-04)."""

from typing import Any, Final

from hypothesis import event, given
from hypothesis import strategies as st

from jotgate.core.accounts import ClientRecord, PrincipalRecord
from jotgate.core.grants import JWT_URN, TokenResponse
from jotgate.core.operations import METRICS, SCOPES
from jotgate.core.scopes import ADMIN_ALL, ADMIN_SCOPES
from jotgate.errors import OAuthRefused
from tests.callers import NAME
from tests.trading import JOB, TradingFloor, claims_of

ADMIN: Final = NAME + "/admin/api"
FILES: Final = "https://files.example"
FOREIGN: Final = f"{FILES}/read"


def _ordered(names: set[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(names))


scopes = st.sets(st.sampled_from(sorted(SCOPES | ADMIN_SCOPES | {FOREIGN})), min_size=1)
models = st.none() | st.sets(st.sampled_from("abc"))
audiences = st.sets(st.sampled_from((NAME, ADMIN, FILES)))
lives = st.integers(1, 10_000)
asked = st.fixed_dictionaries(
    {
        "scope": st.none() | st.lists(st.sampled_from((*sorted(SCOPES | ADMIN_SCOPES), FOREIGN, "x"))).map(" ".join),
        "resource": st.lists(st.sampled_from((NAME, ADMIN, FILES, "https://other.example")), max_size=3),
        "audience": st.lists(st.sampled_from((NAME, ADMIN, FILES)), max_size=1),
    }
)


@st.composite
def accounts(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a client and a principal may do."""
    client = {
        "scopes": tuple(draw(scopes)),
        "models": _ordered(draw(models)),
        "audiences": tuple(draw(audiences)),
        "access_ttl_s": draw(lives),
    }
    return client, {"scopes": tuple(draw(scopes)), "models": _ordered(draw(models))}


own_tokens = st.fixed_dictionaries(
    {
        "scopes": scopes.map(tuple),
        "models": models.map(_ordered),
        "audiences": audiences.map(lambda names: (NAME, *sorted(names - {NAME}))),
        "ttl_s": lives,
    }
)


def spread(names: Any) -> set[str]:
    """Scopes, with all that those among them stand for that are short for others."""
    found = set(names)
    if "ai" in found:
        found |= SCOPES - {METRICS}
    return found | ADMIN_SCOPES if ADMIN_ALL in found else found


def within(models: list[str] | None, bound: tuple[str, ...] | None) -> bool:
    """Whether these models are among those; None: every one."""
    return bound is None or (models is not None and set(models) <= set(bound))


def floor_with(client: dict[str, Any], principal: dict[str, Any], name: str) -> TradingFloor:
    """A token service with these accounts."""
    floor = TradingFloor()
    floor.change(ClientRecord, "app", **client)
    floor.change(PrincipalRecord, name, **principal)
    return floor


def check(answer: TokenResponse, form: dict[str, Any], *bounds: dict[str, Any]) -> dict[str, Any]:
    """What a new token says, which is within each of these bounds and within what was asked."""
    claims = claims_of(answer)
    granted = set(claims["scope"].split(" "))
    for bound in bounds:
        assert granted <= spread(bound["scopes"])
        assert within(claims.get("models"), bound["models"])
    if form["scope"]:
        assert granted <= set(form["scope"].split(" "))
    named = set(form["resource"]) | set(form.get("audience", ()))
    aud = {claims["aud"]} if isinstance(claims["aud"], str) else set(claims["aud"])
    assert aud == named or not named
    assert aud <= set(bounds[0]["audiences"] or (NAME,))
    assert answer.scope == claims["scope"]
    return {**claims, "aud": aud}


@given(accounts(), own_tokens, asked)
def test_a_token_of_ours_is_traded_for_nothing_wider(
    both: tuple[dict[str, Any], dict[str, Any]], own: dict[str, Any], form: dict[str, Any]
) -> None:
    client, principal = both
    floor = floor_with(client, principal, "alice")
    parent = floor.made(**own)
    try:
        answer = floor.trade(parent.token, **form)
    except OAuthRefused as refusal:
        event(refusal.error)
        return
    event("granted")
    claims = check(answer, form, client, principal, own)
    assert claims["aud"] <= set(own["audiences"])
    assert claims["exp"] <= parent.expires_at_s
    assert claims["exp"] - claims["iat"] <= client["access_ttl_s"]
    assert claims["ancestors"] == [parent.token_id]
    again = floor.trade(answer.access_token, resource=sorted(claims["aud"])) if NAME in claims["aud"] else None
    if again is not None:
        assert spread(again.scope.split(" ")) <= spread(answer.scope.split(" "))


@given(accounts(), st.none() | scopes, models, asked, st.booleans())
def test_a_token_of_another_issuer_is_traded_for_nothing_wider(
    both: tuple[dict[str, Any], dict[str, Any]],
    stated: set[str] | None,
    own_models: set[str] | None,
    form: dict[str, Any],
    as_assertion: bool,
) -> None:
    client, principal = both
    floor = floor_with(client, principal, f"ci/{JOB}")
    scope = None if stated is None else " ".join(stated)
    token = floor.job(scope=scope, models=None if own_models is None else list(own_models))
    try:
        if as_assertion:
            form = {name: value for name, value in form.items() if name != "audience"}
            answer = floor.present(token, **form)
        else:
            answer = floor.trade(token, subject_token_type=JWT_URN, **form)
    except OAuthRefused as refusal:
        event(refusal.error)
        return
    event("granted")
    bound = {"scopes": stated if stated is not None else principal["scopes"], "models": _ordered(own_models)}
    claims = check(answer, form, client, principal, bound)
    assert as_assertion or claims["aud"] == {NAME}
    assert claims["exp"] - claims["iat"] <= client["access_ttl_s"]
