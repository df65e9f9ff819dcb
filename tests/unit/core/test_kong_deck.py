"""The file of decK: what a reader of YAML finds in it is what Kong is to have, and secrets where they are wanted."""

from typing import Any, Final

import yaml

from jotgate.core.config_reader import parse
from jotgate.core.kong_aims import KongAims, compile_kong
from jotgate.core.kong_deck import write_deck
from jotgate.core.kong_plan import WantedCredential, WantedKong
from jotgate.core.values import Secret

PEM: Final = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n"
ODD: Final = 'ann: "#\\ \n- é no'


def aims(**kong: object) -> KongAims:
    document = {"kong": {"admin_url": "http://localhost:8001", **kong}, "kong_consumers": [{"name": "batch"}]}
    found = compile_kong(parse(document), None, "")
    assert found is not None
    return found


def wanted() -> WantedKong:
    return WantedKong(
        consumers={"john_doe": "sub-1", ODD: "sub-2"},
        credentials=[
            WantedCredential("id-1", "key-1", "john_doe", "HS256", None, Secret("c2VjcmV0"), "laptop"),
            WantedCredential("id-2", "key-2", ODD, "ES256", PEM, None, "phone"),
        ],
    )


def load(text: str) -> Any:
    return yaml.safe_load(text)


def test_the_file_says_all_that_kong_is_to_have() -> None:
    text = write_deck(aims(groups=["llm"], allow_groups=["llm"], service="llm"), wanted(), lambda: "random")
    found = load(text)
    assert (found["_format_version"], found["_info"]) == ("3.0", {"select_tags": ["jotgate"], "defaults": {}})
    assert [(one["name"], one["service"], one["enabled"]) for one in found["plugins"]] == [
        ("jwt", "llm", True),
        ("acl", "llm", True),
    ]
    assert found["plugins"][0]["config"]["key_claim_name"] == "kid"
    assert found["plugins"][0]["config"]["anonymous"] is None
    by_name = {one["username"]: one for one in found["consumers"]}
    assert set(by_name) == {"john_doe", ODD, "batch"}
    john = by_name["john_doe"]
    assert (john["custom_id"], john["tags"]) == ("sub-1", ["jotgate"])
    assert john["acls"] == [{"group": "llm", "tags": ["jotgate"]}]
    assert john["jwt_secrets"] == [
        {"id": "id-1", "key": "key-1", "algorithm": "HS256", "secret": "c2VjcmV0", "tags": ["jotgate"]}
    ]
    (pair,) = by_name[ODD]["jwt_secrets"]
    assert (pair["rsa_public_key"], pair["secret"]) == (PEM, "random"), "decK demands one; nobody can guess it"


def test_without_secrets_only_what_has_a_public_key_is_there() -> None:
    text = write_deck(aims(), wanted(), lambda: "random", secrets=False)
    assert "c2VjcmV0" not in text
    owners = load(text)["consumers"]
    assert [one["username"] for one in owners if "jwt_secrets" in one] == [ODD]


def test_limits_of_one_consumer_stand_with_it() -> None:
    document = {
        "kong": {"admin_url": "http://localhost:8001", "jwt_plugin": False},
        "kong_consumers": [{"name": "batch", "rate_limits": {"minute": 600}}],
    }
    found = compile_kong(parse(document), None, "")
    assert found is not None
    loaded = load(write_deck(found, WantedKong(consumers={}, credentials=[]), lambda: "random"))
    assert "plugins" not in loaded
    (plugin,) = loaded["consumers"][0]["plugins"]
    assert (plugin["name"], plugin["config"]["minute"]) == ("rate-limiting", 600)
