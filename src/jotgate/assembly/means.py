"""What an installation is opened with: by control as settings were when jotgate started, by a command as they are."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from jotgate.assembly.at_start import AtStart
from jotgate.core.config import HintsEntry, StoreEntry
from jotgate.core.values import Secret
from jotgate.processes.sockets import local_url
from jotgate.store_ports import Store
from jotgate.stores.addresses import HintsAddress, StoreAddress, hints_address, store_address
from jotgate.stores.directory import DataDirectory
from jotgate.stores.opening import open_store
from jotgate.stores.settings import Settings, Sources, find_named

_PASSWORD: Final = "password"
_MASTER_KEY: Final = "master_key"


Opener = Callable[[StoreAddress], Store]


class Means(Struct, frozen=True):
    """Where everything is. `algorithm` is that of a first key. `opener` makes the store of an address.

    `hints` is where machines tell one another something; None: nowhere, as it is for commands.

    `url` is where the gateway listens: the issuer's name from the first start on, unless there is a public URL.
    """

    directory: DataDirectory
    address: StoreAddress
    public_url: str
    url: str
    algorithm: str
    master_key: Secret | None = None
    opener: Opener = open_store
    hints: HintsAddress | None = None

    @property
    def secrets(self) -> list[Secret]:
        """What no log may show."""
        of_hints = None if self.hints is None else self.hints.password
        return [one for one in (self.address.password, of_hints, self.master_key) if one is not None]


def means_of(directory: DataDirectory, settings: Settings) -> Means:
    """By the settings as they are. Raises ConfigurationError."""
    config = settings.require()
    server = config.server
    return Means(
        directory=directory,
        address=store_address(config.store, settings.store_password, directory.store),
        public_url=server.public_url,
        url=local_url(server.host, server.port, tls=bool(config.tls.cert)),
        algorithm=config.keys.algorithm,
        master_key=settings.master_key,
    )


def means_at_start(directory: DataDirectory, sources: Sources, started: AtStart, url: str, settings: Settings) -> Means:
    """By what the settings said when jotgate started at `url`: another store than the workers' would mean other keys.

    Raises:
        ConfigurationError: a secret that they named is there no more.
    """
    texts = {path: str(value) for path, value in started.items()}
    named = {name: texts[f"store.{name}"] for name in ("password_env", "password_file")}
    store = StoreEntry(url=texts["store.url"], password_env=named["password_env"], password_file=named["password_file"])
    # A password in the file itself, which only development allows, is not among what is told of the start.
    password = find_named(sources, "store", _PASSWORD, named) or settings.store_password
    of_hints = {name: texts[f"hints.{name}"] for name in ("password_env", "password_file")}
    sealing = {name: texts[f"keys.{name}"] for name in ("master_key_env", "master_key_file")}
    return Means(
        directory=directory,
        address=store_address(store, password, directory.store),
        public_url=texts["server.public_url"],
        url=url,
        algorithm=settings.require().keys.algorithm,
        master_key=find_named(sources, "keys", _MASTER_KEY, sealing),
        hints=hints_address(
            HintsEntry(url=texts["hints.url"]),
            find_named(sources, "hints", _PASSWORD, of_hints) or settings.hints_password,
        ),
    )
