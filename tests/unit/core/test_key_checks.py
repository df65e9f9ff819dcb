"""What `[keys]` may not say."""

import os
from base64 import b64encode

import pytest

from jotgate.core.config_reader import parse
from jotgate.core.key_checks import check_master_key, key_rules
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"algorithm": "HS256"}, "keys.algorithm"),
        ({"algorithm": "none"}, "keys.algorithm"),
        ({"rotate_after": "11h", "publish_ahead": "11h"}, "keys.publish_ahead"),
        ({"rotate_after": "9999d"}, "keys.rotate_after"),
        ({"rotate_after": "soon"}, "keys.rotate_after"),
        ({"master_key_env": "A", "master_key_file": "b"}, "keys.master_key_file"),
        ({"master_key": "x"}, "keys.master_key"),
    ],
)
def test_each_fault_is_told_where_it_stands(table: dict[str, str], path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse({"keys": table})
    assert [where for where, _ in caught.value.faults] == [path]


def test_the_rules_are_in_seconds_and_rotation_can_be_left_to_hand() -> None:
    rules = key_rules(parse({"keys": {"rotate_after": "0s", "publish_ahead": "2h", "algorithm": "PS256"}}).keys)
    assert (rules.algorithm, rules.rotate_after_s, rules.publish_ahead_s) == ("PS256", 0, 7_200)
    assert key_rules(parse({}).keys).rotate_after_s == 90 * 86_400


def test_a_master_key_comes_from_a_generator() -> None:
    assert check_master_key(Secret(b64encode(os.urandom(32)).decode())) == ""
    assert check_master_key(Secret(os.urandom(32).hex())) == ""
    for weak in ("short", "a" * 64, "correct horse battery staple correct horse battery"):
        assert "openssl rand -base64 32" in check_master_key(Secret(weak))
        assert weak not in check_master_key(Secret(weak))
