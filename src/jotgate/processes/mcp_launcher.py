"""Becomes an MCP server: sets the limits that its process has, and runs its program in its place.

It is run as `python -m jotgate.processes.mcp_launcher MEMORY_MIB OPEN_FILES PARENT COMMAND [ARGUMENT …]`, in the
directory and the environment that the server is to have. When its parent ends, however that goes, the system ends it.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_MIB = 1_048_576
_NOT_STARTED = 127


def main(arguments: list[str]) -> int:
    """Set the limits and run the program; what is returned is the status of one that cannot be run."""
    memory_mib, open_files, parent, command, *rest = arguments
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return _NOT_STARTED  # It ended before the system was told.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = min(int(open_files), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if int(memory_mib):
        # What is written to counts, and not what is only reserved: engines of JavaScript reserve many times more.
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory_mib) * _MIB, int(memory_mib) * _MIB))
    try:
        os.execvp(command, [command, *rest])  # noqa: S606 - the operator's own command
    except OSError as error:
        sys.stderr.write(f"{command}: {error.strerror}\n")
        return _NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
