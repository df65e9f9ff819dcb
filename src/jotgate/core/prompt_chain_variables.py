"""Reads the variables of the prompt-chaining API (docs/systems/prompt-chain.md): what its preset makes of them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from jotgate.core.edge_checks import origin_fault
from jotgate.core.face_listeners import find_listen
from jotgate.core.faults import Fault, shown
from jotgate.core.guessing import guessable
from jotgate.core.listen_texts import is_loopback
from jotgate.core.preset_entries import PromptChainEntry
from jotgate.core.preset_variables import find_variable, read_choice, read_flag, read_list, read_whole
from jotgate.core.presets import Preset, Tables
from jotgate.core.prompt_chain import ANY_ORIGIN, PROMPT_CHAIN, Pages, PromptChainRules
from jotgate.core.prompt_chain_secret import (
    ALGORITHM,
    DEFAULT_ALGORITHM,
    MISCONFIGURED,
    algorithm_fault,
    make_secret,
    secret_fault,
)
from jotgate.core.prompt_chain_steps import (
    API_KEY,
    SERVICE_MODEL,
    UPSTREAM,
    Table,
    is_of_upstream,
    lay_over_chain,
    lay_over_upstream,
    models_of,
    warn_of_steps,
)
from jotgate.core.rate_texts import read_rates
from jotgate.core.values import Secret
from jotgate.errors import CommandError

_LISTEN: Final = ("127.0.0.1", 8000)
_NO_TABLES: Final[Tables] = {}
_BODY_BYTES: Final = (1_024, 10_485_760)
_LOG_FORMATS: Final = {"json": "json", "standard": "text"}
_LOG_LEVELS: Final = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "error"}
_ENVIRONMENTS: Final = ("development", "staging", "production", "test")
_MODEL: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LIMITS: Final = {
    "prompt-chain-chat": "RATE_LIMIT_CHAT_COMPLETIONS",
    "prompt-chain-models": "RATE_LIMIT_MODELS",
    "prompt-chain-default": "RATE_LIMIT_DEFAULT",
}
"""The variable of each quota of the preset, by its name."""


def read_prompt_chain(
    variables: Mapping[str, str], shipped: Tables, entry: PromptChainEntry, own: Tables = _NO_TABLES
) -> Preset:
    """What the preset comes to. `shipped` is its file, `own` the operator's document, `entry` what that says of it."""
    listening = find_listen(variables, ("API_HOST", "API_PORT"), _LISTEN, "prompt_chain.listen", entry.listen)
    faults: list[Fault] = list(listening.faults)
    algorithm = _find_algorithm(variables, faults)
    others_reach = not is_loopback(listening.address[0])
    sound = _check_secret(variables, entry.secret_env, algorithm, faults, others_reach=others_reach)
    model = _find_model(variables, faults)
    warnings = list(_warn(variables, faults))
    tables: dict[str, object] = {
        **shipped,
        "upstreams": _laid(shipped, "upstreams", UPSTREAM, lambda one: lay_over_upstream(one, variables, faults)),
        "chains": _laid(shipped, "chains", SERVICE_MODEL, lambda one: lay_over_chain(one, model, variables, faults)),
        "quotas": list(_quotas(shipped, variables, faults)),
        "logs": _logs(variables, faults),
    }
    if sound:
        tables["issuers"] = [
            {
                "name": PROMPT_CHAIN,
                "profile": PROMPT_CHAIN,
                "secret_env": entry.secret_env,
                "algorithms": [algorithm],
            }
        ]
    return Preset(
        name=PROMPT_CHAIN,
        listen=listening.address,
        listen_settings=listening.settings,
        rules=_rules(variables, model, faults, warnings),
        tables=tables,
        missing=tuple(_missing(variables, own)),
        faults=tuple(dict.fromkeys(faults)),
        warnings=tuple(warnings),
        secret_variables={entry.secret_env: "prompt_chain.secret_env"},
    )


def _find_algorithm(variables: Mapping[str, str], faults: list[Fault]) -> str:
    found = find_variable(variables, (ALGORITHM,))
    algorithm = found[1].upper() if found else DEFAULT_ALGORITHM
    if fault := algorithm_fault(algorithm):
        faults.append((ALGORITHM, fault.removeprefix(f"{ALGORITHM} ")))
        return DEFAULT_ALGORITHM
    return algorithm


def _check_secret(
    variables: Mapping[str, str], name: str, algorithm: str, faults: list[Fault], *, others_reach: bool
) -> bool:
    """Whether the secret is one. It is the only variable without which nothing starts: nobody could be let in."""
    secret = variables.get(name, "")
    fault = secret_fault(secret, algorithm, name)
    if not fault and others_reach and (reason := guessable(Secret(secret))):
        fault = f"{reason}, and others than this machine reach this preset; make one with: {make_secret(algorithm)}"
    if fault:
        faults.append((name, f"{MISCONFIGURED}: {fault}"))
    return not fault


