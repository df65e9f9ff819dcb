"""The text of the configuration that was put into effect last, kept in DATA/accepted.toml for control's next start."""

from typing import Final

from jotgate.core.values import Secret
from jotgate.ports import Files

ACCEPTED_BYTES_MAX: Final = 67_108_864
"""What `files` has to take: as much as goes over the bus at once."""

_FILE: Final = "accepted.toml"


class AcceptedText:
    """Keeps the text, which is a secret: in development it may hold some."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def keep(self, text: Secret) -> None:
        """Keep this text in place of the one before. Raises DirectoryRefused."""
        self._files.replace(_FILE, text.reveal().encode("utf-8"))

    def read(self) -> Secret | None:
        """The text that was kept, or None before the first. Raises DirectoryRefused."""
        content = self._files.read(_FILE)
        return None if content is None else Secret(content.decode("utf-8", "replace"))
