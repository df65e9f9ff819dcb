"""Short soaks: every disturbance a few times, under load. `make soak` runs the whole ones."""

import asyncio

import pytest

from bench.soak.__main__ import STORES
from bench.soak.campaign import KILLS, SMALL, run
from bench.soak.cut import GENERATIONS, LINES, MACHINES, TRIALS_SMALL, run_cuts, running_pair
from bench.soak.flood import FLOOD_SMALL, run_flood
from bench.soak.kong import KONG_SMALL, kong_rig, run_kong
from bench.soak.revocations import REVOCATIONS_SMALL, run_revocations, running_machines
from bench.soak.rig import running_rig
from bench.soak.socket_bounds import CUT_BOUND_S, MEMORY_BOUND_KIB, SOCKETS_SMALL, run_sockets, running_sockets
from bench.soak.trust import OUTAGES, OWN, THEIRS, run_trust
from bench.soak.trust_rig import running_trust
from tests.peers.oidc_provider import INSTALLED

needs_provider = pytest.mark.skipif(
    not INSTALLED.exists(), reason="NOT COVERED, a real OpenID Connect provider: npm could not install it (make setup)"
)


@pytest.mark.slow
@pytest.mark.parametrize("official", [False, pytest.param(True, marks=pytest.mark.peers)])
def test_no_good_request_fails_whatever_is_done_to_the_gateway(official: bool) -> None:
    """With the official SDK and curl among the clients, it runs with those tests that need real counterparts."""
    with running_rig() as rig:
        found = run(rig, SMALL, official=official)

    assert found.calm.failures == []
    assert found.done["reloads"] == SMALL.reloads
    assert found.done["workers stopped by SIGTERM"] == SMALL.stops
    assert found.done["new certificates"] == SMALL.swaps
    assert found.done[KILLS] == SMALL.kills
    assert len(found.calm.counts) == (7 if official else 4), "every kind of client was answered"
    assert found.waited > 0


@needs_provider
@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_no_good_token_is_refused_while_every_key_changes_and_the_provider_dies(store: str) -> None:
    sizes = STORES[store]
    with running_trust(postgresql=store == "PostgreSQL") as rig:
        found = run_trust(rig, sizes)

    assert found.account.faults == []
    assert found.done == {OWN: sizes.own, OUTAGES: sizes.outages, THEIRS: sizes.theirs}
    assert found.account.count("good, taken") > 0
    assert found.account.count("wrong, refused") > 0
    assert found.brought_first == 1


@needs_provider
@pytest.mark.slow
def test_unknown_keys_by_the_hundred_make_one_fetch_in_a_cooldown() -> None:
    """What good tokens notice of it is measured by `make soak` alone: a busy machine decides nothing here."""
    with running_trust(postgresql=False, refresh="10m") as rig:
        found = run_flood(rig, FLOOD_SMALL)

    assert found.refused == []
    assert sum(found.statuses.values()) == FLOOD_SMALL.rounds * FLOOD_SMALL.kids
    assert 0 < found.fetches <= found.allowed


@pytest.mark.slow
def test_what_is_revoked_at_one_machine_is_refused_by_both_workers_of_another() -> None:
    """Whether in time is measured by `make soak` alone."""
    with running_machines() as machines:
        found = asyncio.run(run_revocations(machines, REVOCATIONS_SMALL))

    assert found.faults == []
    assert len(found.there) == REVOCATIONS_SMALL


@pytest.mark.slow
def test_the_streams_of_a_token_and_of_what_was_narrowed_from_it_are_cut_on_two_machines() -> None:
    """Whether in time is measured by `make soak` alone; here they must be cut, and no other."""
    with running_pair() as pair:
        found = asyncio.run(run_cuts(pair, TRIALS_SMALL))

    assert found.faults == []
    assert len(found.after_s) == TRIALS_SMALL * len(GENERATIONS) * MACHINES * LINES


@pytest.mark.slow
def test_a_kong_that_fails_has_what_the_store_says_by_one_request_for_each_change() -> None:
    with kong_rig(KONG_SMALL) as rig:
        found = run_kong(rig, KONG_SMALL)

    assert found.faults == []
    assert found.first.faults > 0
    assert found.first.changes <= found.first.writes <= found.first.most
    assert found.second.writes == found.second.changes


@pytest.mark.slow
def test_idle_sockets_are_small_and_one_revocation_cuts_all_of_its_token() -> None:
    """What a frame is delayed by is measured by `make soak` alone: a busy machine decides nothing here."""
    with running_sockets() as rig:
        found = asyncio.run(run_sockets(rig, SOCKETS_SMALL))

    assert found.faults == []
    assert found.after_s <= CUT_BOUND_S
    assert found.kib <= MEMORY_BOUND_KIB
    assert {len(delays) for delays in found.delays_s.values()} == {SOCKETS_SMALL.events * SOCKETS_SMALL.rounds}
