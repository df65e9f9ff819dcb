"""Which connections a process has accepted, from /proc: those and no others can be in flight in it."""

from pathlib import Path
from typing import Final

_ESTABLISHED: Final = "01"
_CLOSE_WAIT: Final = "08"


def parse_connections(table: str, port: int) -> dict[str, int]:
    """From /proc/net/tcp: socket inode -> the client's port, of the connections to a local port that stand."""
    found: dict[str, int] = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        local, remote, state, inode = fields[1], fields[2], fields[3], fields[9]
        if state in {_ESTABLISHED, _CLOSE_WAIT} and int(local.rpartition(":")[2], 16) == port:
            found[inode] = int(remote.rpartition(":")[2], 16)
    return found


def accepted_ports(pid: int, port: int) -> set[int]:
    """The client ports of all connections to `port` that the process holds. One that waits in a queue has no holder."""
    by_inode = parse_connections(Path("/proc/net/tcp").read_text(), port)
    links = (str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
    inodes = (link.removeprefix("socket:[").removesuffix("]") for link in links)
    return {by_inode[inode] for inode in inodes if inode in by_inode}
