"""`[[chains]]` as values: what an operator says of models that are made of steps."""

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from jotgate.core.chain_schemas import Schema, SchemaFault, read_schema
from jotgate.core.chains import AsksFor
from jotgate.core.faults import Fault, shown
from jotgate.core.tables import read_table

STEPS_MAX: Final = 8

_Name = Annotated[str, Meta(description="1 to 64 letters, digits, '.', '_' or '-'", pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
_Model = Annotated[
    str, Meta(description="a model's name, 1 to 256 characters without spaces", pattern=r"^[!-~]{1,256}\Z")
]
_Span = Annotated[
    str, Meta(description='a duration in quotes, such as "90s" or "5m"', pattern=r"^[1-9][0-9]{0,8}[smhdw]\Z")
]
_Number = Annotated[float | None, Meta(description="a number")]


class GateEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of a step's `gates`: what its output must be, so that the chain goes on."""

    member: Annotated[
        str, Meta(description="a member's name in quotes, with dots where it lies deeper", max_length=256)
    ] = ""
    not_empty: Annotated[bool, Meta(description="true or false")] = False
    at_least: _Number = None
    at_most: _Number = None
    one_of: Annotated[tuple[str, ...], Meta(description='a list of texts, such as ["simple", "moderate"]')] = ()


class StepEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of a chain's `steps`. Without an `upstream` its `model` is one that callers know; with it, the upstream's."""

    name: Annotated[str, Meta(description="1 to 64 letters, digits or '_'", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z")]
    prompt_file: Annotated[str, Meta(description="a file's path in quotes", min_length=1, max_length=4096)]
    model: _Model
    upstream: Annotated[str, Meta(description="an upstream's name in quotes", max_length=64)] = ""
    max_tokens: Annotated[int, Meta(description="a whole number of tokens from 1 to 1000000", ge=1, le=1_000_000)] = (
        2_048
    )
    temperature: Annotated[Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="a number from 0 to 2")] = None
    timeout: _Span = "30s"
    schema: Annotated[Schema | None, Meta(description="a table: a JSON Schema of type object")] = None
    asks_for: Annotated[AsksFor, Meta(description='"json_schema", "json_object" or "prompt"')] = "json_schema"
    gates: Annotated[
        tuple[GateEntry, ...], Meta(description='a list of tables such as { member = "confidence", at_least = 0.5 }')
    ] = ()
    stream: Annotated[bool, Meta(description="true or false")] = False


class ChainEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[[chains]]`: a model that is made of steps, by its name."""

    name: _Name
    steps: Annotated[
        tuple[StepEntry, ...],
        Meta(description="1 to 8 tables, each headed [[chains.steps]]", min_length=1, max_length=8),
    ]
    timeout: _Span = "60s"
    tries: Annotated[int, Meta(description="a whole number from 1 to 10", ge=1, le=10)] = 3
    backoff: _Span = "1s"
    backoff_max: _Span = "30s"
    repair: Annotated[bool, Meta(description="true or false")] = True
    gates: Annotated[bool, Meta(description="true or false")] = True


def with_step(chain: ChainEntry, step: StepEntry) -> ChainEntry:
    """The chain with this step in place of the one that has its name."""
    return replace(chain, steps=tuple(step if one.name == step.name else one for one in chain.steps))


def read_chains(value: object, faults: list[Fault]) -> dict[str, ChainEntry]:
    """The sound entries by their path, such as `chains[0]`, in file order."""
    if not isinstance(value, list):
        faults.append(("chains", f"is {shown(value)}, and must be tables, each headed [[chains]]"))
        return {}
    entries: dict[str, ChainEntry] = {}
    for index, item in enumerate(value):
        path = f"chains[{index}]"
        before = len(faults)
        entry = read_table(ChainEntry, _with_steps(path, item, faults), path, faults)
        if entry is not None and len(faults) == before:
            entries[path] = entry
    return entries


def _with_steps(path: str, chain: object, faults: list[Fault]) -> object:
    """A chain's table with its steps read one by one, so that a fault names its own."""
    steps = chain.get("steps") if isinstance(chain, Mapping) else None
    if not isinstance(chain, Mapping) or not isinstance(steps, list):
        return chain
    found = []
    for index, one in enumerate(steps):
        place = f"{path}.steps[{index}]"
        found.append(read_table(StepEntry, _with_parts(place, one, faults), place, faults))
    # One that has faults stands for itself, so that the list is as long as it is.
    return {**chain, "steps": [one or StepEntry(name="_", prompt_file="", model="_") for one in found]}


def _with_parts(path: str, step: object, faults: list[Fault]) -> object:
    """A step's table with its schema and its gates read."""
    if not isinstance(step, Mapping):
        return step
    read: dict[str, object] = {}
    gates = step.get("gates")
    if isinstance(gates, list):
        found = [read_table(GateEntry, one, f"{path}.gates[{index}]", faults) for index, one in enumerate(gates)]
        read["gates"] = [one for one in found if one is not None]
    if "schema" in step:
        read["schema"] = _schema_of(f"{path}.schema", step["schema"], faults)
    return {**step, **read}


def _schema_of(path: str, value: object, faults: list[Fault]) -> Schema | None:
    try:
        found = read_schema(value)
    except SchemaFault as fault:
        faults.append((f"{path}{fault.where}", fault.what))
        return None
    if found.kind != "object":
        faults.append((f"{path}.type", 'must be "object": a step answers with one'))
    return found
