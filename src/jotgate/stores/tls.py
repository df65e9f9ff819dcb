"""Reads and checks the files of `[tls]`, for control; the workers get their content with the snapshot."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from msgspec import Struct

from jotgate.core.config import Tls
from jotgate.core.edge import TlsMaterial
from jotgate.core.faults import Fault
from jotgate.core.values import Secret
from jotgate.stores.named_files import read_named

_BYTES_MAX: Final = 1_048_576
_ENDS_SOON: Final = timedelta(days=7)
_OTHERS_MAY_READ: Final = 0o004


class TlsReading(Struct, frozen=True):
    """What `[tls]` leads to. `material` is None without TLS and with faults.

    `files` are those that were looked at, and `secret_files` those of them that hold secrets.
    """

    material: TlsMaterial | None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    secret_files: tuple[Path, ...] = ()


def read_tls(tls: Tls, base: Path) -> TlsReading:
    """Read the files, whose names start at `base`, and make sure that a worker can use them."""
    if not tls.cert or not tls.key:
        return TlsReading(None)
    paths = {name: base / text for name in ("cert", "key", "client_ca") if (text := getattr(tls, name))}
    texts: dict[str, str] = {}
    faults: list[Fault] = []
    for name in paths:
        try:
            texts[name] = _read(base, getattr(tls, name))
        except ValueError as fault:
            faults.append((f"tls.{name}", str(fault)))
    faults = faults or _try(paths)
    files, secret_files = tuple(paths.values()), (paths["key"],)
    if faults:
        return TlsReading(None, tuple(faults), files=files, secret_files=secret_files)
    material = TlsMaterial(
        texts["cert"],
        Secret(texts["key"]),
        texts.get("client_ca", ""),
        tls.min_version,
        tls.client_certificates == "optional",
    )
    return TlsReading(material, (), _warnings(texts["cert"], paths), files, secret_files)


def _read(base: Path, name: str) -> str:
    content = read_named(base, name, _BYTES_MAX)
    if len(content) > _BYTES_MAX or not content.isascii():
        raise ValueError(f"names '{base / name}', which is not a PEM file")
    return content.decode("ascii")


def _try(paths: dict[str, Path]) -> list[Fault]:
    """Load the files as a worker will."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(paths["cert"], paths["key"], password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        return [_pair_fault(error, paths)]
    if "client_ca" in paths:
        try:
            context.load_verify_locations(paths["client_ca"])
        except (ssl.SSLError, OSError) as error:
            return [("tls.client_ca", f"names '{paths['client_ca']}', which holds no certificates: {_reason(error)}")]
    return []


def _no_password() -> str:
    raise ValueError("encrypted")


def _pair_fault(error: Exception, paths: dict[str, Path]) -> Fault:
    if not isinstance(error, OSError):
        return "tls.key", f"names '{paths['key']}', which is encrypted; write the key without a password"
    if _reason(error) == "KEY_VALUES_MISMATCH":
        return "tls.key", f"names '{paths['key']}', which is not the key of '{paths['cert']}'; write the pair"
    try:
        x509.load_pem_x509_certificates(paths["cert"].read_bytes())
    except (OSError, ValueError):
        return "tls.cert", f"names '{paths['cert']}', which holds no certificate in PEM form"
    return "tls.key", f"names '{paths['key']}', which cannot be used with '{paths['cert']}': {_reason(error)}"


def _reason(error: OSError) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or "not in PEM form"


def _warnings(certificates: str, paths: dict[str, Path]) -> tuple[str, ...]:
    warnings = []
    end = x509.load_pem_x509_certificates(certificates.encode("ascii"))[0].not_valid_after_utc
    now = datetime.now(UTC)
    if end <= now:
        warnings.append(f"the certificate '{paths['cert']}' ended on {end:%Y-%m-%d}, and clients will refuse it")
    elif end - now < _ENDS_SOON:
        warnings.append(f"the certificate '{paths['cert']}' ends on {end:%Y-%m-%d}")
    if paths["key"].stat().st_mode & _OTHERS_MAY_READ:
        warnings.append(f"the key '{paths['key']}' can be read by every user of this machine: chmod 600 it")
    return tuple(warnings)
