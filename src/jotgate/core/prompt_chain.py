"""What the face of the prompt-chaining API (preset `prompt-chain`) needs to decide and answer, as plain data."""

from typing import Final

from msgspec import Struct

PROMPT_CHAIN: Final = "prompt-chain"
"""The name of the preset, of its face and of its issuer."""

ANY_ORIGIN: Final = "*"


class Pages(Struct, frozen=True):
    """The web pages that may read its answers (Fetch standard, CORS), and what they may send.

    `origins` empty: none may; `ANY_ORIGIN` among them: all may, without cookies. `names` are header fields; None: those
    that a page asks for. With `credentials` a page may call it as one that sends cookies, which are not read.
    """

    origins: tuple[str, ...] = ()
    credentials: bool = False
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")
    names: tuple[str, ...] | None = None


class PromptChainRules(Struct, frozen=True, tag="prompt-chain"):
    """What the system's own variables say of how it answers. `model` is the one that the face shows.

    `body_bytes_max` bounds the bodies of requests. With `security_lines` each answer has the header fields that keep
    browsers from showing it as a page.
    """

    model: str = "prompt-chaining"
    body_bytes_max: int = 1_048_576
    security_lines: bool = True
    pages: Pages = Pages()
