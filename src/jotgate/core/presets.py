"""What a preset says, once the variables of its system are read: settings that a face is made of.

Each preset has a module that reads its variables (`core.prompt_chain_variables`, `core.api_gateway_variables`) and
makes a `Preset` of them, and a file of settings that comes with jotgate (`presets/NAME.toml`).
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.faces import Address, FaceRules
from jotgate.core.faults import Fault
from jotgate.core.issuers import Issuer
from jotgate.core.values import Secret

NAMED_TABLES: Final[Mapping[str, str]] = {
    "upstreams": "name",
    "routes": "alias",
    "chains": "name",
    "issuers": "name",
    "quotas": "name",
}
"""The arrays of tables that a preset may have, and which of their members names one table of each.

A table of the operator's `jotgate.toml` with that name stands in place of the preset's.
"""

Tables = Mapping[str, object]
"""A decoded document, as `jotgate.toml` is one: tables and arrays of tables by their names."""

_NO_TABLES: Final[Tables] = {}


class Preset(Struct, frozen=True, kw_only=True):
    """What a preset and the variables of its system come to.

    `listen_settings` says what decided the host and the port of `listen`: variables, or a setting. `tables` is a
    document as `jotgate.toml` is one. Of its arrays of tables (`NAMED_TABLES`), what stands in `issuers` and `routes`,
    and the models of what stands in `chains`, or in `upstreams` where there are no chains, is served by the face alone;
    `quotas` should name its issuer. Its single tables are defaults, which the operator's own settings go before.

    `own_issuers` are issuers whose tokens the face itself makes. The `jwks` and `key_ends` of one without are filled in
    when the snapshot is compiled, with those keys of this installation that fit its `algorithms`. `origins` are the web
    origins that may read answers. `missing` and `faults` are as for a `Face` and for settings: the first lets it start,
    the second does not; a fault's path is the name of a variable, or the path of a setting. `secret_variables` are
    those variables with a secret that it reads, each with the setting by which it can be given another name.
    `private_key`, in PEM, is what its tokens are signed with, where that is none of this installation's keys.
    """

    name: str
    listen: Address
    rules: FaceRules
    listen_settings: tuple[str, str]
    tables: Tables = _NO_TABLES
    own_issuers: tuple[Issuer, ...] = ()
    origins: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    secret_variables: Mapping[str, str] = {}
    private_key: Secret | None = None
