"""docs/chains.md shows chains as they are: its example is sound, and its lists are those of the code."""

import re
import tomllib
from pathlib import Path

from jotgate.core.chain_checks import check_prompts
from jotgate.core.chain_prompts import INSTRUCTIONS, REQUEST, SCHEMA
from jotgate.core.chain_retries import REPEATABLE
from jotgate.core.chain_schemas import KEYWORDS
from jotgate.core.config_reader import read
from jotgate.stores.prompts import SHIPPED, read_prompts
from tests.docs.pages import pages

PAGE = pages()["docs/chains.md"]


def test_the_example_is_sound_and_its_prompt_too() -> None:
    (example,) = PAGE.blocks("toml")
    reading = read(tomllib.loads(example))
    assert reading.faults == ()
    (prompt,) = PAGE.blocks("text")
    assert check_prompts(reading.chains, {"prompts/answer.md": prompt}) == []


def test_the_prompts_that_come_along_are_named_and_fit_the_example() -> None:
    (example,) = PAGE.blocks("toml")
    reading = read(tomllib.loads(example))
    faults = read_prompts(reading.chains, Path("/nowhere")).faults
    assert [path for path, _ in faults] == ["chains[0].steps[1].prompt_file"]
    named = set(re.findall(rf"`{SHIPPED}([a-z-]+)`", PAGE.text))
    shipped = Path("src/jotgate/presets/prompts")
    assert named == {path.stem for path in (Path(__file__).parents[2] / shipped).iterdir()}


def test_the_keywords_of_schemas_are_listed() -> None:
    text = PAGE.text.partition("\n## Schemas\n")[2].partition("Any other keyword")[0]
    assert set(re.findall(r"`(\w+)`", text)) - {"schema"} == set(KEYWORDS)


def test_the_places_of_prompts_are_listed() -> None:
    assert {f"{{{{{name}}}}}" for name in (REQUEST, INSTRUCTIONS, SCHEMA)} <= set(re.findall(r"`({{\w+}})`", PAGE.text))


def test_the_answers_that_are_tried_again_are_listed() -> None:
    text = PAGE.text.partition("or with 408")[2].partition(". Once")[0]
    assert {408, *map(int, re.findall(r"\d{3}", text))} == REPEATABLE
