"""Kong is brought to what the store says: by one request for each change, again after whatever went wrong."""

import asyncio
from typing import Final

import pytest
from msgspec.structs import replace

from jotgate.core.kong_aims import consumer_id
from jotgate.core.kong_credentials import IN_FLIGHT_S, CredentialState, KongConsumer
from jotgate.errors import KongConflict, KongRefused, KongUnavailable
from jotgate.services.kong_applying import FAILURES_MAX
from jotgate.services.kong_reading import TRIES
from jotgate.testing.kong_told import DOCUMENT_CONFIG
from jotgate.testing.kong_values import KongFault
from tests.kong_stage import TAG, KongStage, kong_stage, secret_of
from tests.loops import on_loop, until

PEM: Final = (
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n"
)


def fill(stage: KongStage, consumers: int, each: int = 3) -> int:
    for owner in range(consumers):
        for number in range(each):
            stage.want(f"user-{owner}", f"token-{number}")
    return consumers * each


@on_loop
async def test_an_empty_kong_gets_everything_by_one_request_each_and_the_next_plan_is_empty() -> None:
    async with kong_stage() as stage:
        credentials = fill(stage, 20)
        applied = await stage.apply()
        asked = stage.asked_since(0)
        assert (len(applied.done), applied.failed, applied.left) == (1 + 20 + credentials, (), 0)
        assert (asked(""), asked("GET")) == (1 + 20 + credentials, 4), "one request a change, and one page of each list"
        assert {row["key"] for row in stage.kong.credentials} == {
            f"key-of-{one}" for one in stage.at_kong("jwt_secrets")
        }
        assert all(row["tags"] == [TAG] for row in (*stage.kong.credentials, *stage.kong.consumers))
        (plugin,) = stage.kong.plugins
        assert {name: plugin["config"][name] for name in DOCUMENT_CONFIG} == DOCUMENT_CONFIG
        assert await stage.differences() == []
        assert (await stage.apply()).done == ()


@on_loop
async def test_consumers_and_credentials_are_what_the_store_has() -> None:
    async with kong_stage() as stage:
        row = stage.want("john_doe", "my_token")
        pair = stage.want("john_doe", "other", algorithm="EdDSA", public_key_pem=PEM)
        await stage.apply()
        (consumer,) = stage.kong.consumers
        assert (consumer["id"], consumer["username"], consumer["custom_id"]) == (
            consumer_id("john_doe"),
            "john_doe",
            "sub of john_doe",
        )
        found = stage.at_kong("jwt_secrets")[row.credential_id]
        assert (found["secret"], found["algorithm"], found["consumer"]) == (
            secret_of(row).reveal(),
            "HS256",
            {"id": consumer["id"]},
        )
        other = stage.at_kong("jwt_secrets")[pair.credential_id]
        assert (other["rsa_public_key"].strip(), other["algorithm"]) == (PEM.strip(), "EdDSA")
        assert await stage.differences() == []


@on_loop
async def test_drift_is_found_and_mended_and_what_is_not_ours_stays_as_it_is() -> None:
    async with kong_stage() as stage:
        kept, other, gone = (stage.want("ann", name) for name in ("kept", "other", "gone"))
        stage.settle(groups=["llm"], allow_groups=["llm"], rate_limits={"minute": 60})
        await stage.apply()
        foreign = stage.kong.add("consumers", username="shop", tags=["shop"])
        stage.kong.add("jwt_secrets", key="shop", consumer={"id": foreign["id"]})
        stage.kong.add("acls", group="buyers", consumer={"id": foreign["id"]})
        plugins = {row["name"]: row["id"] for row in stage.kong.plugins}
        await stage.meddle("PATCH", f"/jwts/{kept.credential_id}", secret="somebody else's")
        await stage.meddle("PATCH", f"/jwts/{other.credential_id}", algorithm="HS512")
        await stage.meddle("DELETE", f"/jwts/{gone.credential_id}")
        loose = {"claims_to_verify": None, "maximum_expiration": 0}
        await stage.meddle("PATCH", f"/plugins/{plugins['jwt']}", enabled=False, config=loose)
        await stage.meddle("PATCH", f"/plugins/{plugins['rate-limiting']}", config={"minute": 1_000_000})
        assert sorted(await stage.differences()) == [
            "create credential ann/gone",
            "update credential ann/kept secret",
            "update credential ann/other algorithm",
            "update plugin jwt claims_to_verify, maximum_expiration, enabled",
            "update plugin rate-limiting minute",
        ]
        start = len(stage.kong.asks)
        await stage.apply()
        assert stage.asked_since(start)("") == 5
        assert await stage.differences() == []
        assert stage.at_kong("consumers")[foreign["id"]]["tags"] == ["shop"]
        assert [row["key"] for row in stage.kong.credentials if row["consumer"] == {"id": foreign["id"]}] == ["shop"]


