"""`jotgate check`: reads the settings as control would, without touching DATA."""

import msgspec

from jotgate.assembly.authority import check_name
from jotgate.assembly.loading import load_all
from jotgate.errors import ConfigurationError, DirectoryRefused
from jotgate.stores.directory import DataDirectory
from jotgate.stores.settings import Finding, Settings, Sources


def check_settings(directory: DataDirectory, sources: Sources) -> Settings:
    """The settings with every fault, also that their public URL is not the name of the installation in DATA."""
    settings = load_all(sources).settings
    if settings.config is None or not directory.path.exists():
        return settings
    try:
        check_name(directory, settings.config)
    except ConfigurationError as error:
        findings = tuple(settings.find(path, fault) for path, fault in error.faults)
    except DirectoryRefused as error:
        findings = (Finding("", "", error.message),)
    else:
        return settings
    return msgspec.structs.replace(settings, config=None, findings=findings)
