"""Where a face listens: read of the variables of its system, or of the setting that goes before them."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from jotgate.core.faces import Address
from jotgate.core.faults import Fault, shown
from jotgate.core.listen_texts import read_listen

_PORT_MAX: Final = 65_535
_DIGITS_MAX: Final = 5


class Listening(Struct, frozen=True):
    """An address, what decided its host and its port (a variable or a setting), and what is wrong with it."""

    address: Address
    settings: tuple[str, str]
    faults: tuple[Fault, ...] = ()


def find_listen(
    variables: Mapping[str, str], names: tuple[str, str], default: Address, setting: str, chosen: str
) -> Listening:
    """The address of a face. `names` are the variables of host and port; an empty one counts as if it were not set.

    `chosen` is what the setting at the path `setting` says, which goes before both; empty: nothing. An address with a
    fault is the default.
    """
    if chosen:
        try:
            return Listening(read_listen(chosen), (setting, setting))
        except ValueError:
            fault = f'is {shown(chosen)}, and must be such as "{default[0]}:{default[1]}"'
            return Listening(default, (setting, setting), ((setting, fault),))
    host = variables.get(names[0], "").strip() or default[0]
    text = variables.get(names[1], "").strip() or str(default[1])
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and int(text) <= _PORT_MAX:
        return Listening((host, int(text)), names)
    return Listening(default, names, ((names[1], f"is {shown(text)}, and must be a port: a number from 0 to 65535"),))
