"""What the settings want of Kong: where its Admin API is, the plugins and their places, groups and limits."""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import NAMESPACE_DNS, NAMESPACE_URL, uuid5

from msgspec import Struct

from jotgate.core.config import Config, seconds
from jotgate.core.kong_entries import RATE_WINDOWS, KongConsumerEntry, KongEntry, RateWindow
from jotgate.core.values import Secret

KEY_CLAIM: Final = "kid"
"""Where Kong finds the key of a token's credential; those of before had it in `iss`."""


class KongPlace(Struct, frozen=True):
    """Where the Admin API is, and what it is shown; `roots` are trusted in place of the machine's, as PEM."""

    url: str
    token_header: str = ""
    token: Secret | None = None
    roots: str = ""
    timeout_s: float = 5.0


class WantedPlugin(Struct, frozen=True):
    """A plugin as Kong is to have it: what `config` does not name is left as it is. `consumer` is a username."""

    name: str
    config: Mapping[str, object]
    consumer: str = ""


class KongAims(Struct, frozen=True, kw_only=True):
    """What Kong is to be. Plugins that are no consumer's stand on `service` or `route`, by name, or else globally.

    `groups` are those of a consumer that `own_groups` does not name. `named` are consumers that are to be there
    whether they have tokens or not.
    """

    place: KongPlace
    tag: str
    plugins: tuple[WantedPlugin, ...]
    service: str = ""
    route: str = ""
    groups: tuple[str, ...] = ()
    own_groups: Mapping[str, tuple[str, ...]] = {}
    named: tuple[str, ...] = ()
    reconcile_s: int = 0

    def groups_of(self, username: str) -> tuple[str, ...]:
        """The groups of a consumer."""
        return self.own_groups.get(username, self.groups)

    def plugin_id(self, plugin: WantedPlugin) -> str:
        """The id by which a plugin is made: the same each time, so that it is not made twice."""
        place = plugin.consumer or self.service or self.route
        kind = "consumer" if plugin.consumer else "service" if self.service else "route" if self.route else "global"
        return str(uuid5(NAMESPACE_URL, f"jotgate kong {self.tag} {plugin.name} {kind} {place}"))


def compile_kong(config: Config, token: Secret | None, roots: str) -> KongAims | None:
    """What sound settings want; None: there is no Kong. `token` and `roots` are what `[kong]` leads to."""
    entry = config.kong
    if not entry.admin_url:
        return None
    return KongAims(
        place=KongPlace(
            url=entry.admin_url.rstrip("/"),
            token_header=entry.token_header,
            token=token,
            roots=roots,
            timeout_s=float(seconds(entry.timeout)),
        ),
        tag=entry.tag,
        plugins=tuple(_plugins(entry, config.kong_consumers)),
        service=entry.service,
        route=entry.route,
        groups=entry.groups,
        own_groups={one.name: one.groups for one in config.kong_consumers if one.groups is not None},
        named=tuple(one.name for one in config.kong_consumers),
        reconcile_s=seconds(entry.reconcile),
    )


def consumer_id(username: str) -> str:
    """The id of a consumer that jotgate makes; the service that it takes the place of told this one, too."""
    return str(uuid5(NAMESPACE_DNS, username))


def jwt_config(entry: KongEntry) -> Mapping[str, object]:
    """The configuration of Kong's jwt plugin under which our tokens pass, and none without an end."""
    return {
        "uri_param_names": list(entry.uri_param_names),
        "cookie_names": list(entry.cookie_names),
        "key_claim_name": KEY_CLAIM,
        "secret_is_base64": True,
        "claims_to_verify": ["exp"],
        "anonymous": None,
        "run_on_preflight": entry.run_on_preflight,
        "maximum_expiration": seconds(entry.maximum_expiration),
        "header_names": list(entry.header_names),
    }


def _plugins(entry: KongEntry, consumers: Iterable[KongConsumerEntry]) -> Iterable[WantedPlugin]:
    if entry.jwt_plugin:
        yield WantedPlugin("jwt", jwt_config(entry))
    if entry.allow_groups:
        yield WantedPlugin("acl", {"allow": list(entry.allow_groups), "deny": None})
    if entry.rate_limits:
        yield WantedPlugin("rate-limiting", _rate_config(entry.rate_limits, entry.rate_policy))
    for one in consumers:
        if one.rate_limits:
            yield WantedPlugin("rate-limiting", _rate_config(one.rate_limits, entry.rate_policy), one.name)


def _rate_config(limits: Mapping[RateWindow, int], policy: str) -> Mapping[str, object]:
    return {
        **{window: limits.get(window) for window in RATE_WINDOWS},
        "limit_by": "consumer",
        "policy": policy,
    }
