"""What chains may not say, of themselves, of one another and of the models that their steps name."""

from collections.abc import Iterator, Mapping, Set
from typing import Final

from jotgate.core.chain_entries import ChainEntry, GateEntry, StepEntry
from jotgate.core.chain_prompts import INSTRUCTIONS, REQUEST, SCHEMA, check_prompt
from jotgate.core.config import ECHO, RouteEntry, UpstreamEntry
from jotgate.core.coze_checks import check_steps
from jotgate.core.faults import Fault, advice, shown
from jotgate.core.values import parse_duration_s

_TIMEOUT_MAX_S: Final = 86_400
_TAKEN: Final = frozenset({REQUEST, INSTRUCTIONS, SCHEMA})


def check_chains(
    chains: Mapping[str, ChainEntry], upstreams: Mapping[str, UpstreamEntry], routes: Mapping[str, RouteEntry]
) -> list[Fault]:
    """The faults of chains, by path, and of routes that name one beside something else."""
    faults: list[Fault] = []
    names = {ECHO: "the built-in upstream"} | {entry.name: path for path, entry in upstreams.items()}
    aliases = {ECHO} | {alias for entry in upstreams.values() for alias in entry.routes}
    plain = aliases | {one.alias for one in routes.values()}
    chained = {one.name for one in chains.values()}
    plain -= {one.alias for one in routes.values() if any(two.upstream in chained for two in one.attempts)}
    named = {two.upstream for one in routes.values() for two in one.attempts}
    for path, entry in chains.items():
        if entry.name in names:
            faults.append((f"{path}.name", f"is '{entry.name}', as {names[entry.name]} is; choose another name"))
        elif entry.name in plain and entry.name not in named:
            faults.append((f"{path}.name", f"is '{entry.name}', a model's name already; choose another name"))
        names.setdefault(entry.name, path)
        faults += _check_chain(path, entry, plain, {one for one in names if one not in chained})
    for path, route in routes.items():
        if len(route.attempts) > 1 and any(one.upstream in chained for one in route.attempts):
            faults.append((f"{path}.attempts", "names a chain beside other attempts; a chain stands alone in a route"))
    return faults + check_steps(chains, upstreams, routes)


def _check_chain(path: str, chain: ChainEntry, plain: Set[str], upstreams: Set[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for name in ("timeout", "backoff", "backoff_max"):
        if parse_duration_s(getattr(chain, name)) > _TIMEOUT_MAX_S:
            yield f"{path}.{name}", 'is longer than a day; write at most "24h"'
    for index, step in enumerate(chain.steps):
        place = f"{path}.steps[{index}]"
        if step.name in seen or step.name in _TAKEN:
            why = "stands twice" if step.name in seen else "is a place of prompts itself"
            yield f"{place}.name", f"is '{step.name}', which {why}; choose another name"
        seen.add(step.name)
        if step.upstream and step.upstream not in upstreams:
            known = advice(step.upstream, sorted(upstreams))
            yield f"{place}.upstream", f"is {shown(step.upstream)}, which no upstream is called; {known}"
        elif not step.upstream and step.model not in plain:
            known = advice(step.model, sorted(plain))
            yield f"{place}.model", f"is {shown(step.model)}, which no upstream and no route has; {known}"
        if parse_duration_s(step.timeout) > _TIMEOUT_MAX_S:
            yield f"{place}.timeout", 'is longer than a day; write at most "24h"'
        if step.stream and index < len(chain.steps) - 1:
            yield f"{place}.stream", "is true, and only the last step can be streamed; take it out"
        if step.stream and (step.schema is not None or step.gates):
            yield f"{place}.stream", "is true beside a schema or gates, which need the whole output; take one out"
        yield from _check_gates(place, step)


def _check_gates(place: str, step: StepEntry) -> Iterator[Fault]:
    for number, gate in enumerate(step.gates):
        path = f"{place}.gates[{number}]"
        if gate == GateEntry(member=gate.member):
            yield path, "demands nothing; write not_empty, at_least, at_most or one_of"
        if gate.member and step.schema is None:
            yield f"{path}.member", "stands in a step without a schema, whose output has no members; take it out"
        elif gate.member and step.schema is not None:
            first = gate.member.split(".")[0]
            if step.schema.members and first not in step.schema.members:
                known = advice(first, sorted(step.schema.members))
                yield f"{path}.member", f"is '{gate.member}', which the schema does not have; {known}"


def check_prompts(chains: Mapping[str, ChainEntry], prompts: Mapping[str, str]) -> list[Fault]:
    """The faults of prompts, by the path of the setting that names their file. What was not read has its own fault."""
    faults: list[Fault] = []
    for path, chain in chains.items():
        for index, step in enumerate(chain.steps):
            prompt = prompts.get(step.prompt_file)
            if prompt is None:
                continue
            before = {one.name: one.schema for one in chain.steps[:index]}
            found = check_prompt(prompt, before, structured=step.schema is not None)
            faults += [(f"{path}.steps[{index}].prompt_file", fault) for fault in found]
    return faults
