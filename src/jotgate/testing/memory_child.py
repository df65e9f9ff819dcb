"""A child of a supervisor whose control keeps its store in memory, which no setting can ask for: it outlives nothing.

`python -m jotgate.testing.memory_up` starts such children, for measurements.
"""

import sys

from jotgate.assembly import control, worker
from jotgate.assembly.__main__ import main
from jotgate.processes.child import Assignment
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.memory import MemoryStore


def run_child(assignment: Assignment) -> None:
    """Run the role to its end; a worker is like any other."""
    if assignment.role == "worker":
        worker.run(assignment)
    else:
        control.run(assignment, _open)


def _open(_address: StoreAddress) -> MemoryStore:
    return MemoryStore()


if __name__ == "__main__":
    sys.exit(main(run_child))
