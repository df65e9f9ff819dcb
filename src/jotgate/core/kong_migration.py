"""Taking over what an older service made at Kong, in the order of its document: the plugin first, nothing deleted.

That service's first tokens said in `iss` which credential they go with, later ones in `kid`. Once the plugin looks at
`kid`, the former are refused; who has one gets a new one. Credentials stay as they are, and those of the latter go on.
"""

from collections.abc import Iterable

from msgspec import Struct

from jotgate.core.kong_admin import ask, segment
from jotgate.core.kong_aims import KEY_CLAIM, KongAims
from jotgate.core.kong_found import FoundConsumer, FoundKong
from jotgate.core.kong_plan import KongChange, change_plugin, plugins_at


class KongMigration(Struct, frozen=True):
    """What is to be done. `ending` are consumers whose tokens of the old form stop working; `notes` are for people."""

    changes: tuple[KongChange, ...]
    ending: tuple[str, ...]
    notes: tuple[str, ...]


def make_migration(aims: KongAims, found: FoundKong) -> KongMigration:
    """Put the plugin right and tag it, then tag the consumers that have credentials of it. `found` is all of Kong's."""
    changes: list[KongChange] = []
    notes: list[str] = []
    wanted = next((one for one in aims.plugins if one.name == "jwt"), None)
    for plugin in plugins_at(found, "jwt") if wanted is not None else []:
        assert wanted is not None, "only then is one looked for"
        changes += change_plugin(wanted, plugin, tags=() if aims.tag in plugin.tags else (aims.tag,))
    notes += [
        f"the jwt plugin {one.plugin_id} stands elsewhere than [kong] says, and looks at '{one.config.get(KEYS)}'; "
        "it is left as it is"
        for one in found.plugins
        if one.name == "jwt" and one not in plugins_at(found, "jwt") and one.config.get(KEYS) != KEY_CLAIM
    ]
    owners = {one.consumer_id for one in found.credentials}
    changes += [
        _take_over(one, aims.tag) for one in found.consumers if one.consumer_id in owners and aims.tag not in one.tags
    ]
    looked_at = {plugin.config.get(KEYS) for plugin in plugins_at(found, "jwt")}
    ending = _keyed_by_issuer(found) if looked_at - {KEY_CLAIM} else ()
    return KongMigration(tuple(changes), tuple(ending), tuple(notes))


KEYS = "key_claim_name"
"""The setting of the plugin that says where the key of a token's credential is."""


def _take_over(consumer: FoundConsumer, tag: str) -> KongChange:
    return KongChange(
        phase=2,
        verb="update",
        what="consumer",
        name=consumer.username or consumer.consumer_id,
        why="tags",
        ask=ask("PATCH", f"/consumers/{segment(consumer.consumer_id)}", {"tags": [*consumer.tags, tag]}),
        consumer_id=consumer.consumer_id,
    )


def _keyed_by_issuer(found: FoundKong) -> Iterable[str]:
    """The consumers with a credential whose key is their name: tokens of the old form have that as `iss`."""
    names = {one.consumer_id: one.username for one in found.consumers}
    return sorted({one.key for one in found.credentials if names.get(one.consumer_id) == one.key})
