"""The stores that the rows about state are held to: those of the conformance suite."""

from tests.conformance.conftest import make_address, server, store

__all__ = ["make_address", "server", "store"]