def _find_model(variables: Mapping[str, str], faults: list[Fault]) -> str:
    found = find_variable(variables, ("SERVICE_MODEL_NAME",))
    if found is None:
        return SERVICE_MODEL
    if _MODEL.fullmatch(found[1]):
        return found[1]
    faults.append((found[0], f"is {shown(found[1])}, and must be 1 to 64 letters, digits, '.', '_' or '-'"))
    return SERVICE_MODEL


def _missing(variables: Mapping[str, str], own: Tables) -> Iterator[str]:
    """What is not set, and which steps do nothing without it; nothing where the operator has another such upstream."""
    if any(one.get("name") == UPSTREAM for one in _tables_of(own, "upstreams")):
        return
    steps = [step for step, model in models_of(variables).items() if is_of_upstream(model)]
    if steps and not find_variable(variables, (API_KEY,)):
        settings = _listed([f"CHAIN_{step.upper()}_MODEL" for step in steps])
        yield (
            f"{API_KEY} is not set, and models of Anthropic are asked to {_listed(steps)}; set it, or have {settings} "
            "name models of upstreams of your own"
        )


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _warn(variables: Mapping[str, str], faults: list[Fault]) -> Iterator[str]:
    read_choice(variables, ("ENVIRONMENT",), faults, _ENVIRONMENTS)
    if find_variable(variables, ("LOKI_URL",)):
        yield (
            "LOKI_URL is not used: jotgate sends its log nowhere; have an agent collect the JSON lines that it writes "
            "to its standard error (LOG_FORMAT=json)"
        )
    yield from warn_of_steps(variables, faults)


def _rules(variables: Mapping[str, str], model: str, faults: list[Fault], warnings: list[str]) -> PromptChainRules:
    usual = PromptChainRules()
    body_bytes = read_whole(variables, ("MAX_REQUEST_BODY_SIZE",), faults, *_BODY_BYTES)
    security_lines = read_flag(variables, ("ENABLE_SECURITY_HEADERS",), faults)
    return PromptChainRules(
        model=model,
        body_bytes_max=usual.body_bytes_max if body_bytes is None else body_bytes,
        security_lines=usual.security_lines if security_lines is None else security_lines,
        pages=_pages(variables, faults, warnings),
    )


def _pages(variables: Mapping[str, str], faults: list[Fault], warnings: list[str]) -> Pages:
    usual = Pages()
    origins = read_list(variables, ("CORS_ORIGINS",), faults) or ()
    credentials = read_flag(variables, ("CORS_ALLOW_CREDENTIALS", "CORS_CREDENTIALS"), faults) or False
    methods = read_list(variables, ("CORS_ALLOW_METHODS", "CORS_METHODS"), faults)
    names = read_list(variables, ("CORS_ALLOW_HEADERS", "CORS_HEADERS"), faults)
    if ANY_ORIGIN in origins and credentials:
        warnings.append(
            "CORS_ORIGINS lets pages of every origin read answers, so CORS_ALLOW_CREDENTIALS is not used: with it any "
            "page could speak as its reader; name the origins"
        )
    faults += [
        ("CORS_ORIGINS", f"holds {shown(one)}; {fault}")
        for one in origins
        if one != ANY_ORIGIN and (fault := origin_fault(one))
    ]
    return Pages(
        origins=(ANY_ORIGIN,) if ANY_ORIGIN in origins else origins,
        credentials=credentials and ANY_ORIGIN not in origins,
        methods=tuple(one for one in usual.methods if one in methods)
        if methods and "*" not in methods
        else usual.methods,
        names=None if names is None or "*" in names else names,
    )


def _quotas(shipped: Tables, variables: Mapping[str, str], faults: list[Fault]) -> Iterator[object]:
    """The quotas of the preset with the limits that variables say; none if they are switched off."""
    if read_flag(variables, ("RATE_LIMIT_ENABLED",), faults) is False:
        return
    for quota in _tables_of(shipped, "quotas"):
        variable = _LIMITS.get(str(quota.get("name")))
        found = find_variable(variables, (variable,)) if variable else None
        if found is None:
            yield quota
            continue
        try:
            limits = read_rates(found[1])
        except CommandError as error:
            faults.append((found[0], f"{error.message}; {error.hint}"))
            continue
        for number, limit in enumerate(limits):
            name = quota["name"] if number == 0 else f"{quota['name']}-{number + 1}"
            yield {**quota, "name": name, "limit": limit}


def _logs(variables: Mapping[str, str], faults: list[Fault]) -> Table:
    level = read_choice(variables, ("LOG_LEVEL",), faults, _LOG_LEVELS)
    form = read_choice(variables, ("LOG_FORMAT",), faults, _LOG_FORMATS)
    found = {"level": level and _LOG_LEVELS[level], "format": form and _LOG_FORMATS[form]}
    return {name: value for name, value in found.items() if value}


def _laid(shipped: Tables, array: str, name: str, change: Callable[[Table], Table]) -> list[Table]:
    return [change(one) if one.get("name") == name else one for one in _tables_of(shipped, array)]


def _tables_of(shipped: Tables, array: str) -> list[Table]:
    entries = shipped.get(array)
    return [one for one in (entries if isinstance(entries, list) else []) if isinstance(one, Mapping)]
