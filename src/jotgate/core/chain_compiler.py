"""Turns `[[chains]]` into what workers know of them: upstreams of a kind of their own, their routes, their steps."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from jotgate.core.breakers import BreakerRules
from jotgate.core.chain_bounds import bounds_of, spare_of
from jotgate.core.chain_entries import ChainEntry, GateEntry, StepEntry
from jotgate.core.chains import Chain, ChainStep, Gate, Retries
from jotgate.core.price_entries import PriceFinder
from jotgate.core.prices import dearest
from jotgate.core.routes import Attempt, MeteringRules, Route, Upstream
from jotgate.core.values import parse_duration_s


def chain_upstream(entry: ChainEntry) -> Upstream:
    """A chain as an upstream. It has no breaker: the upstreams of its steps have theirs, and its time is its steps'."""
    timeout_s = float(parse_duration_s(entry.timeout))
    return Upstream(
        name=entry.name,
        kind="chain",
        first_byte_timeout_s=timeout_s,
        idle_timeout_s=timeout_s,
        total_timeout_s=timeout_s,
        breaker=BreakerRules(failures=0),
    )


def chain_routes(chains: Iterable[ChainEntry], named: Iterable[str]) -> list[Route]:
    """The routes of chains that no route names as its upstream: a chain's name is then its model's."""
    taken = frozenset(named)
    return [Route(one.name, (Attempt(one.name, one.name),)) for one in chains if one.name not in taken]


def compile_chain(
    entry: ChainEntry, routes: Mapping[str, Route], prompts: Mapping[str, str], find: PriceFinder
) -> Chain:
    """A chain with its steps' models found. `routes` are those of plain models, `prompts` the texts of prompt files."""
    return Chain(
        name=entry.name,
        steps=tuple(_step(one, routes, prompts.get(one.prompt_file, ""), find) for one in entry.steps),
        timeout_s=parse_duration_s(entry.timeout),
        repairs=int(entry.repair),
        gated=entry.gates,
        retries=Retries(entry.tries, parse_duration_s(entry.backoff), parse_duration_s(entry.backoff_max)),
    )


def _step(entry: StepEntry, routes: Mapping[str, Route], prompt: str, find: PriceFinder) -> ChainStep:
    attempts = (Attempt(entry.upstream, entry.model),) if entry.upstream else routes[entry.model].attempts
    return ChainStep(
        name=entry.name,
        alias=entry.model,
        prompt=prompt,
        attempts=tuple(replace(one, price=find(one.upstream, one.model)) for one in attempts),
        timeout_s=parse_duration_s(entry.timeout),
        max_tokens=entry.max_tokens,
        temperature=entry.temperature,
        schema=entry.schema,
        asks_for=entry.asks_for,
        gates=tuple(map(_gate, entry.gates)),
        streamed=entry.stream,
    )


def _gate(entry: GateEntry) -> Gate:
    return Gate(entry.member, entry.not_empty, entry.at_least, entry.at_most, entry.one_of)


def route_by_chains(route: Route, chains: Mapping[str, Chain]) -> Route:
    """A route as it is where its upstream is a chain: what its calls may use, and what that costs at most."""
    first = route.attempts[0]
    chain = chains.get(first.upstream)
    if chain is None:
        return route
    price = dearest(one.price for step in chain.steps for one in step.attempts)
    return replace(route, attempts=(replace(first, price=price),), metering=_metering(route.metering, chain))


def _metering(rules: MeteringRules, chain: Chain) -> MeteringRules:
    """What a call may use: each of its steps once, and one of them once more."""
    bounds, spare = bounds_of(chain), spare_of(chain, rules.output_step)
    return replace(
        rules,
        output_ceiling=min(rules.output_ceiling, chain.steps[-1].max_tokens),
        passes=spare.passes + sum(one.passes for one in bounds),
        hidden_input=spare.input_tokens + sum(one.input_tokens for one in bounds),
        hidden_output=spare.output_tokens + sum(one.output_tokens for one in bounds[:-1]),
    )
