"""What presets may not say together: one address or one secret twice, or one that others reach in the clear."""

from collections.abc import Iterable, Mapping, Sequence

from jotgate.core.config import Config, IssuerEntry, Metrics, Server, Tls
from jotgate.core.coze_proxy import CozeProxyRules
from jotgate.core.faults import Fault
from jotgate.core.issuer_compiler import identities_of, iss_of, same_iss_fault
from jotgate.core.listen_texts import is_loopback, takes_from
from jotgate.core.presets import Preset


def check_presets(presets: Sequence[Preset], config: Config | None, issuers: Mapping[str, IssuerEntry]) -> list[Fault]:
    """The faults of presets alone, among themselves, and with the settings.

    `config` None: these have faults of their own, and addresses are not looked at. `issuers` are the sound entries by
    their path.
    """
    server = None if config is None else config.server
    faults = [fault for one in presets for fault in (*one.faults, *check_open(one, server))]
    faults += [*_check_secrets(presets), *_check_issuers(presets, issuers)]
    return (
        faults if config is None else [*faults, *_check_addresses(presets, config.server, config.tls, config.metrics)]
    )


def _check_issuers(presets: Sequence[Preset], issuers: Mapping[str, IssuerEntry]) -> list[Fault]:
    """The faults of issuers that are known as the one that a preset makes tokens for is."""
    owners = {
        known_as: f"the preset '{one.name}'"
        for one in presets
        for own in one.own_issuers
        for known_as in (own.name, *identities_of(own.issuer, own.name))
    }
    faults = []
    for path, entry in issuers.items():
        if entry.name in owners:
            faults.append((f"{path}.name", f"is '{entry.name}', as {owners[entry.name]} calls its own; choose another"))
        elif iss_of(entry) in owners:
            faults.append((f"{path}.issuer", same_iss_fault(iss_of(entry), owners[iss_of(entry)])))
    return faults


def _check_addresses(presets: Sequence[Preset], server: Server, tls: Tls, metrics: Metrics) -> list[Fault]:
    """The faults of the presets' addresses: each is its preset's alone, and none is reached by others in the clear."""
    taken = [("the gateway itself", (server.host, server.port), "server.port (--port)")]
    if metrics.address is not None:
        taken.append(("the figures", metrics.address, "metrics.listen"))
    faults: list[Fault] = []
    for one in presets:
        host, port = one.listen
        setting = one.listen_settings[1]
        for who, (other, used), theirs in taken:
            if port and port == used and (takes_from(host, other) or takes_from(other, host)):
                fault = (
                    f"has the preset '{one.name}' listen on port {port} of {host}, where {who} listens too; give one "
                    f"of them another port: {setting}, or {theirs}"
                )
                faults.append((setting, fault))
        taken.append((f"the preset '{one.name}'", one.listen, setting))
        if not (is_loopback(host) or tls.cert or server.behind_proxy):
            faults.append((one.listen_settings[0], _exposed(one)))
    return faults


def _exposed(preset: Preset) -> str:
    return (
        f"has the preset '{preset.name}' listen on '{preset.listen[0]}', which other machines can reach, and tokens "
        "would cross the network in the clear; write 127.0.0.1, or the paths of a certificate and its key to tls.cert "
        "and tls.key, or set server.behind_proxy (--behind-proxy) when only a proxy that speaks TLS can reach it"
    )


def check_open(preset: Preset, server: Server | None) -> list[Fault]:
    """The faults of a face that looks at no credential where others reach it: by its address, or by a proxy.

    `server` None: the settings have faults of their own, and what they say of proxies is not looked at.
    """
    host, rules = preset.listen[0], preset.rules
    if not isinstance(rules, CozeProxyRules) or not rules.open_local:
        return []
    faults: list[Fault] = []
    if not is_loopback(host):
        fault = (
            f"has the preset '{preset.name}' listen on '{host}', which other machines can reach, and with "
            "coze_proxy.open_local (--open-local) whoever reaches it may do everything; write 127.0.0.1, or leave "
            "--open-local out and give callers tokens"
        )
        faults.append((preset.listen_settings[0], fault))
    if server is not None and (server.behind_proxy or server.trusted_proxies):
        setting = "server.behind_proxy" if server.behind_proxy else "server.trusted_proxies"
        fault = (
            f"says that others reach this machine by a proxy, and at the preset '{preset.name}' with "
            "coze_proxy.open_local (--open-local) whoever reaches it may do everything; leave one of them out"
        )
        faults.append((setting, fault))
    return faults


def _check_secrets(presets: Iterable[Preset]) -> list[Fault]:
    """The faults of variables with a secret that two presets read: whoever holds it could speak at both."""
    owners: dict[str, str] = {}
    faults: list[Fault] = []
    for one in presets:
        for variable, setting in one.secret_variables.items():
            other = owners.setdefault(variable, one.name)
            if other != one.name:
                fault = (
                    f"is the secret of the presets '{other}' and '{one.name}', and whoever holds it could speak at "
                    f"both; name another variable for the second in {setting}"
                )
                faults.append((variable, fault))
    return faults
