"""What Kong is to have as a file of decK: for a Kong without a database, and for those who keep Kong in a repository.

It is YAML that every reader of YAML takes: names and values stand in double quotes as JSON has them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from jotgate.core.kong_aims import KongAims, WantedPlugin
from jotgate.core.kong_plan import WantedCredential, WantedKong

FORMAT_VERSION: Final = "3.0"


def write_deck(aims: KongAims, wanted: WantedKong, fill: Callable[[], str], *, secrets: bool = True) -> str:
    """The file. With `secrets`, those of symmetric credentials stand in it; without, these credentials do not.

    A credential with a public key has a secret too, since decK demands one, though Kong does not look at it: `fill`
    makes a new one that nobody knows.
    """
    by_owner: dict[str, list[Mapping[str, object]]] = {name: [] for name in (*aims.named, *wanted.consumers)}
    for one in wanted.credentials:
        if secrets or one.secret is None:
            by_owner[one.consumer].append(_credential(one, aims.tag, fill))
    document: dict[str, object] = {
        "_format_version": FORMAT_VERSION,
        "_info": {"select_tags": [aims.tag], "defaults": {}},
    }
    shared = [_plugin(one, aims) for one in aims.plugins if not one.consumer]
    own = {one.consumer: one for one in aims.plugins if one.consumer}
    if shared:
        document["plugins"] = shared
    document["consumers"] = [
        _consumer(name, aims, wanted.consumers.get(name, ""), credentials, own.get(name))
        for name, credentials in sorted(by_owner.items())
    ]
    return "".join(_lines(document, 0))


def _consumer(
    name: str,
    aims: KongAims,
    custom_id: str,
    credentials: Sequence[Mapping[str, object]],
    plugin: WantedPlugin | None,
) -> Mapping[str, object]:
    found: dict[str, object] = {"username": name}
    found |= {"custom_id": custom_id} if custom_id else {}
    found["tags"] = [aims.tag]
    found |= {"jwt_secrets": list(credentials)} if credentials else {}
    groups = aims.groups_of(name)
    found |= {"acls": [{"group": group, "tags": [aims.tag]} for group in groups]} if groups else {}
    found |= {"plugins": [_plugin(plugin, aims)]} if plugin is not None else {}
    return found


def _credential(credential: WantedCredential, tag: str, fill: Callable[[], str]) -> Mapping[str, object]:
    found: dict[str, object] = {"id": credential.credential_id, "key": credential.key}
    found["algorithm"] = credential.algorithm
    found["secret"] = fill() if credential.secret is None else credential.secret.reveal()
    if credential.public_key_pem is not None:
        found["rsa_public_key"] = credential.public_key_pem
    found["tags"] = [tag]
    return found


def _plugin(plugin: WantedPlugin, aims: KongAims) -> Mapping[str, object]:
    found: dict[str, object] = {"name": plugin.name, "config": plugin.config, "enabled": True, "tags": [aims.tag]}
    if not plugin.consumer:
        found |= {"service": aims.service} if aims.service else {}
        found |= {"route": aims.route} if aims.route else {}
    return found


def _lines(value: Mapping[str, object], depth: int) -> Iterator[str]:
    """A mapping in lines, two spaces deeper in each mapping and list."""
    indent = "  " * depth
    for name, member in value.items():
        if isinstance(member, Mapping) and member:
            yield f"{indent}{name}:\n"
            yield from _lines(member, depth + 1)
        elif isinstance(member, list) and member:
            yield f"{indent}{name}:\n"
            for item in member:
                yield from _item(item, depth)
        else:
            yield f"{indent}{name}: {_scalar(member)}\n"


def _item(item: object, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if not isinstance(item, Mapping):
        yield f"{indent}- {_scalar(item)}\n"
        return
    first, *rest = _lines(item, depth + 1)
    yield f"{indent}- {first.lstrip()}"
    yield from rest


def _scalar(value: object) -> str:
    return msgspec.json.encode(value).decode()
