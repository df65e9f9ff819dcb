"""What the preset `prompt-chain` makes of the variables of its system."""

import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import jotgate.presets
from jotgate.core.config_reader import parse
from jotgate.core.preset_entries import PromptChainEntry
from jotgate.core.presets import Preset, Tables
from jotgate.core.prompt_chain import Pages
from jotgate.core.prompt_chain_variables import read_prompt_chain

SECRET = secrets.token_urlsafe(64)
SHIPPED: Tables = tomllib.loads(Path(jotgate.presets.__path__[0], "prompt-chain.toml").read_text("utf-8"))


def preset_of(*, listen: str = "", secret_env: str = "JWT_SECRET_KEY", **variables: str) -> Preset:
    entry = PromptChainEntry(listen=listen, secret_env=secret_env)
    return read_prompt_chain({"JWT_SECRET_KEY": SECRET, **variables}, SHIPPED, entry)


def fault_of(**variables: str) -> tuple[str, str]:
    (fault,) = preset_of(**variables).faults
    return fault


def named(preset: Preset, array: str, name: str) -> Mapping[str, Any]:
    """A table of the preset's document."""
    listed: Any = preset.tables[array]
    return next(one for one in listed if one["name"] == name)


def limits_of(preset: Preset) -> dict[str, str]:
    listed: Any = preset.tables["quotas"]
    return {one["name"]: one["limit"] for one in listed}


def test_with_a_secret_alone_it_listens_here_and_takes_hs256() -> None:
    found = preset_of()
    assert (found.listen, found.faults, found.warnings) == (("127.0.0.1", 8000), (), ())
    assert found.tables["issuers"] == [
        {"name": "prompt-chain", "profile": "prompt-chain", "secret_env": "JWT_SECRET_KEY", "algorithms": ["HS256"]}
    ]
    assert found.secret_variables == {"JWT_SECRET_KEY": "prompt_chain.secret_env"}
    assert (found.rules.model, found.rules.body_bytes_max) == ("prompt-chaining", 1_048_576)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"JWT_SECRET_KEY": ""}, "JWT_SECRET_KEY is not set"),
        ({"JWT_SECRET_KEY": SECRET[:31]}, "less than 32 characters"),
        ({"JWT_SECRET_KEY": SECRET[:63], "JWT_ALGORITHM": "HS512"}, "secrets.token_urlsafe(64)"),
    ],
)
def test_without_a_secret_the_fault_says_what_to_set(variables: dict[str, str], said: str) -> None:
    name, fault = fault_of(**variables)
    assert name == "JWT_SECRET_KEY"
    assert fault.startswith("Authentication system misconfigured: ")
    assert said in fault
    assert SECRET[:31] not in fault
    assert "issuers" not in preset_of(**variables).tables, "the fault is said once"


def test_another_variable_may_hold_the_secret() -> None:
    found = preset_of(secret_env="CHAIN_SECRET", CHAIN_SECRET=SECRET)
    assert (found.faults, found.secret_variables) == ((), {"CHAIN_SECRET": "prompt_chain.secret_env"})
    ((name, fault),) = preset_of(secret_env="CHAIN_SECRET").faults
    assert (name, "CHAIN_SECRET is not set" in fault) == ("CHAIN_SECRET", True)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "hs384"])
def test_the_algorithm_is_the_one_that_is_set(algorithm: str) -> None:
    assert named(preset_of(JWT_ALGORITHM=algorithm), "issuers", "prompt-chain")["algorithms"] == [algorithm.upper()]


def test_another_algorithm_is_a_fault() -> None:
    assert fault_of(JWT_ALGORITHM="RS256") == (
        "JWT_ALGORITHM",
        "is 'RS256', and must be HS256 or HS384 or HS512: tokens here have a shared secret",
    )


@pytest.mark.parametrize(
    "secret", ["my-test-secret-key-32-characters!", "your_jwt_secret_key_here_minimum_32_characters"]
)
def test_a_secret_that_everybody_knows_is_none_where_others_reach_it(secret: str) -> None:
    assert preset_of(JWT_SECRET_KEY=secret).faults == ()
    name, fault = fault_of(JWT_SECRET_KEY=secret, API_HOST="10.0.0.7")
    assert (name, secret in fault) == ("JWT_SECRET_KEY", False)
    assert fault.startswith("Authentication system misconfigured: ")


def test_host_and_port_are_the_systems_own_unless_a_setting_says_otherwise() -> None:
    assert preset_of(API_HOST="0.0.0.0", API_PORT="9000").listen == ("0.0.0.0", 9000)  # noqa: S104 - nothing is bound
    assert preset_of(API_PORT="9000", listen="127.0.0.1:7000").listen == ("127.0.0.1", 7000)
    assert fault_of(API_PORT="http")[0] == "API_PORT"