@on_loop
async def test_a_run_that_meets_500s_and_silence_is_done_by_the_next_ones() -> None:
    async with kong_stage() as stage:
        changes = 1 + 20 + fill(stage, 20)
        bad = [
            KongFault(ill="status", status=500, method="PUT", path="/consumers", skip=n % 5, times=2) for n in range(9)
        ]
        lost = [KongFault(ill="drop", method="PUT", path="/consumers", skip=3, done=True) for _ in range(3)]
        stage.kong.faults += [*bad, *lost]
        runs, done, tries = 0, 0, 0
        while await stage.differences():
            runs += 1
            applied = await stage.apply()
            done += len(applied.done)
            tries += len(applied.failed) * TRIES
            assert runs < 10
        assert done == changes
        assert stage.kong.faults == []
        assert stage.asked_since(0)("") <= changes + 9 * 2 + 3, "no more than one for each change, and for each fault"
        assert len(stage.kong.credentials) == 60


@on_loop
async def test_a_kong_that_is_out_of_reach_is_asked_again_and_given_up() -> None:
    async with kong_stage() as stage:
        fill(stage, 20)
        await stage.kong.api.refuse()
        await stage.kong.api.hang_up()
        with pytest.raises(KongUnavailable):
            await stage.reconciler.plan(stage.aims)
        assert stage.paused, "it was tried again"


@on_loop
async def test_after_failures_in_a_row_the_rest_is_not_tried() -> None:
    async with kong_stage() as stage:
        fill(stage, 20)
        plan = await stage.reconciler.plan(stage.aims)
        stage.kong.faults.append(KongFault(ill="status", status=503, times=10_000))
        applied = await stage.reconciler.apply(plan, stage.begun)
        assert applied.done == ()
        assert FAILURES_MAX <= len(applied.failed) < FAILURES_MAX + 8
        assert len(applied.failed) + applied.left == len(plan.changes)
        assert {type(one.fault) for one in applied.failed} == {KongUnavailable}
        stage.kong.faults.clear()
        await stage.apply()
        assert await stage.differences() == []


@on_loop
async def test_a_run_that_is_killed_in_the_middle_is_finished_by_another_control_process() -> None:
    async with kong_stage() as stage:
        changes = 1 + 20 + fill(stage, 20)
        doomed = stage.want("user-0", "doomed")
        await stage.mint("user-0", "deleted")
        stage.store.unwant_credentials([doomed.credential_id], 1)
        stage.kong.faults.append(KongFault(ill="silence", method="PUT", path="/consumers", skip=30))
        running = asyncio.ensure_future(stage.apply())
        await until(lambda: not stage.kong.faults)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert 0 < len(stage.kong.credentials) < 61
        other = KongStage(stage.kong, stage.store)
        await other.apply()
        assert await other.differences() == []
        assert stage.asked_since(0)("") <= changes + 4 + 9, "at most those under way were asked twice"
        row = stage.store.kong_credential(doomed.credential_id)
        assert row is not None
        assert row.state is CredentialState.GONE
        await other.web.close()


@on_loop
async def test_what_is_unwanted_goes_first_and_what_was_cut_short_is_taken_back() -> None:
    async with kong_stage() as stage:
        deleted = await stage.mint("ann", "deleted")
        stage.store.unwant_credentials([deleted.credential_id], 1)
        never = stage.want("ann", "never put", state=CredentialState.WANTED)
        cut = stage.want("ann", "cut short", state=CredentialState.WANTED)
        placed = await stage.gate.put_consumer(KongConsumer("ann", "sub of ann"))
        assert not placed.created
        await stage.gate.put_credential(replace(cut, consumer_id=placed.consumer_id), secret_of(cut))
        in_flight = await stage.reconciler.plan(stage.aims)
        assert [one.credential_id for one in in_flight.changes if one.verb == "delete"] == [deleted.credential_id]
        assert in_flight.strangers == (), "what is being put there just now is let alone"
        stage.clock.advance(IN_FLIGHT_S + 1)
        applied = await stage.apply()
        assert [one.verb for one in applied.done][:3] == ["delete"] * 3
        states = [stage.store.kong_credential(one.credential_id) for one in (deleted, never, cut)]
        assert [one.state for one in states if one is not None] == [CredentialState.GONE] * 3
        assert stage.kong.credentials == []


