"""Where a process finds its settings: what a command found out about that, and how a child is told of it."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from jotgate.assembly.at_start import AtStart
from jotgate.processes.child import Assignment
from jotgate.stores.settings import Sources


class _Told(Struct, frozen=True):
    """What a child is told beside the file; it has inherited the environment. No option is a secret."""

    dotenv: str
    options: dict[str, object]
    development: bool
    awaited: bool
    presets: tuple[str, ...]
    at_start: dict[str, str | int]


def pack(sources: Sources, at_start: AtStart) -> str:
    """The text that tells a child of the sources, and of what they said at the start (`Launch.sources`)."""
    return msgspec.json.encode(
        _Told(
            str(sources.dotenv) if sources.dotenv else "",
            dict(sources.options),
            sources.development,
            sources.awaited,
            sources.presets,
            dict(at_start),
        )
    ).decode()


def unpack(assignment: Assignment) -> tuple[Sources, AtStart]:
    """The sources that a child was told of, and what they said at the start."""
    told = msgspec.json.decode(assignment.sources, type=_Told)
    sources = Sources(
        file=Path(assignment.config) if assignment.config else None,
        environment=os.environ,
        dotenv=Path(told.dotenv) if told.dotenv else None,
        options=told.options,
        development=told.development,
        awaited=told.awaited,
        presets=told.presets,
    )
    return sources, told.at_start
