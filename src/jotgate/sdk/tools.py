"""What functions use that are tools of a gateway: who calls, and an error whose words the caller is to read."""

from msgspec import Struct


class ToolCaller(Struct, frozen=True):
    """Who calls a tool: a parameter with this annotation is given it, and is none of the tool's arguments.

    `issuer` and `subject` are those of the caller's token; whoever has several roles has them in `role`, with commas.
    """

    issuer: str = ""
    subject: str = ""
    role: str = ""


class ToolError(Exception):
    """The tool cannot do what it was asked; its text is told to the caller, as that of no other exception is."""
