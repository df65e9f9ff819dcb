"""The two C programs of the bench, compiled when their source is newer."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of the compiled programs."""

    mock_upstream: Path
    loadgen: Path


def compile_all() -> Programs:
    """Compile what is out of date into bench/build/.

    Raises:
        BenchError: there is no gcc, or it refuses the source.
    """
    return Programs(_compiled("mock_upstream"), _compiled("loadgen"))


def _compiled(name: str) -> Path:
    source, program = HERE / f"{name}.c", HERE / "build" / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    gcc = shutil.which("gcc")
    if gcc is None:
        raise BenchError(
            "the bench needs gcc for its load generator and its mock upstream, and there is none on the PATH; "
            "on Debian and Ubuntu: apt-get install gcc libc6-dev"
        )
    program.parent.mkdir(exist_ok=True)
    done = subprocess.run([gcc, "-O2", "-o", program, source], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"gcc refused {source}:\n{done.stderr.strip()}")
    return program
