"""Chains as a worker knows them: models that are made of steps, each of them a call of another model.

Plain values, compiled by control (`core.chain_compiler`): prompts are texts here, and models are attempts at upstreams.
"""

from typing import Literal

from msgspec import Struct

from jotgate.core.chain_schemas import Schema
from jotgate.core.routes import Attempt

AsksFor = Literal["json_schema", "json_object", "prompt"]
"""How a step that wants JSON says so: in `response_format`, with its schema or without; or in its prompt alone."""


class Retries(Struct, frozen=True):
    """How often a step is tried, and how long is waited before it is tried again.

    That is `backoff_s`, doubled each time, at most `backoff_max_s`; or down to half of it, by chance.
    """

    tries: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 30.0


class Gate(Struct, frozen=True):
    """What a step's output must be, so that the chain goes on.

    `member` is one of a JSON output, with dots where it lies deeper; empty: the whole output.
    """

    member: str = ""
    not_empty: bool = False
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()


class ChainStep(Struct, frozen=True):
    """One step. `schema` None: its output is text. `timeout_s` is for all its tries together.

    `alias` is the model that was asked for, by which the turns of weighted attempts are counted.
    """

    name: str
    alias: str
    prompt: str
    attempts: tuple[Attempt, ...]
    timeout_s: float = 30.0
    max_tokens: int = 2_048
    temperature: float | None = None
    schema: Schema | None = None
    asks_for: AsksFor = "json_schema"
    gates: tuple[Gate, ...] = ()
    streamed: bool = False


class Chain(Struct, frozen=True):
    """A model made of steps. Only the last may be streamed; its output is the answer.

    `repairs` is how often an output that is not what its schema says is asked for again. Without `gated` no gate is
    looked at.
    """

    name: str
    steps: tuple[ChainStep, ...]
    timeout_s: float = 60.0
    repairs: int = 1
    gated: bool = True
    retries: Retries = Retries()
