"""Reads the prompt files of chains: those of the operator, and those that come with jotgate."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from msgspec import Struct

from jotgate.core.chain_checks import check_prompts
from jotgate.core.chain_entries import ChainEntry
from jotgate.core.faults import Fault, advice
from jotgate.stores.named_files import read_named

SHIPPED: Final = "shipped:"
"""What the name of a prompt begins with that comes with jotgate; its name there follows."""

_PROMPT_BYTES_MAX: Final = 262_144


class Prompts(Struct, frozen=True):
    """The texts by what the settings call their files, the faults, and the files that were looked at."""

    texts: Mapping[str, str]
    faults: tuple[Fault, ...]
    files: tuple[Path, ...]


def read_prompts(chains: Mapping[str, ChainEntry], base: Path) -> Prompts:
    """Read what sound chains name, each file once; file names start at `base`."""
    texts: dict[str, str] = {}
    faults: list[Fault] = []
    named: list[Path] = []
    for path, chain in chains.items():
        for index, step in enumerate(chain.steps):
            name = step.prompt_file
            if not name.startswith(SHIPPED):
                named.append(base / name)
            if name in texts:
                continue
            try:
                texts[name] = _shipped(name.removeprefix(SHIPPED)) if name.startswith(SHIPPED) else _read(base, name)
            except ValueError as fault:
                faults.append((f"{path}.steps[{index}].prompt_file", str(fault)))
    faults += check_prompts(chains, texts)
    return Prompts(texts, tuple(faults), tuple(dict.fromkeys(named)))


def _shipped(name: str) -> str:
    """One that comes with jotgate."""
    found = {one.name.removesuffix(".md"): one for one in files("jotgate.presets").joinpath("prompts").iterdir()}
    if name not in found:
        raise ValueError(f"names no prompt that comes with jotgate; {advice(name, sorted(found))}")
    return found[name].read_text("utf-8")


def _read(base: Path, name: str) -> str:
    content = read_named(base, name, _PROMPT_BYTES_MAX)
    if len(content) > _PROMPT_BYTES_MAX:
        raise ValueError(f"names '{base / name}', which is longer than {_PROMPT_BYTES_MAX} bytes")
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"names '{base / name}', which is not UTF-8 text; save it as UTF-8") from None
