"""`jotgate check`: reads the settings as control would, without touching DATA."""

import msgspec

from jotgate.assembly.authority import check_name
from jotgate.assembly.loading import load_all
from jotgate.assembly.system import SystemClock
from jotgate.assembly.tool_checks import find_lacks
from jotgate.core.issuer_compiler import iss_of, same_iss_fault
from jotgate.core.issuer_secrets import warn_of_ages
from jotgate.errors import ConfigurationError, DirectoryRefused
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import PrivateFiles
from jotgate.stores.installation import read_installation
from jotgate.stores.secret_ages import SecretAges
from jotgate.stores.settings import Finding, Settings, Sources


def check_settings(directory: DataDirectory, sources: Sources) -> Settings:
    """The settings with every fault, also that their public URL is not the name of the installation in DATA."""
    settings = load_all(sources).settings
    if settings.config is None:
        return settings
    try:
        check_name(directory, settings.config)
        check_no_own(directory, settings)
    except ConfigurationError as error:
        findings = tuple(settings.find(path, fault) for path, fault in error.faults)
    except DirectoryRefused as error:
        findings = (Finding("", "", error.message),)
    else:
        tools = [f"{one.path} {one.fault}" for one in find_lacks(settings.config)]
        warnings = (*settings.warnings, *tools, *warn_of_secrets(directory, settings))
        return msgspec.structs.replace(settings, warnings=warnings)
    return msgspec.structs.replace(settings, config=None, findings=findings)


def check_no_own(directory: DataDirectory, settings: Settings) -> None:
    """Refuse an issuer that has the `iss` of the installation in DATA. Raises ConfigurationError."""
    installation = read_installation(PrivateFiles(directory.path))
    faults = [
        (f"{one.path}.issuer", same_iss_fault(installation.issuer, "this installation"))
        for one in settings.issuers
        if installation is not None and iss_of(one.entry) == installation.issuer
    ]
    if faults:
        raise ConfigurationError(faults)


def warn_of_secrets(directory: DataDirectory, settings: Settings) -> list[str]:
    """What the owner of shared secrets should know of their age. Raises DirectoryRefused."""
    seen = SecretAges(PrivateFiles(directory.path)).read()
    now_s = SystemClock().now_s()
    return [warning for one in settings.issuers for warning in warn_of_ages(one, seen, now_s)]
