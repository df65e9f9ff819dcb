"""Tokens for Kong: in the store before Kong has them, at Kong before anybody gets them, whatever is cut short."""

import asyncio
from base64 import b64decode, urlsafe_b64decode
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.kong_auth import OPERATOR, KongUser
from jotgate.core.kong_credentials import IN_FLIGHT_S, CredentialState
from jotgate.errors import (
    AuditUnavailable,
    IssuanceHeld,
    KongConflict,
    KongUnavailable,
    RecordExists,
    RecordMissing,
    RequestMalformed,
    StoreUnavailable,
)
from jotgate.jose.jwt import peek_unverified
from jotgate.services.kong_consumers import KongConsumers
from jotgate.services.kong_tokens import Handed
from jotgate.testing.kong_tokens import judged, read_token
from tests.kong_desk import desk
from tests.loops import on_loop

ANN: Final = KongUser(subject="sub-of-ann", name="ann")
BOB: Final = KongUser(subject="sub-of-bob", name="bob")


def claims_of(handed: Handed) -> tuple[dict[str, object], dict[str, object]]:
    return peek_unverified(handed.token.reveal().encode())


@on_loop
async def test_a_token_is_known_to_the_store_to_kong_and_to_its_user() -> None:
    async with desk() as found:
        handed = await found.tokens.make(ANN, "my_token", "for the notebook")
        row, now_s = handed.row, int(found.stage.clock.now_s())
        header, claims = claims_of(handed)
        assert header == {"alg": "HS256", "kid": row.key, "typ": "JWT"}
        assert claims == {"iss": "ann", "kid": row.key, "exp": now_s + 31_536_000 - 300, "iat": now_s}
        (at_kong,) = found.stage.kong.credentials
        assert (at_kong["id"], at_kong["key"], at_kong["algorithm"]) == (row.credential_id, row.key, "HS256")
        assert "my_token" not in row.key, "a name that somebody chooses is no key"
        (consumer,) = found.stage.kong.consumers
        assert (consumer["username"], consumer["custom_id"], consumer["id"]) == ("ann", ANN.subject, row.consumer_id)
        assert handed.consumer.created
        assert found.stage.store.kong_credential(row.credential_id) == row
        assert (row.state, row.description) == (CredentialState.HELD, "for the notebook")
        again = await found.tokens.make(ANN)
        assert (again.consumer.created, again.row.consumer_id) == (False, row.consumer_id)


@on_loop
async def test_a_secret_is_32_bytes_that_both_alphabets_of_base64_write_alike() -> None:
    """A library that decodes base64url, as Kong does for `secret_is_base64`, has the secret that signed."""
    async with desk() as found:
        handed = await found.tokens.make(ANN)
        secret = found.stage.kong.credentials[0]["secret"]
        octets = b64decode(secret, validate=True)
        assert (len(octets), urlsafe_b64decode(secret)) == (32, octets)
        assert judged(read_token(handed.token.reveal()), octets)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
@on_loop
async def test_of_a_key_pair_kong_has_the_public_half_and_nobody_the_other(algorithm: str) -> None:
    async with desk() as found:
        found.rules = replace(found.rules, algorithm=algorithm)
        first, second = await found.tokens.make(ANN), await found.tokens.make(ANN)
        rows = found.at_kong()
        assert [rows[one.row.key]["algorithm"] for one in (first, second)] == [algorithm] * 2
        keys = [rows[one.row.key]["rsa_public_key"] for one in (first, second)]
        assert keys == [first.row.public_key_pem, second.row.public_key_pem]
        assert keys[0] != keys[1], "each token has a pair of its own"
        assert all("PUBLIC KEY" in one and "PRIVATE" not in one for one in keys)
        assert (first.row.sealed, claims_of(first)[0]["alg"]) == (None, algorithm)
        assert judged(read_token(first.token.reveal()), keys[0].encode())
        assert not judged(read_token(first.token.reveal()), keys[1].encode())


@on_loop
async def test_names_are_those_of_the_document_and_a_taken_one_becomes_another_once() -> None:
    async with desk() as found:
        names = [(await found.tokens.make(ANN, auto=auto)).row.token_name for auto in (False, True)]
        assert names == ["ann_token_20270115_080000", "ann_auto_token_20270115_080000"]
        first = await found.tokens.make(ANN, "mine")
        second = await found.tokens.make(ANN, "mine")
        assert (first.row.token_name, second.row.token_name[:12]) == ("mine", "mine_080000_")
        assert len(second.row.token_name) == len("mine_080000_") + 8
        other = await found.tokens.make(BOB, "mine")
        assert other.row.token_name == "mine", "another user's names are others"
        assert found.counts.tokens == {"custom": 4, "auto": 1}


@on_loop
async def test_a_name_that_stays_taken_is_said_to_be() -> None:
    async with desk() as found:
        await found.tokens.make(ANN, "mine")
        taken = found.chance.given
        await found.tokens.make(ANN, "mine")
        found.chance.given = taken
        with pytest.raises(RecordExists, match="a token of this name is there already"):
            await found.tokens.make(ANN, "mine")
        assert found.states == ["held", "held"]


