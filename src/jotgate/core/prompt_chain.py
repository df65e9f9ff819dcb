"""What the face of the prompt-chaining API (preset `prompt-chain`) needs to decide and answer, as plain data."""

from typing import Final

from msgspec import Struct

PROMPT_CHAIN: Final = "prompt-chain"
"""The name of the preset, of its face and of its issuer."""


class PromptChainRules(Struct, frozen=True, tag="prompt-chain"):
    """What the system's own variables say of how it answers. `model` is the one that the face shows."""

    model: str = "prompt-chaining"
