"""Reads the variables of the prompt-chaining API: what its preset makes of them."""

from collections.abc import Mapping
from typing import Final

from jotgate.core.face_listeners import find_listen
from jotgate.core.preset_entries import PromptChainEntry
from jotgate.core.presets import Preset, Tables
from jotgate.core.prompt_chain import PROMPT_CHAIN, PromptChainRules

_LISTEN: Final = ("127.0.0.1", 8000)


def read_prompt_chain(variables: Mapping[str, str], shipped: Tables, entry: PromptChainEntry) -> Preset:
    """What the preset comes to. `shipped` is its file, `entry` what the operator says of it in `jotgate.toml`."""
    listening = find_listen(variables, ("API_HOST", "API_PORT"), _LISTEN, "prompt_chain.listen", entry.listen)
    issuer = {"name": PROMPT_CHAIN, "profile": PROMPT_CHAIN, "secret_env": entry.secret_env}
    return Preset(
        name=PROMPT_CHAIN,
        listen=listening.address,
        listen_settings=listening.settings,
        rules=PromptChainRules(),
        tables={**shipped, "issuers": [issuer]},
        faults=listening.faults,
        secret_variables={entry.secret_env: "prompt_chain.secret_env"},
    )
