"""The entry of every child of the supervisor: `python -m jotgate.assembly ROLE …` (see `processes.child`)."""

import signal
import sys
from collections.abc import Callable

from jotgate.errors import JotgateError
from jotgate.processes.child import EXIT_REFUSED, Assignment, read_assignment
from jotgate.processes.console import log_error
from jotgate.telemetry.logs import install


def run_child(assignment: Assignment) -> None:
    """Run the role to its end; each process imports its own role only."""
    if assignment.role == "worker":
        from jotgate.assembly.worker import run
    else:
        from jotgate.assembly.control import run
    run(assignment)


def main(run_role: Callable[[Assignment], None] = run_child) -> int:
    """Run the child that argv describes by `run_role`. Returns its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assignment = read_assignment(sys.argv[1:])
    form, level = assignment.logs.split()
    name = assignment.role if assignment.role == "control" else f"{assignment.role} {assignment.slot}"
    install(name, level, form)
    try:
        run_role(assignment)
    except JotgateError as error:
        log_error(error)
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
