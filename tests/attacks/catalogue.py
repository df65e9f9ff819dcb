"""The wrong tokens of `jotgate.testing` by the row of the attack list that they belong to."""

from collections.abc import Mapping

from jotgate.errors import Code

Tokens = Mapping[str, tuple[bytes, Code]]


class Catalogue:
    """Finds the tokens of a row, and knows which of them were thrown."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def row(self, row: str, at_least: int) -> dict[str, tuple[bytes, Code]]:
        """The tokens whose name begins with the row's; fewer than so many would be a gap in the catalogue."""
        found = {name: one for name, one in self._tokens.items() if name.startswith(f"{row}_")}
        assert len(found) >= at_least
        return found
