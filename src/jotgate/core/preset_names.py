"""The names of the presets; apart from what they mean, so that a command can offer them without reading all that."""

from typing import Final

PRESETS: Final = ("prompt-chain", "api-gateway", "coze-proxy", "kong-auth", "mcp-daemon")
"""What `--preset` takes; each is also the name of its face."""
