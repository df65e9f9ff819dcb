"""What the bench ran on: figures without their machine mean nothing."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("jotgate", "uvloop", "httptools", "msgspec", "cryptography")


def describe(load_core: int, candidate_core: int, peers: Mapping[str, str]) -> dict[str, str]:
    """The machine and the versions, as a table; taken before the load, so that the load average is the others'."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    description = {
        "processor": processor(cpuinfo),
        "virtual machine": "yes" if is_virtual(cpuinfo) else "no hypervisor shows itself",
        "cores": f"{len(os.sched_getaffinity(0))}; load on {load_core}, candidates on {candidate_core}",
        "siblings of the candidates' core": _siblings(candidate_core),
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "kernel": platform.release(),
        "Python": f"{platform.python_version()} ({platform.python_compiler()})",
        "C compiler": _first_line(["gcc", "--version"]),
    }
    return description | dict(peers) | {name: _package(name) for name in PACKAGES}


def processor(cpuinfo: str) -> str:
    """The processor's name in /proc/cpuinfo; ARM kernels give none."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def is_virtual(cpuinfo: str) -> bool:
    """Whether the processor says that a hypervisor runs it."""
    found = re.search(r"^flags\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found is not None and "hypervisor" in found[1].split()


def _siblings(core: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    return path.read_text().strip() if path.exists() else "unknown"


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0]


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
