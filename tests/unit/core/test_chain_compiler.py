"""A chain becomes an upstream, a route and steps whose models are found; what it may use is known beforehand."""

from msgspec import structs

from jotgate.core.chain_bounds import bounds_of, spare_of
from jotgate.core.chains import Retries
from jotgate.core.quotas import Price
from tests.chaining import PROMPTS, SETTINGS, snapshot_of


def test_a_chain_is_an_upstream_and_a_route_of_its_name() -> None:
    snapshot = snapshot_of()
    (upstream,) = [one for one in snapshot.upstreams if one.kind == "chain"]
    assert (upstream.name, upstream.total_timeout_s, upstream.first_byte_timeout_s) == ("c", 60.0, 60.0)
    assert upstream.breaker.failures == 0
    (route,) = [one for one in snapshot.routes if one.alias == "c"]
    assert [one.upstream for one in route.attempts] == ["c"]


def test_a_route_that_names_the_chain_takes_the_place_of_its_own() -> None:
    mine = '\n[[routes]]\nalias = "mine"\nattempts = [{ upstream = "c" }]\nquota_spent = "finish"\n'
    routes = {one.alias: one for one in snapshot_of(SETTINGS + mine).routes}
    assert "c" not in routes
    assert routes["mine"].metering.quota_spent == "finish"
    assert routes["mine"].metering.hidden_output == 110 + 70


def test_steps_have_the_attempts_of_their_models_with_what_these_cost() -> None:
    (chain,) = snapshot_of().chains
    find, _, tell = chain.steps
    assert [(one.upstream, one.model) for one in find.attempts] == [("one", "real-m"), ("two", "other-m")]
    assert [(one.upstream, one.price) for one in tell.attempts] == [("one", Price(3_000_000, 15_000_000))]
    assert (find.prompt, find.timeout_s, find.max_tokens) == (PROMPTS["find.md"], 15, 50)
    assert chain.retries == Retries(3, 1, 30)
    assert (chain.repairs, chain.gated, tell.streamed) == (1, True, True)


def test_a_step_may_name_an_upstream_and_its_own_model() -> None:
    text = SETTINGS.replace('model = "n"\nmax', 'model = "any"\nupstream = "two"\nmax')
    (chain,) = snapshot_of(text).chains
    assert [(one.upstream, one.model, one.price) for one in chain.steps[2].attempts] == [("two", "any", None)]


def test_what_a_call_may_use_is_that_of_all_steps_and_its_price_the_dearest() -> None:
    (route,) = [one for one in snapshot_of().routes if one.alias == "c"]
    (chain,) = snapshot_of().chains
    bounds, spare = bounds_of(chain), spare_of(chain, 1_024)
    rules = route.metering
    # Each step once, and one of them once more.
    assert (rules.passes, rules.hidden_output, rules.output_ceiling) == (3 + 1, 50 + 60 + 70, 70)
    assert rules.hidden_input == sum(one.input_tokens for one in bounds) + spare.input_tokens
    assert route.attempts[0].price == Price(3_000_000, 15_000_000)


def test_a_chain_with_a_price_that_nobody_knows_has_none() -> None:
    text = SETTINGS.replace('[[prices]]\nmodel = "real-n"\ninput = 3\noutput = 15\n', "")
    (route,) = [one for one in snapshot_of(text).routes if one.alias == "c"]
    assert route.attempts[0].price is None


def test_other_routes_are_as_they_were() -> None:
    with_chain = {one.alias: one for one in snapshot_of().routes}
    without = {one.alias: one for one in snapshot_of(SETTINGS.partition("[[chains]]")[0]).routes}
    assert {alias: with_chain[alias] for alias in without} == without
    assert structs.asdict(with_chain["m"].metering)["passes"] == 1
