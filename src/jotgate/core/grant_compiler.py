"""The grants of a configuration: how control gets the tokens of its upstreams."""

from collections.abc import Iterable, Mapping

from jotgate.core.config import UpstreamEntry
from jotgate.core.oauth_checks import GrantSecrets, compile_grant
from jotgate.core.routes import Reach
from jotgate.core.token_grants import TokenGrant

_NO_SECRETS = GrantSecrets()


def compile_grants(
    upstreams: Iterable[UpstreamEntry], secrets: Mapping[str, GrantSecrets], reaches: Mapping[str, Reach]
) -> dict[str, TokenGrant]:
    """The grants of sound entries, by the upstream's name. A token endpoint is reached as its upstream is."""
    return {
        entry.name: compile_grant(
            entry.name,
            entry.oauth,
            entry.base_url,
            secrets.get(entry.name, _NO_SECRETS),
            coze=entry.kind == "coze",
            # Where a proxy or roots of its own are asked for, a missing reach is an error and never the direct way.
            reach=reaches[entry.name] if entry.proxy or entry.ca_file else Reach(),
        )
        for entry in upstreams
        if entry.oauth is not None
    }
