"""Taking over an older service: the plugin first, then the consumers that have credentials, and nothing is deleted."""

import msgspec

from jotgate.core.config_reader import parse
from jotgate.core.kong_aims import KongAims, compile_kong
from jotgate.core.kong_found import FoundConsumer, FoundCredential, FoundKong, FoundPlugin
from jotgate.core.kong_migration import make_migration
from jotgate.core.values import Secret


def aims(**kong: object) -> KongAims:
    found = compile_kong(parse({"kong": {"admin_url": "http://localhost:8001", **kong}}), None, "")
    assert found is not None
    return found


def older(**config: object) -> FoundKong:
    plugin = FoundPlugin("p", "jwt", {"key_claim_name": "iss", "realm": "theirs", **config}, True, ())
    elsewhere = FoundPlugin("q", "jwt", {"key_claim_name": "iss"}, True, (), service_id="s")
    consumers = [FoundConsumer(one, name, "", ()) for one, name in (("1", "john_doe"), ("2", "shop"), ("3", "ann"))]
    keys = (("a", "1", "john_doe"), ("b", "3", "ann_token_1"))
    credentials = [FoundCredential(one, owner, key, "HS256", "", Secret("s"), ()) for one, owner, key in keys]
    return FoundKong(consumers=consumers, credentials=credentials, groups=(), plugins=[plugin, elsewhere])


def test_the_plugin_comes_first_and_consumers_with_credentials_follow() -> None:
    migration = make_migration(aims(), older())
    assert [(one.ask.method, one.ask.path) for one in migration.changes] == [
        ("PATCH", "/plugins/p"),
        ("PATCH", "/consumers/1"),
        ("PATCH", "/consumers/3"),
    ]
    body = migration.changes[0].ask.body
    assert body is not None
    sent = msgspec.json.decode(body.reveal())
    assert (sent["config"]["key_claim_name"], sent["tags"], "realm" in sent["config"]) == ("kid", ["jotgate"], False)


def test_it_says_whose_tokens_end_and_which_plugin_stands_elsewhere() -> None:
    migration = make_migration(aims(), older())
    assert migration.ending == ("john_doe",), "those whose credential's key is their name"
    assert len(migration.notes) == 1
    assert "q stands elsewhere" in migration.notes[0]


def test_where_the_plugin_looks_at_kid_already_no_token_ends() -> None:
    assert make_migration(aims(), older(key_claim_name="kid")).ending == ()


def test_what_is_taken_over_is_not_taken_over_again() -> None:
    found = older()
    plugin = FoundPlugin("p", "jwt", aims().plugins[0].config, True, ("jotgate",))
    consumers = [msgspec.structs.replace(one, tags=("jotgate",)) for one in found.consumers]
    migration = make_migration(aims(), msgspec.structs.replace(found, plugins=[plugin], consumers=consumers))
    assert (migration.changes, migration.ending) == ((), ())


def test_a_plugin_that_is_not_ours_to_see_to_is_left() -> None:
    paths = [one.ask.path for one in make_migration(aims(jwt_plugin=False), older()).changes]
    assert paths == ["/consumers/1", "/consumers/3"]
