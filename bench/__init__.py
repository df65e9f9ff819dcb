"""Measure jotgate beside a bare nginx on this machine: `python -m bench`, explained in docs/bench.md."""
