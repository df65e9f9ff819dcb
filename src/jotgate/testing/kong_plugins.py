"""The plugins that Kong's stand-in has: jwt, acl and rate-limiting, with the schemas of their configurations."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from jotgate.testing.kong_errors import ENTITY
from jotgate.testing.kong_fields import Field
from jotgate.testing.kong_values import Row

CONDITION: Final = "failed conditional validation given value of field '{}'"
AT_LEAST_ONE: Final = "at least one of these fields must be non-empty: {}"
ONLY_ONE: Final = "only one of these fields must be non-empty: {}"
PERIODS: Final = ("second", "minute", "hour", "day", "month", "year")
YEAR_S: Final = 31_536_000

_TEXT: Final = Field(kind="string")
_TEXTS: Final = Field(kind="set", elements=_TEXT)


class Plugin(Struct, frozen=True, kw_only=True):
    """A plugin: its place in the order (high comes first), its configuration, what must hold of it as a whole.

    `of_consumer`: it may be meant for one consumer.
    """

    priority: int
    config: Mapping[str, Field]
    checks: Callable[[Row], Row]
    validator: Callable[[Any], str] | None = None
    of_consumer: bool = True


def quoted(names: tuple[str, ...]) -> str:
    """Names of fields as Kong lists them."""
    return ", ".join(f"'{name}'" for name in names)


def condition(field: str, wrong: str, told: str) -> Row:
    """A field that must be something because of another one; names may be those of members of the configuration."""
    outer, _, inner = wrong.rpartition(".")
    return {ENTITY: [CONDITION.format(field)], **({outer: {inner: told}} if outer else {inner: told})}


def together(*found: Row) -> Row:
    """What several checks said, as one."""
    result: Row = {}
    for one in found:
        for name, told in one.items():
            before = result.get(name)
            if isinstance(before, list):
                result[name] = before + told
            elif isinstance(before, dict):
                result[name] = {**before, **told}
            else:
                result[name] = told
    return result


def _check_jwt(config: Row) -> Row:
    if (config["maximum_expiration"] or 0) > 0 and "exp" not in (config["claims_to_verify"] or ()):
        return condition("config.maximum_expiration", "config.claims_to_verify", "expected to contain: exp")
    return {}


def _check_acl(config: Row) -> Row:
    names = ("config.allow", "config.deny")
    given = [name for name in ("allow", "deny") if config[name]]
    found = [] if len(given) == 1 else [ONLY_ONE.format(quoted(names))]
    if not given:
        found.append(AT_LEAST_ONE.format(quoted(names)))
    return {ENTITY: found} if found else {}


def _check_rates(config: Row) -> Row:
    found: list[Row] = []
    if not any(config[period] for period in PERIODS):
        names = tuple(f"config.{period}" for period in PERIODS)
        found.append({ENTITY: [AT_LEAST_ONE.format(quoted(names))]})
    for way, needed in (("header", "header_name"), ("path", "path")):
        if config["limit_by"] == way and not config[needed]:
            found.append(condition("config.limit_by", f"config.{needed}", "required field missing"))
    if config["policy"] == "redis" and not (config["redis"] or {}).get("host"):
        found.append(condition("config.policy", "config.redis.host", "required field missing"))
    return together(*found)


def _wrong_order(config: Any) -> str:
    """What is wrong with limits of which the longer window allows less."""
    given = [(period, config[period]) for period in PERIODS if config[period] is not None]
    for place, (period, limit) in enumerate(given):
        for longer, most in given[place + 1 :]:
            if most < limit:
                return f"The limit for {longer}({most:.1f}) cannot be lower than the limit for {period}({limit:.1f})"
    return ""


PLUGINS: Final[Mapping[str, Plugin]] = {
    "jwt": Plugin(
        priority=1450,
        of_consumer=False,
        checks=_check_jwt,
        config={
            "uri_param_names": Field(kind="set", elements=_TEXT, default=("jwt",)),
            "cookie_names": Field(kind="set", elements=_TEXT, default=()),
            "key_claim_name": Field(kind="string", default="iss"),
            "secret_is_base64": Field(kind="boolean", default=False, required=True),
            "claims_to_verify": Field(kind="set", elements=Field(kind="string", one_of=("exp", "nbf"))),
            "anonymous": _TEXT,
            "run_on_preflight": Field(kind="boolean", default=True, required=True),
            "maximum_expiration": Field(kind="number", default=0, between=(0, YEAR_S)),
            "header_names": Field(kind="set", elements=_TEXT, default=("authorization",)),
            "realm": _TEXT,
        },
    ),
    "acl": Plugin(
        priority=950,
        of_consumer=False,
        checks=_check_acl,
        config={
            "allow": _TEXTS,
            "deny": _TEXTS,
            "hide_groups_header": Field(kind="boolean", default=False, required=True),
            "always_use_authenticated_groups": Field(kind="boolean", default=False, required=True),
        },
    ),
    "rate-limiting": Plugin(
        priority=910,
        checks=_check_rates,
        validator=_wrong_order,
        config={
            **{period: Field(kind="number", above=0) for period in PERIODS},
            "limit_by": Field(
                kind="string",
                default="consumer",
                one_of=("consumer", "credential", "ip", "service", "header", "path"),
            ),
            "header_name": _TEXT,
            "path": _TEXT,
            "policy": Field(kind="string", default="local", one_of=("local", "cluster", "redis")),
            "fault_tolerant": Field(kind="boolean", default=True, required=True),
            "redis": Field(
                kind="record",
                required=True,
                fields={
                    "host": _TEXT,
                    "port": Field(kind="integer", default=6379, between=(0, 65_535)),
                    "password": _TEXT,
                    "username": _TEXT,
                    "database": Field(kind="integer", default=0),
                    "timeout": Field(kind="integer", default=2000),
                    "ssl": Field(kind="boolean", default=False),
                    "ssl_verify": Field(kind="boolean", default=False),
                    "server_name": _TEXT,
                },
            ),
            "hide_client_headers": Field(kind="boolean", default=False, required=True),
            "error_code": Field(kind="number", default=429, above=0),
            "error_message": Field(kind="string", default="API rate limit exceeded"),
            "sync_rate": Field(kind="number", default=-1, required=True),
        },
    ),
}
