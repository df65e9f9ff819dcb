"""The import contracts of pyproject.toml hold, and each of them can be broken."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT


def lint_imports(folder: Path, package_root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter in `folder` on the jotgate found below `package_root`."""
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(package_root)},
        capture_output=True,
        text=True,
        check=False,
    )


def contracts() -> dict[str, dict[str, object]]:
    """The contracts by their id."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    return {contract["id"]: contract for contract in settings["contracts"]}


def test_the_contracts_hold() -> None:
    run = lint_imports(ROOT, ROOT / "src")
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(contracts())} kept, 0 broken" in run.stdout


@pytest.mark.parametrize(
    ("path", "code", "broken"),
    [
        ("core/intruder.py", "import jotgate.gateway", "rings"),
        ("errors.py", "import jotgate.core.values", "rings"),
        ("services/intruder.py", "import jotgate.gateway", "rings"),
        ("edge/intruder.py", "import jotgate.control", "rings"),
        ("stores/intruder.py", "import jotgate.processes", "rings"),
        ("assembly/intruder.py", "import jotgate.testing", "rings"),
        ("utilities/__init__.py", "", "rings"),
        ("core/intruder.py", "import time", "pure"),
        ("jose/intruder.py", "from os import urandom", "pure"),
        ("gateway/intruder.py", "import starlette", "hot-path"),
        ("control/intruder.py", "import sqlalchemy", "sql"),
        ("stores/intruder.py", "import httpx2", "web"),
        ("sdk/client.py", "import uvicorn", "sdk"),
    ],
)
def test_an_intruder_breaks_its_contract(tmp_path: Path, path: str, code: str, broken: str) -> None:
    """A copy of the package with one bad import, or one package outside the rings, is refused by name."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    intruder = tmp_path / "src" / "jotgate" / path
    intruder.parent.mkdir(exist_ok=True)
    (intruder.parent / "__init__.py").touch()
    with intruder.open("a", encoding="utf-8") as file:
        file.write(f"\n{code}\n")
    run = lint_imports(tmp_path, tmp_path / "src")
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{contracts()[broken]['name']} BROKEN" in run.stdout
    assert ".".join(("jotgate", *Path(path).with_suffix("").parts)).removesuffix(".__init__") in run.stdout
