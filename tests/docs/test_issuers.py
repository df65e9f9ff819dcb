"""The examples of docs/issuers.md are sound, and what it says of profiles is what they are."""

import tomllib

from jotgate.core.config_reader import parse
from jotgate.core.issuer_profiles import PROFILES
from tests.docs.pages import pages


def test_the_examples_are_sound_and_can_stand_in_one_file() -> None:
    examples = pages()["docs/issuers.md"].blocks("toml")
    assert len(examples) >= 8
    for example in examples:
        assert parse(tomllib.loads(example)).issuers
    assert len(parse(tomllib.loads("".join(examples))).issuers) >= len(examples)


def test_each_profile_has_its_part_and_its_variable() -> None:
    text = pages()["docs/issuers.md"].text
    for name, profile in PROFILES.items():
        if name:
            assert f"\n### {name}\n" in text
            part = text.partition(f"\n### {name}\n")[2].partition("\n##")[0]
            assert f'profile = "{name}"' in part
            assert profile.secret_env in part
            assert all(audience in part for audience in profile.audiences or ())
