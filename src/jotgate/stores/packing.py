"""A column for the members of a record that are lists: JSON in a text, as an operator can read it too."""

import msgspec
from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator


class Packed(TypeDecorator[object]):
    """What msgspec makes JSON of; None stays NULL. A text that is no JSON comes back as it is, and fits no record."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object | None, _dialect: Dialect) -> str | None:
        """Value to text."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, _dialect: Dialect) -> object | None:
        """Text to value, of JSON's own types."""
        try:
            return None if value is None else msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
