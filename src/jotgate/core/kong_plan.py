"""What has to be done at Kong so that it has what it is to have: the difference, as one request for each change.

Only what carries our tag is changed or deleted. What stands in the way and does not carry it is told, and left alone.
Nothing is deleted that Kong would take other things along with: consumers stay.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from jotgate.core.kong_admin import KongAsk, Method, ask, segment
from jotgate.core.kong_aims import KongAims, WantedPlugin, consumer_id
from jotgate.core.kong_found import FoundConsumer, FoundCredential, FoundKong, FoundPlugin
from jotgate.core.values import Secret

Phase = Literal[0, 1, 2, 3, 4]
"""What is taken away from somebody comes first; then plugins, consumers, what belongs to these; then what is over."""

_SYMMETRIC: Final = "HS"


class WantedCredential(Struct, frozen=True):
    """A credential that Kong is to have. `secret` is as Kong has it, of symmetric algorithms; `name` is for people."""

    credential_id: str
    key: str
    consumer: str
    algorithm: str
    public_key_pem: str | None
    secret: Secret | None
    name: str = ""


class WantedKong(Struct, frozen=True, kw_only=True):
    """What the store wants of Kong: consumers by username with their `custom_id`, and credentials.

    `unwanted` are ids of credentials that Kong is to be rid of; those `in_flight` are being put there just now.
    """

    consumers: Mapping[str, str]
    credentials: Sequence[WantedCredential]
    unwanted: frozenset[str] = frozenset()
    in_flight: frozenset[str] = frozenset()


class KongChange(Struct, frozen=True, kw_only=True):
    """One change. `name` and `why` are for people. What belongs to a consumer that cannot be made is not tried."""

    phase: Phase
    verb: Literal["create", "update", "delete"]
    what: Literal["plugin", "consumer", "credential", "group"]
    name: str
    why: str = ""
    ask: KongAsk
    consumer_id: str = ""
    credential_id: str = ""


class KongPlan(Struct, frozen=True, kw_only=True):
    """All changes, in their order.

    `strangers` are changes that delete credentials with our tag that no store of this installation knows.
    `notes` say what is in the way and is left alone.
    """

    changes: tuple[KongChange, ...] = ()
    strangers: tuple[KongChange, ...] = ()
    notes: tuple[str, ...] = ()


def make_plan(aims: KongAims, wanted: WantedKong, found: FoundKong, *, plugins: bool = True) -> KongPlan:
    """What is to be done. Without `plugins` those are left as they are."""
    ids = {one.username: one.consumer_id for one in found.consumers}
    usernames = {**dict.fromkeys(aims.named, ""), **wanted.consumers}
    places = {name: ids.get(name) or consumer_id(name) for name in usernames}
    changes: list[KongChange] = []
    notes: list[str] = []
    at_kong = {one.credential_id: one for one in found.credentials}
    names = {one.consumer_id: one.username for one in found.consumers}
    # Those that are not listed too: somebody may have taken our tag off, and they would go on to count.
    changes += [_delete(one, at_kong.get(one), names) for one in sorted(wanted.unwanted)]
    if plugins:
        changes += _plan_plugins(aims, found, places, notes)
    changes += _plan_consumers(aims, usernames, found.consumers, notes)
    changes += _plan_credentials(aims, wanted.credentials, at_kong, places)
    changes += _plan_groups(aims, places, found, names)
    known = {one.credential_id for one in wanted.credentials} | wanted.unwanted | wanted.in_flight
    return KongPlan(
        changes=tuple(sorted(changes, key=lambda change: change.phase)),
        strangers=tuple(
            _delete(one.credential_id, one, names, 4) for one in found.credentials if one.credential_id not in known
        ),
        notes=tuple(notes),
    )


def credential_body(credential: WantedCredential, tag: str) -> Mapping[str, object]:
    """What Kong is told of a credential."""
    body: dict[str, object] = {"key": credential.key, "algorithm": credential.algorithm, "tags": [tag]}
    if credential.secret is not None:
        body["secret"] = credential.secret.reveal()
    if credential.public_key_pem is not None:
        body["rsa_public_key"] = credential.public_key_pem
    return body


def put_credential(credential: WantedCredential, owner_id: str, tag: str) -> KongAsk:
    """The request by which Kong takes a credential; a second one changes nothing."""
    path = f"/consumers/{segment(owner_id)}/jwt/{segment(credential.credential_id)}"
    return ask("PUT", path, credential_body(credential, tag))


def put_consumer(username: str, custom_id: str, tag: str) -> KongAsk:
    """The request by which Kong gets a consumer; a second one changes nothing."""
    body = {"username": username, "custom_id": custom_id or None, "tags": [tag]}
    return ask("PUT", f"/consumers/{segment(consumer_id(username))}", body)


def delete_credential(credential_id: str, owner: str = "", phase: Phase = 0) -> KongChange:
    """The change by which Kong takes a credential no more. `owner` is for people."""
    return KongChange(
        phase=phase,
        verb="delete",
        what="credential",
        name=f"{owner}/{credential_id}" if owner else credential_id,
        ask=ask("DELETE", f"/jwts/{segment(credential_id)}"),
        credential_id=credential_id,
    )


def _delete(
    credential_id: str, there: FoundCredential | None, names: Mapping[str, str], phase: Phase = 0
) -> KongChange:
    owner = "" if there is None else names.get(there.consumer_id, there.consumer_id)
    return delete_credential(credential_id, owner, phase)


def _plan_consumers(
    aims: KongAims, usernames: Mapping[str, str], found: Iterable[FoundConsumer], notes: list[str]
) -> Iterator[KongChange]:
    there = {one.username: one for one in found}
    for username, custom_id in usernames.items():
        known = there.get(username)
        if known is None:
            yield KongChange(
                phase=2,
                verb="create",
                what="consumer",
                name=username,
                ask=put_consumer(username, custom_id, aims.tag),
                consumer_id=consumer_id(username),
            )
        elif custom_id and not known.custom_id:
            yield KongChange(
                phase=2,
                verb="update",
                what="consumer",
                name=username,
                why="custom_id",
                ask=ask("PATCH", f"/consumers/{segment(known.consumer_id)}", {"custom_id": custom_id}),
                consumer_id=known.consumer_id,
            )
        elif custom_id and known.custom_id != custom_id:
            notes.append(
                f"the consumer '{username}' has another custom_id at Kong than its tokens' owner; it is left so"
            )


def _plan_credentials(
    aims: KongAims,
    credentials: Iterable[WantedCredential],
    at_kong: Mapping[str, FoundCredential],
    places: Mapping[str, str],
) -> Iterator[KongChange]:
    for one in credentials:
        owner_id = places[one.consumer]
        there = at_kong.get(one.credential_id)
        why = "" if there is None else _difference(one, there, owner_id)
        if there is not None and not why:
            continue
        yield KongChange(
            phase=3,
            verb="create" if there is None else "update",
            what="credential",
            name=f"{one.consumer}/{one.name or one.credential_id}",
            why=why,
            ask=put_credential(one, owner_id, aims.tag),
            consumer_id=owner_id,
            credential_id=one.credential_id,
        )


def _difference(wanted: WantedCredential, there: FoundCredential, owner_id: str) -> str:
    """The names of what is otherwise at Kong; empty: nothing is."""
    other = [
        name
        for name, same in (
            ("consumer", there.consumer_id == owner_id),
            ("key", there.key == wanted.key),
            ("algorithm", there.algorithm == wanted.algorithm),
            ("secret", not wanted.algorithm.startswith(_SYMMETRIC) or there.secret == wanted.secret),
            ("rsa_public_key", there.public_key_pem.strip() == (wanted.public_key_pem or "").strip()),
        )
        if not same
    ]
    return ", ".join(other)


def _plan_groups(
    aims: KongAims, places: Mapping[str, str], found: FoundKong, names: Mapping[str, str]
) -> Iterator[KongChange]:
    wanted = {(place, group): name for name, place in places.items() for group in aims.groups_of(name)}
    there = {(one.consumer_id, one.group): one for one in found.groups}
    for (place, group), one in there.items():
        if (place, group) not in wanted:
            path = f"/consumers/{segment(place)}/acls/{segment(one.group_id)}"
            name = f"{names.get(place, place)} in {group}"
            yield KongChange(phase=0, verb="delete", what="group", name=name, ask=ask("DELETE", path))
    for (place, group), name in wanted.items():
        if (place, group) not in there:
            body = {"group": group, "tags": [aims.tag]}
            yield KongChange(
                phase=3,
                verb="create",
                what="group",
                name=f"{name} in {group}",
                ask=ask("POST", f"/consumers/{segment(place)}/acls", body),
                consumer_id=place,
            )


def _plan_plugins(
    aims: KongAims, found: FoundKong, places: Mapping[str, str], notes: list[str]
) -> Iterator[KongChange]:
    kept: set[str] = set()
    for wanted in aims.plugins:
        place = plugin_place(found, places.get(wanted.consumer, ""))
        there = next((one for one in found.plugins if one.name == wanted.name and _place_of(one) == place), None)
        if there is None:
            yield _put_plugin(aims, wanted, place)
        elif aims.tag not in there.tags:
            notes.append(
                f"Kong has a plugin '{wanted.name}' there that is not jotgate's ({there.plugin_id}), and it is left as "
                "it is; 'jotgate kong migrate' takes one of the name jwt over"
            )
        else:
            kept.add(there.plugin_id)
            yield from change_plugin(wanted, there)
    for one in found.plugins:
        if aims.tag in one.tags and one.plugin_id not in kept:
            path = f"/plugins/{segment(one.plugin_id)}"
            yield KongChange(phase=4, verb="delete", what="plugin", name=one.name, ask=ask("DELETE", path))


Place = tuple[str, str, str]
"""The ids of what a plugin stands on: a consumer, a service, a route."""


def plugin_place(found: FoundKong, owner_id: str) -> Place:
    """Where a plugin of ours stands: on a consumer if one is given, else where the settings want it."""
    return (owner_id, "", "") if owner_id else ("", found.service_id, found.route_id)


def plugins_at(found: FoundKong, name: str) -> list[FoundPlugin]:
    """The plugins of a name that stand where ours are to stand."""
    return [one for one in found.plugins if one.name == name and _place_of(one) == plugin_place(found, "")]


def change_plugin(wanted: WantedPlugin, there: FoundPlugin, tags: Sequence[str] = ()) -> Iterator[KongChange]:
    """What makes a plugin what it is to be: Kong merges, so only what differs is sent. `tags` are new ones for it."""
    config = {name: value for name, value in wanted.config.items() if not _same(value, there.config.get(name))}
    body: dict[str, object] = {"config": config} if config else {}
    body |= {} if there.enabled else {"enabled": True}
    body |= {"tags": [*there.tags, *tags]} if tags else {}
    if body:
        yield KongChange(
            phase=_phase_of(wanted),
            verb="update",
            what="plugin",
            name=wanted.name if not wanted.consumer else f"{wanted.name} of {wanted.consumer}",
            why=", ".join([*config, *(name for name in body if name != "config")]),
            ask=_ask_plugin("PATCH", there.plugin_id, body),
            consumer_id=there.consumer_id,
        )


def _put_plugin(aims: KongAims, wanted: WantedPlugin, place: Place) -> KongChange:
    body: dict[str, object] = {"name": wanted.name, "config": wanted.config, "enabled": True, "tags": [aims.tag]}
    body |= {name: {"id": one} for name, one in zip(("consumer", "service", "route"), place, strict=True) if one}
    return KongChange(
        phase=_phase_of(wanted),
        verb="create",
        what="plugin",
        name=wanted.name if not wanted.consumer else f"{wanted.name} of {wanted.consumer}",
        ask=_ask_plugin("PUT", aims.plugin_id(wanted), body),
        consumer_id=place[0],
    )


def _phase_of(plugin: WantedPlugin) -> Phase:
    """The jwt plugin comes before the tokens that it checks; who may pass the acl plugin is in the groups before."""
    if plugin.consumer:
        return 3
    return 4 if plugin.name == "acl" else 1


def _ask_plugin(method: Method, plugin_id: str, body: Mapping[str, object]) -> KongAsk:
    return ask(method, f"/plugins/{segment(plugin_id)}", body)


def _place_of(plugin: FoundPlugin) -> Place:
    return plugin.consumer_id, plugin.service_id, plugin.route_id


def _same(wanted: object, found: object) -> bool:
    """Whether two values mean the same; Kong's lists of names are sets."""
    if isinstance(wanted, list) and isinstance(found, list):
        return sorted(map(str, wanted)) == sorted(map(str, found))
    return wanted == found
