"""Whatever is done to Kong and to the store, Kong has in the end what it is to have, and others what they had."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from jotgate.core.kong_aims import consumer_id
from jotgate.core.kong_credentials import CredentialState
from jotgate.errors import KongUnavailable
from jotgate.testing.kong_values import KongFault, Row
from tests.kong_stage import TAG, KongStage, kong_stage

OWNERS: Final = ("ann", "bob")
NAMES: Final = ("laptop", "phone", "robot")

_Deed = Callable[[KongStage, int], Awaitable[None]]


async def delete_credential(stage: KongStage, choice: int) -> None:
    for row in _chosen(stage.kong.credentials, choice):
        await stage.meddle("DELETE", f"/jwts/{row['id']}")


async def change_credential(stage: KongStage, choice: int) -> None:
    changes: list[dict[str, Any]] = [
        {"secret": "x"},
        {"algorithm": "HS384"},
        {"key": f"k{len(stage.kong.asks)}"},
        {"tags": ["x"]},
    ]
    for row in _chosen(stage.kong.credentials, choice):
        await stage.meddle("PATCH", f"/jwts/{row['id']}", **changes[choice % len(changes)])


async def delete_consumer(stage: KongStage, choice: int) -> None:
    await stage.meddle("DELETE", f"/consumers/{OWNERS[choice % 2]}")


async def change_consumer(stage: KongStage, choice: int) -> None:
    for row in _chosen(stage.kong.consumers, choice):
        await stage.meddle("PATCH", f"/consumers/{row['id']}", tags=["x"] if choice % 2 else [])


async def change_plugin(stage: KongStage, choice: int) -> None:
    loose = {"key_claim_name": "iss", "claims_to_verify": None, "maximum_expiration": 0}
    changes: list[dict[str, Any]] = [{"enabled": False}, {"config": loose}]
    for row in _chosen([one for one in stage.kong.plugins if one["name"] == "jwt"], choice):
        await stage.meddle("PATCH", f"/plugins/{row['id']}", **changes[choice % 2])


async def delete_plugin(stage: KongStage, choice: int) -> None:
    for row in _chosen(stage.kong.plugins, choice):
        await stage.meddle("DELETE", f"/plugins/{row['id']}")


async def leave_groups(stage: KongStage, choice: int) -> None:
    for row in _chosen(stage.kong.store.rows("acls"), choice):
        await stage.meddle("DELETE", f"/acls/{row['id']}")


async def end_token(stage: KongStage, choice: int) -> None:
    rows = [one for one in stage.store.credential_page("", 100) if one.state is CredentialState.HELD]
    if rows:
        stage.store.unwant_credentials([rows[choice % len(rows)].credential_id], 1)


async def mint_token(stage: KongStage, choice: int) -> None:
    stage.want(OWNERS[choice % 2], f"more-{len(stage.store.credential_page('', 100))}-{choice}")


async def other_settings(stage: KongStage, choice: int) -> None:
    wanted: list[dict[str, Any]] = [
        {},
        {"groups": ["a", "b"]},
        {"groups": ["b"], "allow_groups": ["b"]},
        {"service": "llm"},
    ]
    stage.settle(**wanted[choice % len(wanted)])


DEEDS: Final[tuple[_Deed, ...]] = (
    *(delete_credential, change_credential, delete_consumer, change_consumer, change_plugin, delete_plugin),
    *(leave_groups, end_token, mint_token, other_settings),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 11)), max_size=12),
    st.lists(st.integers(0, 11), max_size=3),
)
def test_kong_is_as_it_is_to_be_in_the_end(deeds: list[tuple[_Deed, int]], failing: list[int]) -> None:
    uvloop.run(_live(deeds, failing))


async def _live(deeds: list[tuple[_Deed, int]], failing: list[int]) -> None:
    async with kong_stage() as stage:
        theirs = [stage.kong.add("consumers", username="shop", tags=["shop"])]
        theirs += [stage.kong.add("jwt_secrets", key="shop", consumer={"id": theirs[0]["id"]}, tags=["shop"])]
        for owner in OWNERS:
            for name in NAMES:
                stage.want(owner, name)
        await stage.apply()
        for deed, choice in deeds:
            await deed(stage, choice)
        stage.kong.faults += [KongFault(ill="status", skip=skip, done=bool(skip % 2)) for skip in failing]
        with suppress(KongUnavailable):
            await stage.apply()
        stage.kong.faults.clear()
        await stage.apply()
        assert await stage.differences() == []
        rows = stage.store.credential_page("", 100)
        ours = {row["id"] for row in stage.kong.credentials if row["key"] != "shop"}
        assert ours == {one.credential_id for one in rows}, "what counts in the store counts there, and nothing else"
        consumers = {row["id"] for row in stage.kong.consumers} - {theirs[0]["id"]}
        assert {consumer_id(one.consumer) for one in rows} <= consumers <= set(map(consumer_id, OWNERS))
        assert [row for row in theirs if row not in (*stage.kong.consumers, *stage.kong.credentials)] == []


def _chosen(rows: list[Row], choice: int) -> list[Row]:
    ours = [row for row in rows if TAG in (row["tags"] or ()) or row.get("consumer")]
    ours = [row for row in ours if "shop" not in (row.get("tags") or ())]
    return [ours[choice % len(ours)]] if ours else []
