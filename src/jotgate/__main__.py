"""`python -m jotgate`: the same as the command `jotgate`."""

import sys

from jotgate.cli import main

if __name__ == "__main__":
    sys.exit(main())