@on_loop
async def test_a_setting_has_the_names_as_keys_for_all_users() -> None:
    async with desk() as found:
        found.rules = replace(found.rules, key_is_name=True)
        first, second = await found.tokens.make(ANN, "mine"), await found.tokens.make(BOB, "mine")
        assert [one.row.key for one in (first, second)] == ["mine", second.row.token_name]
        assert second.row.token_name.startswith("mine_080000_")
        await found.stage.meddle("POST", "/consumers", username="old")
        await found.stage.meddle("POST", "/consumers/old/jwt", key="theirs", secret="s" * 32)
        third = await found.tokens.make(ANN, "theirs")
        assert third.row.key.startswith("theirs_080000_"), "Kong says that it is taken"
        assert sorted(found.states) == ["held", "held", "held", "unwanted"]


@on_loop
async def test_a_user_has_so_many_tokens_and_a_consumer_one_user() -> None:
    async with desk() as found:
        found.rules = replace(found.rules, tokens_max=2)
        await found.tokens.make(ANN)
        second = await found.tokens.make(ANN)
        with pytest.raises(RecordExists, match="'ann' has as many tokens as one may have"):
            await found.tokens.make(ANN)
        await found.tokens.delete(ANN, second.row.credential_id)
        await found.tokens.make(ANN)
        successor = KongUser(subject="sub-of-another", name="ann")
        with pytest.raises(KongConflict, match="another user's"):
            await found.tokens.make(successor)
        assert await found.tokens.held(successor) == []


@on_loop
async def test_a_service_has_a_consumer_that_no_user_gets() -> None:
    async with desk() as found:
        service = KongUser(subject=OPERATOR + "batch", name="batch")
        handed = await found.tokens.make(service, by=ANN.subject)
        assert found.counts.tokens == {"operator": 1}
        assert [one.actor for one in found.log.events] == [ANN.subject] * 2
        with pytest.raises(KongConflict):
            await found.tokens.make(KongUser(subject="sub-of-batch", name="batch"))
        with pytest.raises(RecordMissing):
            await found.tokens.delete(ANN, handed.row.credential_id)
        await found.tokens.delete(ANN, handed.row.credential_id, anybodys=True)
        assert found.at_kong() == {}


@pytest.mark.parametrize("ill", ["drop", "page"])
@pytest.mark.parametrize("skip", [0, 1], ids=["consumer", "credential"])
@on_loop
async def test_while_kong_is_out_of_reach_nobody_gets_a_token(ill: str, skip: int) -> None:
    async with desk() as found:
        await found.tokens.make(BOB)
        found.fail("PUT", skip, ill=ill, status=502)
        with pytest.raises(KongUnavailable):
            await found.tokens.make(ANN, "mine")
        found.stage.kong.faults.clear()
        assert sorted(found.states) == ["held", "unwanted"][: skip + 1]
        await found.stage.delivery.deliver()
        assert found.states == ["held"]
        assert await found.tokens.held(ANN) == []
        assert (await found.tokens.make(ANN, "mine")).row.token_name == "mine"


@on_loop
async def test_an_answer_that_is_lost_leaves_no_credential_whose_token_somebody_has() -> None:
    async with desk() as found:
        found.fail("PUT", 1, done=True)
        with pytest.raises(KongUnavailable):
            await found.tokens.make(ANN)
        assert len(found.at_kong()) == 1
        found.stage.kong.faults.clear()
        await found.stage.delivery.deliver()
        assert (found.at_kong(), found.states) == ({}, [])


@pytest.mark.parametrize("calls", [0, 1])
@on_loop
async def test_a_store_that_fails_leaves_no_token(calls: int) -> None:
    async with desk() as found:
        found.access.left = calls
        with pytest.raises(StoreUnavailable):
            await found.tokens.make(ANN)
        assert (len(found.at_kong()), found.states) == (calls, ["wanted"] * calls)
        found.stage.clock.advance(IN_FLIGHT_S + 1)
        await found.stage.delivery.deliver()
        assert (found.at_kong(), found.states) == ({}, [])


@on_loop
async def test_one_that_was_taken_back_meanwhile_is_not_handed_out() -> None:
    async with desk() as found:

        async def take_back() -> None:
            found.stage.clock.advance(IN_FLIGHT_S + 1)
            await found.stage.delivery.deliver()

        found.hooked.behind = take_back
        with pytest.raises(IssuanceHeld, match="taken back"):
            await found.tokens.make(ANN)
        assert (found.at_kong(), found.states) == ({}, [])


@on_loop
async def test_a_minter_that_goes_away_leaves_a_row_that_says_so() -> None:
    async with desk() as found:
        at_kong = asyncio.Event()

        async def hang() -> None:
            at_kong.set()
            await asyncio.Event().wait()

        found.hooked.behind = hang
        minting = asyncio.create_task(found.tokens.make(ANN))
        await at_kong.wait()
        minting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await minting
        assert found.states == ["wanted"]
        assert await found.tokens.held(ANN) == [], "nobody has it"
        found.stage.clock.advance(IN_FLIGHT_S + 1)
        await found.stage.delivery.deliver()
        assert (found.at_kong(), found.states) == ({}, [])


