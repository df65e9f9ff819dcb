"""All that the sources of settings lead to: the settings, and the files of TLS that they name."""

from pathlib import Path

import msgspec
from msgspec import Struct

from jotgate.core.edge import TlsMaterial
from jotgate.core.quota_warnings import warn_of_quotas
from jotgate.stores.price_table import read_price_table
from jotgate.stores.settings import Settings, Sources, load_settings
from jotgate.stores.tls import read_tls


class Loaded(Struct, frozen=True):
    """The settings with every fault, that of a certificate too. `tls` is None without TLS and with faults."""

    settings: Settings
    tls: TlsMaterial | None


def load_all(sources: Sources) -> Loaded:
    """Read everything; nothing is raised for a fault."""
    settings = load_settings(sources)
    if settings.config is not None and settings.config.quotas:
        further = warn_of_quotas(settings.config, read_price_table())
        settings = msgspec.structs.replace(settings, warnings=(*settings.warnings, *further))
    if settings.tls is None:
        return Loaded(settings, None)
    found = read_tls(settings.tls, sources.file.parent if sources.file is not None else Path())
    whole = msgspec.structs.replace(
        settings,
        config=None if found.faults else settings.config,
        findings=(*settings.findings, *(settings.find(path, fault) for path, fault in found.faults)),
        warnings=(*settings.warnings, *found.warnings),
        files=(*settings.files, *found.files),
        secret_files=(*settings.secret_files, *found.secret_files),
    )
    return Loaded(whole, found.material)
