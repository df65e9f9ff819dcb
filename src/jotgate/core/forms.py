"""A form that a worker hands on to the token service, and the answer: what crosses the bus in place of HTTP."""

from msgspec import Struct

from jotgate.core.senders import Sender


class FormAsked(Struct, frozen=True, tag="form_asked"):
    """One POST of a form, as its head and body came. `number` counts up per worker; the answer names it.

    The body may hold a secret, and so may what `sender` shows.
    """

    number: int
    path: str
    body: bytes
    content_type: str = ""
    query: bytes = b""
    sender: Sender = Sender("")

    def __repr__(self) -> str:
        return f"FormAsked({self.number}, {self.path})"


class FormAnswered(Struct, frozen=True, tag="form_answered"):
    """The answer: a status, whole header lines (CRLF-ended), a body, which may hold a token."""

    number: int
    status: int
    lines: bytes
    body: bytes

    def __repr__(self) -> str:
        return f"FormAnswered({self.number}, {self.status})"
