"""What operators order about Kong: one thing at a time, in the background when it takes long, and on record."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jotgate.core.claims import CLI_CLIENT_ID
from jotgate.core.kong_orders import KongExport, KongOrder
from jotgate.errors import AuditUnavailable, CommandError, KongUnavailable
from jotgate.services.kong_desk import KongDesk, KongMeans
from jotgate.services.recorder import Recorder
from jotgate.stores.access import DirectAccess
from jotgate.testing.kong_values import KongFault
from tests.kong_stage import KongStage, kong_stage, secret_of
from tests.loops import on_loop, until
from tests.token_keeping import FixedEntropy, MemoryLog

APPLY = KongOrder(action="apply")


class Office:
    """A desk on a stage, and what was recorded there."""

    def __init__(self, stage: KongStage, patience_s: float | None) -> None:
        self.stage = stage
        self.log = MemoryLog()
        recorder = Recorder(self.log, stage.clock)
        means = KongMeans(lambda: stage.aims, DirectAccess(stage.store), recorder, stage.clock, FixedEntropy())
        self.desk = KongDesk(means, stage.reconciler, stage.delivery, patience_s=patience_s)


@asynccontextmanager
async def office(patience_s: float | None = None) -> AsyncIterator[Office]:
    async with kong_stage() as stage:
        yield Office(stage, patience_s)


@on_loop
async def test_a_plan_is_told_and_done_and_recorded_and_nothing_is_recorded_where_nothing_was_done() -> None:
    async with office() as here:
        here.stage.want("ann", "laptop")
        planned = await here.desk.carry_out(KongOrder(action="plan"))
        assert [(one.verb, one.what, one.name) for one in planned.changes] == [
            ("create", "plugin", "jwt"),
            ("create", "consumer", "ann"),
            ("create", "credential", "ann/laptop"),
        ]
        done = await here.desk.carry_out(APPLY)
        assert (done.total, done.done, done.failed, done.left, done.running) == (3, 3, [], 0, False)
        details = {"created": 3, "updated": 0, "deleted": 0, "failed": 0, "left": 0}
        assert here.log.events() == [("kong.applied", CLI_CLIENT_ID, details)]
        await here.desk.carry_out(APPLY)
        assert len(here.log.events()) == 1


@on_loop
async def test_what_takes_long_goes_on_and_is_watched_and_nothing_else_is_begun_meanwhile() -> None:
    async with office(patience_s=0.01) as here:
        here.stage.want("ann", "laptop")
        here.stage.kong.faults.append(KongFault(ill="silence", method="PUT"))
        begun = await here.desk.carry_out(APPLY)
        assert begun.running
        with pytest.raises(CommandError, match="something is being done"):
            await here.desk.carry_out(APPLY)
        await here.desk.reconcile()
        assert here.stage.kong.count("PUT") == 1, "what recurs stands back"
        await here.desk.settle()
        await here.desk.settle()
        await here.desk.carry_out(APPLY)
        await until(lambda: len(here.stage.kong.credentials) == 1)


@on_loop
async def test_watching_what_a_control_before_has_begun_says_what_to_do() -> None:
    async with office() as here:
        with pytest.raises(CommandError, match="started again meanwhile") as refused:
            await here.desk.carry_out(KongOrder(action="watch"))
        assert "goes on with what is left" in refused.value.hint


@on_loop
async def test_what_recurs_leaves_plugins_alone() -> None:
    async with office() as here:
        here.stage.want("ann", "laptop")
        await here.desk.reconcile()
        assert (here.stage.kong.plugins, len(here.stage.kong.credentials)) == ([], 1)
        assert [(event, actor) for event, actor, _ in here.log.events()] == [("kong.applied", "control")]


@on_loop
async def test_what_cannot_be_recorded_is_not_done() -> None:
    async with office() as here:
        row = here.stage.want("ann", "laptop")
        here.log.full = True
        for order in (APPLY, KongOrder(action="migrate"), KongOrder(action="revoke", ids=(row.credential_id,))):
            with pytest.raises(AuditUnavailable):
                await here.desk.carry_out(order)
        assert here.stage.kong.changes == 0


@on_loop
async def test_a_kong_that_fails_is_told_with_what_was_left() -> None:
    async with office() as here:
        here.stage.want("ann", "laptop")
        here.stage.kong.faults.append(KongFault(ill="status", status=400, method="PUT", path="/consumers/", times=2))
        done = await here.desk.carry_out(APPLY)
        assert (done.done, [one.name for one in done.failed], done.left) == (1, ["ann"], 1)
        assert "status 400" in done.failed[0].fault
        here.stage.kong.faults.append(KongFault(ill="status", status=503, times=9))
        with pytest.raises(KongUnavailable):
            await here.desk.carry_out(KongOrder(action="plan"))


@on_loop
async def test_tokens_are_listed_without_secrets_and_revoked_by_their_ids() -> None:
    async with office() as here:
        row, other = [await here.stage.mint("ann", name) for name in ("laptop", "phone")]
        listed = await here.desk.carry_out(KongOrder(action="list"))
        assert {one.token_name for one in listed.tokens} == {"laptop", "phone"}
        assert secret_of(row).reveal() not in repr(listed)
        assert row.key not in repr(listed)
        done = await here.desk.carry_out(KongOrder(action="revoke", ids=(row.credential_id,)))
        assert (done.done, done.left) == (1, 0)
        assert [one["id"] for one in here.stage.kong.credentials] == [other.credential_id]
        assert here.log.events()[-1][0] == "kong.token_revoked"
        for ids in ((), (row.credential_id,), ("nobody's",)):
            with pytest.raises(CommandError):
                await here.desk.carry_out(KongOrder(action="revoke", ids=ids))


@on_loop
async def test_a_token_is_revoked_while_kong_is_away_and_deleted_there_later() -> None:
    async with office() as here:
        row = await here.stage.mint("ann", "laptop")
        here.stage.kong.faults.append(KongFault(ill="status", status=503))
        done = await here.desk.carry_out(KongOrder(action="revoke", ids=(row.credential_id,)))
        assert (done.done, done.left, "as soon as it answers" in done.notes[0]) == (0, 1, True)
        await here.stage.delivery.deliver()
        assert here.stage.kong.credentials == []


@on_loop
async def test_the_file_of_deck_is_recorded_and_its_text_is_shown_by_no_repr() -> None:
    async with office() as here:
        row = here.stage.want("ann", "laptop")
        found = await here.desk.export(KongExport())
        assert (found.consumers, found.credentials, secret_of(row).reveal() in found.text) == (1, 1, True)
        assert secret_of(row).reveal() not in repr(found)
        assert here.log.events() == [("kong.exported", CLI_CLIENT_ID, {"credentials": 1, "secrets": "yes"})]
        bare = await here.desk.export(KongExport(secrets=False))
        assert (bare.credentials, secret_of(row).reveal() in bare.text) == (0, False)


@on_loop
async def test_where_there_is_no_kong_everything_is_refused() -> None:
    async with office() as here:
        stage = here.stage
        means = KongMeans(
            lambda: None, DirectAccess(stage.store), Recorder(here.log, stage.clock), stage.clock, FixedEntropy()
        )
        desk = KongDesk(means, stage.reconciler, stage.delivery)
        await desk.reconcile()
        with pytest.raises(CommandError, match="no Kong is configured"):
            await desk.carry_out(APPLY)
        with pytest.raises(CommandError, match="no Kong is configured"):
            await desk.export(KongExport())


@on_loop
async def test_migration_is_told_first_and_recorded_when_it_is_done() -> None:
    async with office() as here:
        here.stage.kong.protect(key_claim_name="iss")
        consumer = here.stage.kong.add("consumers", username="ann")
        here.stage.kong.add("jwt_secrets", key="ann", consumer={"id": consumer["id"]})
        planned = await here.desk.carry_out(KongOrder(action="plan-migration"))
        assert (planned.total, planned.ending, here.stage.kong.changes) == (2, ["ann"], 0)
        done = await here.desk.carry_out(KongOrder(action="migrate"))
        assert (done.done, done.left) == (2, 0)
        assert [event for event, _, _ in here.log.events()] == ["kong.migrated"]
        placed = await here.stage.mint("ann", "new")
        assert placed.consumer_id == consumer["id"], "its user may have tokens now"


@on_loop
async def test_an_order_waits_for_what_recurs() -> None:
    async with office(patience_s=5.0) as here:
        here.stage.want("ann", "laptop")
        here.stage.kong.faults.append(KongFault(ill="slow", method="GET", span_s=0.05))
        recurring = asyncio.ensure_future(here.desk.reconcile())
        await until(lambda: bool(here.stage.kong.asks))
        done = await here.desk.carry_out(APPLY)
        await recurring
        assert (done.total, done.done) == (1, 1), "the plugin alone was left"
