"""What stops a run of the bench before it has figures."""


class BenchError(Exception):
    """The bench cannot go on; the text says what is missing or broke, and what to do."""
