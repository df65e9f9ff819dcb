"""One target under atheris, guided by what of `jotgate.jose` its inputs reach: `python -m bench.fuzz.guided TARGET …`.

A process of its own: libFuzzer never returns, and takes its options from the command line.
"""

import sys

import atheris

with atheris.instrument_imports(include=["jotgate.jose"]):
    from bench.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz the target that the first argument names; the others are libFuzzer's."""
    program, name, *options = sys.argv
    takes = TARGETS[name].takes

    def judge(given: bytes) -> None:
        takes(given)

    atheris.Setup([program, *options], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
