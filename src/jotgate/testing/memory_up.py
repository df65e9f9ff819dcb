"""Runs jotgate with its store in memory: `python -m jotgate.testing.memory_up --data DIR --port N [--config FILE]`."""

import argparse
import sys
from collections.abc import Sequence

from jotgate.assembly.supervisor import ServedFace, UpOptions, run
from jotgate.cli.common import add_config_option, add_data_option, add_server_options, data_directory, sources
from jotgate.stores.directory import DataDirectory


def main() -> int:
    """Run until SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="memory_up", description="jotgate up, with a store that outlives nothing.")
    add_data_option(parser)
    add_server_options(parser)
    add_config_option(parser)
    arguments = parser.parse_args()
    options = UpOptions(DataDirectory(data_directory(arguments)), sources(arguments))
    return run(options, _announce, "jotgate.testing.memory_child")


def _announce(url: str, _public_url: str, _faces: Sequence[ServedFace]) -> None:
    sys.stdout.write(f"jotgate serves {url} out of memory\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
