"""The places that a rule lets pass, each with its reason; an entry that nothing needs any more is a fault.

A place is `path::Qualified.function`, `path::*` for a whole file, or a folder ending in `/`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from tests.architecture import rules
from tests.architecture.rules import Finding

ALLOWED: Final[Mapping[str, Mapping[str, str]]] = {
    rules.no_local_import.__name__: {
        "src/jotgate/assembly/__main__.py::run_child": "a worker never loads what is control's (ADR 0003)",
        "src/jotgate/stores/opening.py::_upgrade": "Alembic is loaded only when there is a schema to change",
        "src/jotgate/stores/valkey.py::_client": "redis-py is an extra, and loaded only where settings name a Valkey",
        "src/jotgate/edge/ext_authz.py::_serve": "grpcio is an extra, and loaded only where settings name its address",
        "tests/databases.py::postgres": "the wheel warns when it is imported, and warnings are errors",
        "src/jotgate/cli/": "`jotgate --help` answers in 0.2 s: a command imports what it needs when it runs",
    },
    rules.no_print.__name__: {
        "src/jotgate/cli/": "commands answer on stdout",
    },
    rules.no_broad_except.__name__: {
        "src/jotgate/assembly/reload.py::_attempt": "a fault of ours keeps the settings that are in effect",
        "src/jotgate/edge/http1/protocol.py::Connection._run": "the top of the edge: the unforeseen is answered",
    },
    rules.no_sleep.__name__: {
        "src/jotgate/testing/running.py::until": "the one polling helper; it fails at its deadline",
    },
    rules.empty_init.__name__: {
        "src/jotgate/__init__.py::*": "the version",
        "src/jotgate/cli/__init__.py::*": "`main`, which the console script names",
    },
    rules.frozen_structs.__name__: {
        "src/jotgate/core/calls.py::Request": "a request in progress, filled in as it is read",
    },
}


def unlisted(rule: Callable[..., object], findings: Iterable[Finding]) -> list[str]:
    """The findings that no entry covers, then the entries that cover none: both are faults."""
    entries = ALLOWED.get(rule.__name__, {})
    found = list(findings)
    wrong = [str(finding) for finding in found if not any(covers(entry, finding) for entry in entries)]
    idle = [entry for entry in entries if not any(covers(entry, finding) for finding in found)]
    return wrong + [f"tests/architecture/allowed.py: {rule.__name__}: {entry} is not needed" for entry in idle]


def covers(entry: str, finding: Finding) -> bool:
    """Whether an entry speaks of the place of this finding."""
    if entry.endswith("/"):
        return finding.path.startswith(entry)
    path, _, place = entry.partition("::")
    return finding.path == path and place in ("*", finding.place)