@on_loop
async def test_what_the_audit_log_does_not_take_is_not_handed_out() -> None:
    async with desk() as found:
        await found.tokens.make(ANN)

        async def fill() -> None:
            found.log.full = True

        found.hooked.behind = fill
        with pytest.raises(AuditUnavailable):
            await found.tokens.make(ANN)
        assert sorted(found.states) == ["held", "unwanted"]


@on_loop
async def test_a_listing_asks_nobody_but_the_store_and_has_all_that_are_held() -> None:
    async with desk() as found:
        for number in range(3):
            found.stage.clock.advance(1)
            await found.tokens.make(ANN, f"token-{number}")
        await found.tokens.make(BOB)
        asked = len(found.stage.kong.asks)
        listed = await found.tokens.held(ANN)
        assert [one.token_name for one in listed] == ["token-2", "token-1", "token-0"]
        assert len(found.stage.kong.asks) == asked
        renamed = KongUser(subject=ANN.subject, name="ann.smith")
        assert await found.tokens.held(renamed) == listed, "it goes by the subject"


@on_loop
async def test_a_listing_goes_on_beyond_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jotgate.services.kong_tokens._PAGE", 2)
    async with desk() as found:
        made = {(await found.tokens.make(ANN, f"token-{number}")).row.credential_id for number in range(5)}
        assert {one.credential_id for one in await found.tokens.held(ANN)} == made


@on_loop
async def test_a_deleted_token_is_gone_at_kong_and_its_secret_here() -> None:
    async with desk() as found:
        first, second = await found.tokens.make(ANN, "first"), await found.tokens.make(ANN, "second")
        assert (await found.tokens.delete(ANN, first.row.credential_id)).token_name == "first"
        assert (await found.tokens.delete_named(ANN, "second")).credential_id == second.row.credential_id
        assert (found.at_kong(), found.states, found.counts.deleted) == ({}, [], 2)
        kept = found.stage.store.kong_credential(first.row.credential_id)
        assert kept is not None
        assert kept.sealed is None
        events = [one.event for one in found.log.events]
        assert events == ["kong.consumer_created", *["kong.token_issued"] * 2, *["kong.token_deleted"] * 2]
        for wrong in (first.row.credential_id, "nobody's", "../consumers", "0" * 36):
            with pytest.raises(RecordMissing, match="Token not found"):
                await found.tokens.delete(ANN, wrong)
        with pytest.raises(RecordMissing, match="Token with name 'first' not found"):
            await found.tokens.delete_named(ANN, "first")


@on_loop
async def test_nobody_deletes_what_is_another_users() -> None:
    async with desk() as found:
        theirs = await found.tokens.make(BOB, "theirs")
        with pytest.raises(RecordMissing):
            await found.tokens.delete(ANN, theirs.row.credential_id)
        with pytest.raises(RecordMissing):
            await found.tokens.delete_named(ANN, "theirs")
        assert found.states == ["held"]


@on_loop
async def test_a_delete_that_kong_does_not_hear_of_is_tried_again() -> None:
    async with desk() as found:
        handed = await found.tokens.make(ANN)
        found.fail("DELETE")
        for _ in range(2):
            with pytest.raises(KongUnavailable):
                await found.tokens.delete(ANN, handed.row.credential_id)
        assert (found.states, len(found.at_kong()), found.counts.deleted) == (["unwanted"], 1, 1)
        found.stage.kong.faults.clear()
        await found.tokens.delete(ANN, handed.row.credential_id)
        assert (found.at_kong(), found.states) == ({}, [])


@on_loop
async def test_neither_log_nor_store_has_what_signs_or_opens() -> None:
    async with desk() as found:
        handed = await found.tokens.make(ANN, "mine")
        secret = found.stage.kong.credentials[0]["secret"]
        written = repr(found.log.lines) + repr(found.stage.store.credential_page("", 10)) + repr(handed)
        assert secret not in written
        assert handed.token.reveal() not in written
        (event,) = found.log.named("kong.token_issued")
        assert event.details == {
            "issuer": "casdoor",
            "consumer": "ann",
            "token_name": "mine",
            "credential": handed.row.credential_id,
            "algorithm": "HS256",
            "expires_at": handed.row.expires_at_s,
        }


@on_loop
async def test_consumers_come_page_by_page_without_credentials() -> None:
    async with desk() as found:
        await found.tokens.make(ANN)
        for number in range(3):
            await found.stage.meddle("POST", "/consumers", username=f"other-{number}")
        consumers = KongConsumers(found.stage.web, found.gate)
        page = await consumers.page("")
        assert {one.username for one in page.data} == {"ann", "other-0", "other-1", "other-2"}
        assert (page.next, page.offset) == (None, None)
        for wrong in ("no-such-page", "x" * 3_000, "a b\n"):
            with pytest.raises(RequestMalformed, match="'offset' is none that a page has named"):
                await consumers.page(wrong)
        assert found.counts.calls["consumers", "GET", "ok"] == 1
        assert found.counts.calls["jwt", "PUT", "ok"] == 1
