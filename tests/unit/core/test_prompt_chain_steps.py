"""The variables of the prompt-chaining API, laid over the chain and the upstream of its preset."""

from collections.abc import Mapping
from typing import Any

import pytest

from jotgate.core.faults import Fault
from jotgate.core.prompt_chain_steps import lay_over_chain, lay_over_upstream, models_of, warn_of_steps

CHAIN: Mapping[str, object] = {
    "name": "prompt-chaining",
    "steps": [
        {"name": "analyze", "prompt_file": "a.md", "model": "m", "gates": [{"member": "intent", "not_empty": True}]},
        {"name": "process", "prompt_file": "p.md", "model": "m", "gates": [{"member": "confidence", "at_least": 0.5}]},
        {"name": "extra", "prompt_file": "e.md", "model": "m"},
        {"name": "synthesize", "prompt_file": "s.md", "model": "m", "stream": True},
    ],
}
UPSTREAM: Mapping[str, object] = {"name": "anthropic", "models": ["x"], "breaker_failures": 3}


def laid(name: str = "prompt-chaining", **variables: str) -> Mapping[str, Any]:
    faults: list[Fault] = []
    found = lay_over_chain(CHAIN, name, variables, faults)
    assert faults == []
    return found


def steps(**variables: str) -> dict[str, Mapping[str, Any]]:
    return {one["name"]: one for one in laid(**variables)["steps"]}


def upstream(**variables: str) -> Mapping[str, Any]:
    faults: list[Fault] = []
    found = lay_over_upstream(UPSTREAM, variables, faults)
    assert faults == []
    return found


def test_each_step_has_the_model_the_bounds_and_the_time_that_its_variables_say() -> None:
    found = steps(
        CHAIN_ANALYZE_MODEL="echo",
        CHAIN_ANALYZE_MAX_TOKENS="99",
        CHAIN_ANALYZE_TEMPERATURE="0",
        CHAIN_ANALYZE_TIMEOUT="5",
        CHAIN_SYNTHESIZE_MODEL="small",
    )
    analyze = found["analyze"]
    assert (analyze["model"], analyze["max_tokens"], analyze["temperature"], analyze["timeout"]) == (
        "echo",
        99,
        0.0,
        "5s",
    )
    assert found["process"]["model"] == "anthropic/claude-haiku-4-5-20251001"
    assert found["process"]["asks_for"] == "prompt"
    assert (found["synthesize"]["model"], found["synthesize"]["stream"]) == ("small", True)
    assert found["extra"] == {"name": "extra", "prompt_file": "e.md", "model": "m"}


@pytest.mark.parametrize(
    ("variables", "times"),
    [
        ({}, ("15s", "30s", "20s")),
        ({"CHAIN_PROCESS_TIMEOUT": "100"}, ("15s", "30s", "20s")),
        ({"CHAIN_PROCESS_TIMEOUT": "100", "WORKER_COORDINATION_TIMEOUT": "200"}, ("15s", "100s", "20s")),
        ({"WORKER_COORDINATION_TIMEOUT": "10"}, ("10s", "1s", "20s")),
        ({"SYNTHESIS_TIMEOUT": "7"}, ("15s", "30s", "7s")),
    ],
)
def test_weak_001_3_each_step_has_its_time_and_no_more_than_that_of_its_phase(
    variables: dict[str, str], times: tuple[str, str, str]
) -> None:
    """The original never enforced any of them."""
    found = steps(**variables)
    assert tuple(found[name]["timeout"] for name in ("analyze", "process", "synthesize")) == times


def test_the_chain_has_the_name_the_retries_and_the_time_that_variables_say() -> None:
    found = laid(
        "my-model", RETRY_MAX_ATTEMPTS="5", RETRY_EXPONENTIAL_MULTIPLIER="1.5", RETRY_MAX="20", STREAMING_TIMEOUT="90"
    )
    assert (found["name"], found["tries"], found["backoff"], found["backoff_max"], found["timeout"]) == (
        "my-model", 5, "2s", "20s", "90s",
    )  # fmt: skip
    assert laid()["timeout"] == "60s"
    assert not {"tries", "backoff", "gates", "repair"} & laid().keys()


def test_weak_001_3_the_variables_of_validation_are_used() -> None:
    assert laid(CHAIN_ENABLE_VALIDATION="false")["gates"] is False
    assert laid(CHAIN_STRICT_VALIDATION="true")["repair"] is False
    found = steps(CHAIN_MIN_CONFIDENCE_THRESHOLD="0.8")
    assert found["process"]["gates"] == [{"member": "confidence", "at_least": 0.8}]
    assert found["analyze"]["gates"] == [{"member": "intent", "not_empty": True}]


def test_weak_001_3_the_circuit_breaker_is_that_of_the_upstream() -> None:
    """The original built one and never called it."""
    found = upstream(CIRCUIT_BREAKER_FAILURE_THRESHOLD="2", CIRCUIT_BREAKER_TIMEOUT="12")
    assert (found["breaker_failures"], found["breaker_timeout"]) == (2, "12s")
    assert upstream(CIRCUIT_BREAKER_ENABLED="false", CIRCUIT_BREAKER_FAILURE_THRESHOLD="2")["breaker_failures"] == 0


def test_the_upstream_carries_the_models_that_steps_ask_of_it_and_its_key() -> None:
    found = upstream(CHAIN_ANALYZE_MODEL="claude-a", CHAIN_PROCESS_MODEL="echo", ANTHROPIC_API_KEY="sk")
    assert found["credential_env"] == "ANTHROPIC_API_KEY"
    assert found["models"] == {
        "anthropic/claude-a": "claude-a",
        "anthropic/claude-haiku-4-5-20251001": "claude-haiku-4-5-20251001",
    }
    own = {f"CHAIN_{step}_MODEL": "echo" for step in ("ANALYZE", "PROCESS", "SYNTHESIZE")}
    assert list(upstream(**own)["models"]) == ["anthropic/claude-haiku-4-5-20251001"]
    assert models_of(own) == dict.fromkeys(("analyze", "process", "synthesize"), "echo")


def test_what_means_nothing_here_is_warned_of() -> None:
    faults: list[Fault] = []
    variables = {"CIRCUIT_BREAKER_HALF_OPEN_ATTEMPTS": "2", "STREAMING_CHUNK_BUFFER": "5"}
    assert [text.split()[0] for text in warn_of_steps(variables, faults)] == list(variables)
    assert list(warn_of_steps(dict.fromkeys(variables, "1") | {"STREAMING_CHUNK_BUFFER": "0"}, faults)) == []
    assert faults == []