@on_loop
async def test_a_deleted_token_goes_although_somebody_took_our_tag_off_its_credential() -> None:
    async with kong_stage() as stage:
        row = await stage.mint("ann", "token")
        await stage.meddle("PATCH", f"/jwts/{row.credential_id}", tags=["theirs"])
        stage.store.unwant_credentials([row.credential_id], 1)
        await stage.apply()
        assert stage.kong.credentials == []


@on_loop
async def test_a_token_that_is_deleted_while_its_credential_is_put_anew_does_not_come_back() -> None:
    async with kong_stage() as stage:
        row = await stage.mint("ann", "token")
        await stage.meddle("DELETE", f"/jwts/{row.credential_id}")
        plan = await stage.reconciler.plan(stage.aims)
        stage.store.unwant_credentials([row.credential_id], 1)
        stage.store.forsake_credentials([row.credential_id], 1)
        await stage.reconciler.apply(plan, stage.begun)
        assert stage.kong.credentials == []


@on_loop
async def test_a_credential_that_kong_has_again_is_deleted_and_one_that_nobody_knows_only_when_it_is_asked() -> None:
    async with kong_stage() as stage:
        row = await stage.mint("ann", "token")
        stage.store.unwant_credentials([row.credential_id], 1)
        stage.store.forsake_credentials([row.credential_id], 1)
        (consumer,) = stage.kong.consumers
        stage.kong.add("jwt_secrets", key="whose", consumer={"id": consumer["id"]}, tags=[TAG])
        plan = await stage.reconciler.plan(stage.aims)
        assert [one.credential_id for one in plan.changes if one.verb == "delete"] == [row.credential_id]
        assert len(plan.strangers) == 1
        await stage.apply()
        assert [one["key"] for one in stage.kong.credentials] == ["whose"]
        await stage.apply(prune=True)
        assert stage.kong.credentials == []


@on_loop
async def test_a_consumer_of_others_is_told_and_nothing_of_it_is_tried() -> None:
    async with kong_stage() as stage:
        stage.kong.add("consumers", username="ann")
        stage.want("ann", "token")
        stage.want("bob", "token")
        applied = await stage.apply()
        assert [(one.change.name, type(one.fault)) for one in applied.failed] == [("ann", KongConflict)]
        assert applied.left == 1
        assert [row["username"] for row in stage.kong.consumers if row["tags"] == [TAG]] == ["bob"]
        assert len(stage.kong.credentials) == 1


@on_loop
async def test_a_key_that_another_credential_has_is_told() -> None:
    async with kong_stage() as stage:
        foreign = stage.kong.add("consumers", username="shop")
        stage.kong.add("jwt_secrets", key="my_token", consumer={"id": foreign["id"]})
        stage.want("ann", "my_token", key="my_token")
        applied = await stage.apply()
        (failed,) = applied.failed
        assert isinstance(failed.fault, KongConflict)
        assert "my_token" not in failed.fault.message, "a key is half of a token"


@on_loop
async def test_pages_are_followed_to_their_end_and_read_from_the_beginning_when_they_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jotgate.core.kong_admin.PAGE_SIZE", 7)
    async with kong_stage() as stage:
        fill(stage, 10)
        await stage.apply()
        start = len(stage.kong.asks)
        assert await stage.differences() == []
        assert stage.asked_since(start)("GET") == 2 + 5 + 1 + 1
        plan = await stage.reconciler.plan(stage.aims)
        assert plan.changes == ()


@on_loop
async def test_a_kong_without_a_database_says_what_to_do_instead() -> None:
    async with kong_stage() as stage:
        stage.want("ann", "token")
        stage.kong.api.admin.declared = True
        applied = await stage.apply()
        assert {type(one.fault) for one in applied.failed} == {KongRefused}
        assert "jotgate kong export" in applied.failed[0].fault.hint


@on_loop
async def test_groups_and_limits_of_consumers_are_set_and_taken_away() -> None:
    async with kong_stage() as stage:
        stage.want("ann", "token")
        stage.settle(groups=["llm", "beta"], allow_groups=["llm"], rate_limits={"minute": 60, "day": 1000})
        await stage.apply()
        assert {row["name"] for row in stage.kong.plugins} == {"jwt", "acl", "rate-limiting"}
        assert sorted(row["group"] for row in stage.kong.store.rows("acls")) == ["beta", "llm"]
        stage.settle(groups=["llm"])
        first, *rest = await stage.differences()
        assert first == "delete group ann in beta"
        assert sorted(rest) == ["delete plugin acl", "delete plugin rate-limiting"]
        await stage.apply()
        assert {row["name"] for row in stage.kong.plugins} == {"jwt"}
        assert [row["group"] for row in stage.kong.store.rows("acls")] == ["llm"]
