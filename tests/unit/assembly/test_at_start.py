"""What is read at the start only: a process that is started later is told, and a change is known as one."""

from typing import Final

from msgspec.structs import replace

from jotgate.assembly.at_start import at_start, at_urls, listening_at, url_at
from jotgate.core.config_reader import parse
from jotgate.core.presets import Preset
from jotgate.core.prompt_chain import PromptChainRules

_FACE: Final = Preset(
    name="prompt-chain", listen=("::1", 8000), listen_settings=("API_HOST", "API_PORT"), rules=PromptChainRules()
)


def test_a_face_listens_where_it_was_told_at_the_start_whatever_its_variables_say_now() -> None:
    started = at_start(parse({}), [_FACE])
    moved = replace(_FACE, listen=("0.0.0.0", 9000))  # noqa: S104 - nothing is bound here
    assert listening_at(started, moved) == ("::1", 8000)
    changed = [path for path, value in at_start(parse({}), [moved]).items() if value != started[path]]
    assert changed == ["the address of the preset 'prompt-chain'"]


def test_where_a_face_is_reached_is_known_since_the_start_and_is_no_setting() -> None:
    started = {**at_start(parse({}), [_FACE]), **at_urls({"prompt-chain": "http://[::1]:40123"})}
    assert url_at(started, "prompt-chain") == "http://[::1]:40123"
    assert url_at(started, "api-gateway") == ""
    assert [path for path, value in at_start(parse({}), [_FACE]).items() if value != started[path]] == []


def test_settings_of_the_start_are_named_by_their_paths() -> None:
    started = at_start(parse({"server": {"port": 9}}))
    assert (started["server.port"], started["logs.format"]) == (9, "auto")
