"""One token's consumer and credential at Kong: put, put again, taken away; what is not ours is never used."""

import pytest

from jotgate.core.kong_aims import consumer_id
from jotgate.core.kong_credentials import CredentialState, KongConsumer
from jotgate.errors import Code, KongConflict, KongRefused, KongUnavailable
from jotgate.testing.kong_values import KongFault
from tests.kong_stage import TAG, KongStage, kong_stage, make_row, secret_of
from tests.loops import on_loop

ANN = KongConsumer("ann", "sub of ann")


@on_loop
async def test_a_consumer_is_made_once_with_our_tag_in_its_groups_under_the_id_that_the_older_service_told() -> None:
    async with kong_stage() as stage:
        stage.settle(groups=["llm", "beta"])
        first = await stage.gate.put_consumer(ANN)
        again = await stage.gate.put_consumer(ANN)
        assert (first.created, again.created, first.consumer_id) == (True, False, again.consumer_id)
        assert first.consumer_id == consumer_id("ann") == "96f839ea-b06a-50c3-971d-f2203e64dede"
        (row,) = stage.kong.consumers
        assert (row["username"], row["custom_id"], row["tags"]) == ("ann", "sub of ann", [TAG])
        assert sorted(one["group"] for one in stage.kong.store.rows("acls")) == ["beta", "llm"]


@on_loop
async def test_a_consumer_of_others_is_refused_until_it_has_our_tag() -> None:
    async with kong_stage() as stage:
        theirs = stage.kong.add("consumers", username="ann")
        with pytest.raises(KongConflict, match="not jotgate's") as refused:
            await stage.gate.put_consumer(ANN)
        assert (refused.value.code, refused.value.status) == (Code.KONG_CONFLICT, 409)
        await stage.meddle("PATCH", f"/consumers/{theirs['id']}", tags=["theirs", TAG])
        placed = await stage.gate.put_consumer(ANN)
        assert (placed.consumer_id, placed.created) == (theirs["id"], False)
        assert stage.at_kong("consumers")[theirs["id"]]["custom_id"] == "sub of ann"
        with pytest.raises(KongConflict, match="another user's"):
            await stage.gate.put_consumer(KongConsumer("ann", "sub of another ann"))


@on_loop
async def test_a_name_that_is_anothers_id_does_not_lead_to_that_one() -> None:
    async with kong_stage() as stage:
        victim = await stage.gate.put_consumer(KongConsumer("victim", ""))
        placed = await stage.gate.put_consumer(KongConsumer(victim.consumer_id, ""))
        assert placed.consumer_id != victim.consumer_id
        assert placed.created


@on_loop
async def test_names_are_encoded_and_those_that_lead_elsewhere_are_refused() -> None:
    async with kong_stage() as stage:
        placed = await stage.gate.put_consumer(KongConsumer("a/../b?c#d e", ""))
        assert stage.at_kong("consumers")[placed.consumer_id]["username"] == "a/../b?c#d e"
        with pytest.raises(KongRefused, match="cannot be a name"):
            await stage.gate.put_consumer(KongConsumer("..", ""))


@on_loop
async def test_a_credential_is_put_and_put_again_and_deleted_and_deleted_again() -> None:
    async with kong_stage() as stage:
        row = await stage.mint("ann", "token")
        (found,) = stage.kong.credentials
        assert (found["id"], found["key"], found["secret"], found["tags"]) == (
            row.credential_id,
            row.key,
            secret_of(row).reveal(),
            [TAG],
        )
        await stage.gate.put_credential(row, secret_of(row))
        assert len(stage.kong.credentials) == 1
        await stage.gate.delete_credential(row.credential_id)
        await stage.gate.delete_credential(row.credential_id)
        assert stage.kong.credentials == []


@on_loop
async def test_a_key_of_another_credential_is_a_conflict_which_does_not_name_it() -> None:
    async with kong_stage() as stage:
        await stage.mint("ann", "token")
        placed = await stage.gate.put_consumer(KongConsumer("bob", ""))
        same = make_row("bob", "other", 1, key=make_row("ann", "token", 1).key, consumer_id=placed.consumer_id)
        with pytest.raises(KongConflict) as refused:
            await stage.gate.put_credential(same, secret_of(same))
        assert same.key not in refused.value.message