def test_weak_001_2_the_limits_of_the_variables_are_those_of_the_quotas() -> None:
    """The original never read them."""
    assert limits_of(preset_of()) == {
        "prompt-chain-chat": "10 requests/minute",
        "prompt-chain-models": "60 requests/minute",
        "prompt-chain-default": "100 requests/hour",
    }
    changed = preset_of(
        RATE_LIMIT_CHAT_COMPLETIONS="3/minute;9/hour", RATE_LIMIT_MODELS="1 per 2 hours", RATE_LIMIT_DEFAULT="5/day"
    )
    assert limits_of(changed) == {
        "prompt-chain-chat": "3 requests/minute",
        "prompt-chain-chat-2": "9 requests/hour",
        "prompt-chain-models": "1 requests/7200s",
        "prompt-chain-default": "5 requests/day",
    }
    assert limits_of(preset_of(RATE_LIMIT_ENABLED="false")) == {}
    assert {one["per"][0] for one in _quotas(changed)} == {"principal"}
    assert fault_of(RATE_LIMIT_MODELS="often")[0] == "RATE_LIMIT_MODELS"


def _quotas(preset: Preset) -> list[Mapping[str, Any]]:
    listed: Any = preset.tables["quotas"]
    return list(listed)


def test_without_a_key_the_preset_starts_and_says_what_does_nothing() -> None:
    (missing,) = preset_of().missing
    assert "ANTHROPIC_API_KEY is not set" in missing
    assert "asked to analyze, process and synthesize; set it" in missing
    assert "credential_env" not in named(preset_of(), "upstreams", "anthropic")
    keyed = preset_of(ANTHROPIC_API_KEY="sk-ant-1")
    assert keyed.missing == ()
    assert named(keyed, "upstreams", "anthropic")["credential_env"] == "ANTHROPIC_API_KEY"
    own = {f"CHAIN_{step}_MODEL": "echo" for step in ("ANALYZE", "PROCESS", "SYNTHESIZE")}
    assert preset_of(**own).missing == ()
    other = {"upstreams": [{"name": "anthropic", "base_url": "http://127.0.0.1:9000/v1"}]}
    assert read_prompt_chain({"JWT_SECRET_KEY": SECRET}, SHIPPED, PromptChainEntry(), other).missing == ()
    (some,) = preset_of(**{**own, "CHAIN_PROCESS_MODEL": "claude-sonnet-4-5"}).missing
    assert "asked to process; set it, or have CHAIN_PROCESS_MODEL name" in some


def test_a_log_elsewhere_is_warned_of_and_its_own_is_named() -> None:
    (warning,) = preset_of(LOKI_URL="http://localhost:3100").warnings
    assert "JSON lines" in warning
    found = preset_of(LOG_LEVEL="CRITICAL", LOG_FORMAT="standard")
    assert found.tables["logs"] == {"level": "error", "format": "text"}
    assert preset_of().tables["logs"] == {}
    assert fault_of(LOG_FORMAT="xml")[0] == "LOG_FORMAT"


def pages(**variables: str) -> Pages:
    found = preset_of(**variables)
    assert found.faults == ()
    return found.rules.pages  # type: ignore[union-attr]


def test_weak_001_9_pages_of_every_origin_never_come_with_their_readers_credentials() -> None:
    variables = {"CORS_ORIGINS": '["*"]', "CORS_ALLOW_CREDENTIALS": "true", "CORS_ALLOW_METHODS": '["*"]'}
    found = pages(**variables)
    assert (found.origins, found.credentials, found.methods) == (("*",), False, ("GET", "HEAD", "POST"))
    (warning,) = preset_of(**variables).warnings
    assert "name the origins" in warning


def test_pages_that_are_named_may_read_answers() -> None:
    assert pages() == Pages()
    found = pages(
        CORS_ORIGINS="https://app.example, http://localhost:5173",
        CORS_CREDENTIALS="true",
        CORS_METHODS="GET, DELETE",
        CORS_HEADERS="Authorization, Content-Type",
    )
    assert found == Pages(
        ("https://app.example", "http://localhost:5173"), True, ("GET",), ("Authorization", "Content-Type")
    )
    assert fault_of(CORS_ORIGINS="app.example")[0] == "CORS_ORIGINS"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MAX_REQUEST_BODY_SIZE", "1023"),
        ("MAX_REQUEST_BODY_SIZE", "10485761"),
        ("ENABLE_SECURITY_HEADERS", "maybe"),
        ("ENVIRONMENT", "moon"),
        ("SERVICE_MODEL_NAME", "a model"),
        ("RATE_LIMIT_ENABLED", "2"),
        ("CHAIN_PROCESS_TIMEOUT", "271"),
        ("CHAIN_MIN_CONFIDENCE_THRESHOLD", "1.1"),
        ("CIRCUIT_BREAKER_TIMEOUT", "9"),
        ("RETRY_MAX_ATTEMPTS", "11"),
        ("STREAMING_TIMEOUT", "0"),
    ],
)
def test_a_value_that_cannot_be_is_a_fault_of_its_variable(variable: str, text: str) -> None:
    assert fault_of(**{variable: text})[0] == variable


def test_the_body_limit_and_the_security_lines_are_set() -> None:
    rules: Any = preset_of(MAX_REQUEST_BODY_SIZE="2048", ENABLE_SECURITY_HEADERS="false").rules
    assert (rules.body_bytes_max, rules.security_lines) == (2048, False)


def test_the_preset_is_sound_as_settings() -> None:
    """All that it ships, and all that variables make of it, is read by the one reader of settings."""
    tables = dict(preset_of(ANTHROPIC_API_KEY="sk", RETRY_BACKOFF="0.5", LOG_LEVEL="DEBUG").tables)
    config = parse(tables)
    assert [one.name for one in config.upstreams] == ["anthropic"]
    assert config.logs.level == "debug"
