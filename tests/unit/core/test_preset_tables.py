"""Whose a table is: the operator's goes before the preset's of its name, and what a preset brings is not native."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.config_reader import parse
from jotgate.core.preset_tables import face_part, lay_under, names_in, native_part
from jotgate.core.presets import Preset
from jotgate.core.prompt_chain import PromptChainRules

_OPENAI: Final = {"kind": "openai", "base_url": "https://h/v1"}


def preset(tables: Mapping[str, object], name: str = "prompt-chain") -> Preset:
    """A preset that brings these tables."""
    return Preset(
        name=name, listen=("127.0.0.1", 8000), listen_settings=("H", "P"), rules=PromptChainRules(), tables=tables
    )


def upstream(name: str, model: str) -> dict[str, object]:
    """An entry with one model."""
    return {"name": name, **_OPENAI, "models": [model]}


def test_what_the_operator_has_not_written_comes_of_the_preset_and_is_known_as_its() -> None:
    laid = lay_under({"upstreams": [upstream("own", "a")]}, [preset({"upstreams": [upstream("theirs", "b")]})])
    assert names_in(laid.document)["upstreams"] == {"own", "theirs"}
    assert laid.brought["upstreams"] == {"theirs"}
    assert laid.owners == {"upstreams[1]": "prompt-chain"}


def test_a_table_of_the_operator_s_with_the_same_name_stands_in_its_place() -> None:
    own = {"upstreams": [upstream("anthropic", "mine")], "routes": [{"alias": "x"}]}
    laid = lay_under(own, [preset({"upstreams": [upstream("anthropic", "theirs")], "routes": [{"alias": "x"}]})])
    assert laid.document == own
    assert (laid.brought["upstreams"], laid.brought["routes"], laid.owners) == (frozenset(), frozenset(), {})


def test_single_settings_of_the_operator_s_go_before_those_of_a_preset() -> None:
    laid = lay_under({"logs": {"level": "debug"}}, [preset({"logs": {"level": "info", "format": "json"}})])
    assert laid.document == {"logs": {"level": "debug", "format": "json"}}
    assert laid.owners == {"logs.format": "prompt-chain"}


def test_what_is_no_table_is_left_to_its_own_fault() -> None:
    laid = lay_under(
        {"upstreams": 7, "logs": "loud"}, [preset({"upstreams": [upstream("u", "m")], "logs": {"level": "info"}})]
    )
    assert laid.document == {"upstreams": 7, "logs": "loud"}


def test_of_two_presets_the_first_goes_before() -> None:
    first, second = (
        preset({"quotas": [{"name": "q", "limit": "1"}]}),
        preset({"quotas": [{"name": "q"}]}, "api-gateway"),
    )
    laid = lay_under({}, [first, second])
    assert laid.document == {"quotas": [{"name": "q", "limit": "1"}]}
    assert laid.owners == {"quotas[0]": "prompt-chain"}


def test_the_operator_s_document_is_not_changed() -> None:
    own: dict[str, object] = {"upstreams": [upstream("own", "a")]}
    lay_under(own, [preset({"upstreams": [upstream("theirs", "b")], "logs": {"level": "info"}})])
    assert own == {"upstreams": [upstream("own", "a")]}


def test_the_native_listener_serves_what_no_preset_brought_and_the_face_what_the_preset_names() -> None:
    brings = preset({"upstreams": [upstream("theirs", "b"), upstream("shared", "c")]})
    laid = lay_under({"upstreams": [upstream("own", "a"), upstream("shared", "mine")]}, [brings])
    config = parse(laid.document)
    native, face = native_part(config, laid.brought), face_part(config, brings)
    assert [one.name for one in native.upstreams] == ["own", "shared"]
    assert {one.name: tuple(one.routes) for one in face.upstreams} == {"shared": ("mine",), "theirs": ("b",)}