@on_loop
async def test_a_credential_whose_consumer_has_gone_is_refused() -> None:
    async with kong_stage() as stage:
        row = await stage.mint("ann", "token")
        await stage.meddle("DELETE", f"/consumers/{row.consumer_id}")
        with pytest.raises(KongRefused):
            await stage.gate.put_credential(row, secret_of(row))


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (KongFault(ill="status", status=500), KongUnavailable, "status 500"),
        (KongFault(ill="page", status=502), KongUnavailable, "status 502"),
        (KongFault(ill="page", status=404, method="PUT"), KongRefused, "status 404"),
        (KongFault(ill="page", status=301), KongRefused, "redirect"),
        (KongFault(ill="page", status=200), KongRefused, "not Kong's Admin API"),
        (KongFault(ill="malformed"), KongRefused, "not Kong's Admin API"),
        (KongFault(ill="drop", times=2), KongUnavailable, "cannot be reached"),
    ],
)
@on_loop
async def test_what_goes_wrong_is_told_in_our_words(fault: KongFault, kind: type[Exception], said: str) -> None:
    async with kong_stage() as stage:
        stage.kong.faults.append(fault)
        with pytest.raises(kind, match=said):
            await stage.gate.put_consumer(ANN)


@on_loop
async def test_an_admin_api_that_wants_a_credential_says_which_setting_it_is() -> None:
    async with kong_stage() as stage:
        stage.kong.admin_header = ("Kong-Admin-Token", "secret")
        with pytest.raises(KongRefused, match="wants a credential") as refused:
            await stage.gate.put_consumer(ANN)
        assert (refused.value.code, refused.value.status) == (Code.KONG_REFUSED, 502)
        assert "kong.token_env" in refused.value.hint


@on_loop
async def test_without_a_kong_nothing_is_put_anywhere() -> None:
    async with kong_stage() as stage:
        gate = type(stage.gate)(stage.web, lambda: None)
        with pytest.raises(KongUnavailable, match="no Kong"):
            await gate.delete_credential("one")


@on_loop
async def test_what_kong_is_to_be_rid_of_is_delivered_and_a_refusal_holds_up_no_other() -> None:
    async with kong_stage() as stage:
        rows = [await stage.mint("ann", f"token-{number}") for number in range(4)]
        ids = [row.credential_id for row in rows]
        stage.store.unwant_credentials(ids[:3], int(stage.clock.now_s()))
        stage.kong.faults.append(KongFault(ill="status", status=400, method="DELETE"))
        assert not await stage.delivery.deliver()
        assert len(stage.kong.credentials) == 2
        assert not await stage.delivery.deliver()
        assert [row["id"] for row in stage.kong.credentials] == [ids[3]]
        assert len(stage.store.pending_credentials(int(stage.clock.now_s()), 10)) == 0


@on_loop
async def test_what_was_being_minted_is_taken_back_after_its_time_and_cannot_be_handed_out_then() -> None:
    async with kong_stage() as stage:
        placed = await stage.gate.put_consumer(ANN)
        row = stage.want("ann", "token", state=CredentialState.WANTED, consumer_id=placed.consumer_id)
        await stage.gate.put_credential(row, secret_of(row))
        await stage.delivery.deliver()
        assert len(stage.kong.credentials) == 1
        stage.clock.advance(1_000)
        await stage.delivery.deliver()
        assert stage.kong.credentials == []
        assert stage.store.hold_credentials([row.credential_id], 1) == 0


@on_loop
async def test_a_kong_that_is_away_keeps_what_is_to_be_told_waiting() -> None:
    async with kong_stage() as stage:
        row = await stage.mint("ann", "token")
        stage.store.unwant_credentials([row.credential_id], 1)
        stage.kong.faults.append(KongFault(ill="status", status=503))
        with pytest.raises(KongUnavailable):
            await stage.delivery.deliver()
        assert len(stage.kong.credentials) == 1
        other = KongStage(stage.kong, stage.store)
        await other.delivery.deliver()
        assert stage.kong.credentials == []
        await other.web.close()
