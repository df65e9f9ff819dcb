"""Row F21: the leg towards Coze. Its assertion is exact, its key is told to nobody, and its tokens are kept apart."""

import asyncio
import json
from collections.abc import Iterable

import jwt as pyjwt
import pytest
from msgspec.structs import replace

from jotgate.core.coze_sessions import session_of
from jotgate.core.upstream_tokens import TokenFound, TokenLacking, digest_of
from jotgate.jose.keys import KeySet
from jotgate.upstreams.credentials import UpstreamTokens
from tests.callers import principal
from tests.loops import on_loop
from tests.token_keeping import KEY, SIGNING, KeeperStage, coze_grant, granted

ANN = principal(subject="ann")
PUBLIC = pyjwt.PyJWK(json.loads(KeySet([SIGNING.verification_key]).to_jwks())["keys"][0])
GRANT = replace(coze_grant(), audience="api.coze.com")


def assertions(stage: KeeperStage) -> list[str]:
    """Those that the token endpoint was shown, in their order."""
    shown = [one.authorization.reveal() for one in stage.endpoint.posts if one.authorization is not None]
    assert all(one.startswith("Bearer ") for one in shown)
    return [one.removeprefix("Bearer ") for one in shown]


async def need(worker: UpstreamTokens, session: str, refused: bytes = b"") -> TokenFound | TokenLacking:
    """What a call gets that needs the session's token."""
    found: asyncio.Future[TokenFound | TokenLacking] = asyncio.get_running_loop().create_future()
    worker.need("coze", session, found.set_result, refused)
    return await found


def digests(outcomes: Iterable[TokenFound | TokenLacking]) -> set[bytes]:
    found = [one.digest for one in outcomes if isinstance(one, TokenFound)]
    assert found
    return set(found)


@on_loop
async def test_F21_the_assertion_has_the_key_the_audience_the_session_and_a_name_that_is_used_once() -> None:
    stage = KeeperStage(GRANT)
    for session in ("one", "two"):
        await stage.keeper.renew("coze", session)
    names = set()
    for assertion, session in zip(assertions(stage), ("one", "two"), strict=True):
        assert pyjwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": "first"}
        claims = pyjwt.decode(
            assertion,
            PUBLIC,
            ["RS256"],
            audience="api.coze.com",
            options={"verify_exp": False, "verify_iat": False},
        )
        assert claims.keys() == {"iss", "aud", "iat", "exp", "jti", "session_name"}
        assert (claims["iss"], claims["aud"], claims["session_name"]) == ("1105", "api.coze.com", session)
        assert claims["iat"] == int(stage.clock.now_s())
        assert 0 < claims["exp"] - claims["iat"] <= 3_600
        assert len(claims["jti"]) >= 43, "32 random bytes"
        names.add(claims["jti"])
    assert len(names) == 2
    body = json.loads(stage.endpoint.posts[0].body.reveal())
    assert body == {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "duration_seconds": 900}


@on_loop
async def test_F21_neither_key_nor_assertion_nor_token_is_in_what_is_recorded_or_shown() -> None:
    stage = KeeperStage(GRANT)
    held = await stage.keeper.held("coze", "one")
    shown = b"".join(stage.log.lines).decode() + repr((GRANT, held, stage.keeper.standings(), stage.endpoint.posts))
    assert "PRIVATE" not in shown
    assert KEY.private_key.reveal().splitlines()[1] not in shown
    assert assertions(stage)[0] not in shown
    assert held.token.reveal() not in shown


def test_F21_a_label_names_a_session_below_its_caller_alone() -> None:
    bob, elsewhere = replace(ANN, subject="bob"), replace(ANN, issuer="https://other.example")
    tenant = replace(ANN, tenant="acme")
    names = {session_of(one, label) for one in (ANN, bob, elsewhere, tenant) for label in ("", "work")}
    assert len(names) == 8
    assert session_of(ANN, "work") == session_of(replace(ANN, token_id="other"), "work"), "it is the caller's"
    assert session_of(bob, session_of(ANN, "work")) not in names


@on_loop
async def test_F21_callers_at_once_make_one_exchange_for_each_session() -> None:
    stage = KeeperStage(GRANT)
    workers = [stage.worker() for _ in range(3)]
    sessions = [session_of(ANN, label) for label in ("one", "two")]
    asked = [need(worker, session) for worker in workers for session in sessions for _ in range(20)]
    assert len(digests(await asyncio.gather(*asked))) == len(sessions)
    assert len(stage.endpoint.posts) == len(sessions)


@pytest.mark.parametrize("life_s", [900, 86_399, 120, 45, 12])
@on_loop
async def test_F21_no_token_is_given_in_the_last_five_seconds_of_its_life(life_s: int) -> None:
    stage = KeeperStage(GRANT)
    stage.endpoint.default = lambda number: granted(f"czs_{number}", life_s)
    worker = stage.worker()
    first = await need(worker, "one")
    assert isinstance(first, TokenFound)
    assert stage.clock.now_s() + life_s - first.good_until_s >= 5
    stage.clock.advance(life_s - 5 + 0.1)
    assert digests([await need(worker, "one")]).isdisjoint({first.digest})


@on_loop
async def test_F21_a_refused_token_is_renewed_once_for_all_and_refusal_upon_refusal_comes_to_an_end() -> None:
    stage = KeeperStage(GRANT)
    workers = [stage.worker() for _ in range(3)]
    held = await stage.keeper.held("coze", "one")
    refused = digest_of(held.token)
    for _ in range(10):
        outcomes = await asyncio.gather(*(need(worker, "one", refused) for worker in workers for _ in range(20)))
        found = [one for one in outcomes if isinstance(one, TokenFound)]
        if not found:
            break
        assert (len(digests(found)), len(found)) == (1, len(outcomes)), "one renewal, which all get"
        (refused,) = digests(found)
    assert len(stage.endpoint.posts) <= 4, "nobody goes on renewing what is refused"
