"""Lays the variables of the prompt-chaining API over the chain, and over the upstream, that its preset brings."""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Final

from jotgate.core.faults import Fault
from jotgate.core.preset_variables import find_variable, read_flag, read_number, read_whole

UPSTREAM: Final = "anthropic"
API_KEY: Final = "ANTHROPIC_API_KEY"
STEPS: Final = ("analyze", "process", "synthesize")
SERVICE_MODEL: Final = "prompt-chaining"

_OF_UPSTREAM: Final = "claude"
_DEFAULT_MODEL: Final = "claude-haiku-4-5-20251001"
_JUDGED: Final = "process"
_CONFIDENCE: Final = "confidence"
_TIMEOUTS_S: Final = {"analyze": 15, "process": 30, "synthesize": 20}
_COORDINATION_S: Final = 45
_SYNTHESIS_S: Final = 30
_STREAMING_S: Final = 60
_TIMEOUT_MAX_S: Final = 270
_TOKENS_MAX: Final = 8_000

Table = Mapping[str, object]


def models_of(variables: Mapping[str, str]) -> dict[str, str]:
    """The model that each step asks, by the step's name."""
    found = {step: find_variable(variables, (f"CHAIN_{step.upper()}_MODEL",)) for step in STEPS}
    return {step: one[1] if one else _DEFAULT_MODEL for step, one in found.items()}


def is_of_upstream(model: str) -> bool:
    """Whether a model is asked of the preset's own upstream."""
    return model.startswith(_OF_UPSTREAM)


def lay_over_upstream(upstream: Table, variables: Mapping[str, str], faults: list[Fault]) -> Table:
    """The upstream with the models that steps ask of it, its key if there is one, and its circuit breaker."""
    models = sorted({model for model in models_of(variables).values() if is_of_upstream(model)} or {_DEFAULT_MODEL})
    changed: dict[str, object] = {"models": {_alias(model): model for model in models}}
    if find_variable(variables, (API_KEY,)):
        changed["credential_env"] = API_KEY
    failures = read_whole(variables, ("CIRCUIT_BREAKER_FAILURE_THRESHOLD",), faults, 1, 10)
    rest_s = read_whole(variables, ("CIRCUIT_BREAKER_TIMEOUT",), faults, 10, 300)
    if failures is not None:
        changed["breaker_failures"] = failures
    if rest_s is not None:
        changed["breaker_timeout"] = f"{rest_s}s"
    if read_flag(variables, ("CIRCUIT_BREAKER_ENABLED",), faults) is False:
        changed["breaker_failures"] = 0
    return {**upstream, **changed}


def lay_over_chain(chain: Table, name: str, variables: Mapping[str, str], faults: list[Fault]) -> Table:
    """The chain under this name, with what the variables say of its steps, gates, retries and times."""
    steps = chain.get("steps")
    timeouts_s = _timeouts(variables, faults)
    laid = [
        _lay_over_step(step, timeouts_s, variables, faults)
        for step in (steps if isinstance(steps, list) else [])
        if isinstance(step, Mapping)
    ]
    return {**chain, "name": name, "steps": laid, **dict(_whole_chain(variables, faults))}


def warn_of_steps(variables: Mapping[str, str], faults: list[Fault]) -> Iterator[str]:
    """What variables of the chain say that means nothing here."""
    if (trials := read_whole(variables, ("CIRCUIT_BREAKER_HALF_OPEN_ATTEMPTS",), faults, 1, 5)) and trials > 1:
        yield "CIRCUIT_BREAKER_HALF_OPEN_ATTEMPTS is not used: one call that succeeds closes the circuit breaker"
    if read_whole(variables, ("STREAMING_CHUNK_BUFFER",), faults, 0, 1_000):
        yield "STREAMING_CHUNK_BUFFER is not used: each piece of an answer goes out as it comes"


def _alias(model: str) -> str:
    """The name of a model of the preset's upstream that no upstream of one's own has by chance."""
    return f"{UPSTREAM}/{model}"


def _whole_chain(variables: Mapping[str, str], faults: list[Fault]) -> Iterator[tuple[str, object]]:
    streaming_s = read_whole(variables, ("STREAMING_TIMEOUT",), faults, 1, 300)
    yield "timeout", f"{streaming_s or _STREAMING_S}s"
    if tries := read_whole(variables, ("RETRY_MAX_ATTEMPTS",), faults, 1, 10):
        yield "tries", tries
    if backoff_s := read_number(variables, ("RETRY_EXPONENTIAL_MULTIPLIER", "RETRY_BACKOFF"), faults, 0.5, 5):
        yield "backoff", f"{ceil(backoff_s)}s"
    if backoff_max_s := read_whole(variables, ("RETRY_EXPONENTIAL_MAX", "RETRY_MAX"), faults, 5, 300):
        yield "backoff_max", f"{backoff_max_s}s"
    if read_flag(variables, ("CHAIN_ENABLE_VALIDATION",), faults) is False:
        yield "gates", False
    if read_flag(variables, ("CHAIN_STRICT_VALIDATION",), faults):
        yield "repair", False


def _timeouts(variables: Mapping[str, str], faults: list[Fault]) -> dict[str, int]:
    """How long each step may take: its own time, and no more than the time of the phase that it is in."""
    own = {
        step: read_whole(variables, (f"CHAIN_{step.upper()}_TIMEOUT",), faults, 1, _TIMEOUT_MAX_S) or default_s
        for step, default_s in _TIMEOUTS_S.items()
    }
    phase_s = read_whole(variables, ("WORKER_COORDINATION_TIMEOUT",), faults, 1, _TIMEOUT_MAX_S) or _COORDINATION_S
    last_s = read_whole(variables, ("SYNTHESIS_TIMEOUT",), faults, 1, _TIMEOUT_MAX_S) or _SYNTHESIS_S
    first_s = min(own["analyze"], phase_s)
    return {
        "analyze": first_s,
        "process": max(1, min(own["process"], phase_s - first_s)),
        "synthesize": min(own["synthesize"], last_s),
    }


def _lay_over_step(
    step: Table, timeouts_s: Mapping[str, int], variables: Mapping[str, str], faults: list[Fault]
) -> Table:
    name = step.get("name")
    if not isinstance(name, str) or name not in STEPS:
        return step
    stem = f"CHAIN_{name.upper()}"
    model = models_of(variables)[name]
    laid: dict[str, object] = {**step, "model": model, "timeout": f"{timeouts_s[name]}s"}
    if is_of_upstream(model):
        # That endpoint knows no `response_format`; the schema stands in the prompts.
        laid |= {"model": _alias(model), "asks_for": "prompt"}
    if tokens := read_whole(variables, (f"{stem}_MAX_TOKENS",), faults, 1, _TOKENS_MAX):
        laid["max_tokens"] = tokens
    temperature = read_number(variables, (f"{stem}_TEMPERATURE",), faults, 0, 2)
    if temperature is not None:
        laid["temperature"] = temperature
    threshold = read_number(variables, ("CHAIN_MIN_CONFIDENCE_THRESHOLD",), faults, 0, 1) if name == _JUDGED else None
    if threshold is not None and isinstance(gates := step.get("gates"), list):
        laid["gates"] = [_with_threshold(gate, threshold) for gate in gates]
    return laid


def _with_threshold(gate: object, threshold: float) -> object:
    if isinstance(gate, Mapping) and gate.get("member") == _CONFIDENCE:
        return {**gate, "at_least": threshold}
    return gate
