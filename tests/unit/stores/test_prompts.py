"""Prompt files are read once each, from the settings' directory or from what comes along, and have their own faults."""

import tomllib
from pathlib import Path

from msgspec import structs

from jotgate.core.chain_entries import ChainEntry, read_chains
from jotgate.stores.prompts import read_prompts
from tests.chaining import PROMPTS, SETTINGS


def chain() -> ChainEntry:
    return read_chains(tomllib.loads(SETTINGS)["chains"], [])["chains[0]"]


def written(folder: Path) -> Path:
    for name, text in PROMPTS.items():
        (folder / name).write_text(text)
    return folder


def test_each_file_is_read_from_the_directory_of_the_settings(tmp_path: Path) -> None:
    found = read_prompts({"chains[0]": chain()}, written(tmp_path))
    assert found.texts == PROMPTS
    assert found.faults == ()
    assert set(found.files) == {tmp_path / name for name in PROMPTS}


def test_a_file_that_cannot_be_read_or_filled_is_told_at_its_setting(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "find.md").unlink()
    (tmp_path / "work.md").write_bytes(b"\xff")
    (tmp_path / "tell.md").write_text("{{nobody}}")
    faults = dict(read_prompts({"chains[0]": chain()}, tmp_path).faults)
    assert list(faults) == [f"chains[0].steps[{number}].prompt_file" for number in range(3)]
    words = ("cannot be read", "is not UTF-8", "which nothing fills")
    assert all(word in fault for word, fault in zip(words, faults.values(), strict=True))


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "find.md").write_text("x" * 300_000)
    ((path, fault),) = read_prompts({"chains[0]": chain()}, tmp_path).faults
    assert (path, "longer than" in fault) == ("chains[0].steps[0].prompt_file", True)


def test_prompts_come_along_by_name(tmp_path: Path) -> None:
    first, *others = chain().steps
    shipped = structs.replace(chain(), steps=(structs.replace(first, prompt_file="shipped:chain-analyze"), *others))
    found = read_prompts({"chains[0]": shipped}, written(tmp_path))
    assert "{{schema}}" in found.texts["shipped:chain-analyze"]
    assert found.faults == ()
    for name in ("shipped:chain-analyse", "shipped:../prompt-chain.toml", "shipped:"):
        wrong = structs.replace(chain(), steps=(structs.replace(first, prompt_file=name), *others))
        ((path, fault),) = read_prompts({"chains[0]": wrong}, tmp_path).faults
        assert (path, "names no prompt that comes with jotgate" in fault) == ("chains[0].steps[0].prompt_file", True)
