"""The files of `[tls]`: read whole, checked as a worker will use them, and each fault told with its setting."""

from datetime import timedelta
from pathlib import Path

import pytest

from jotgate.core.config import Tls
from jotgate.edge.tls import server_context
from jotgate.stores.tls import TlsReading, read_tls
from jotgate.testing.certificates import Authority, encrypt_key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    authority.issue("server")
    return authority


def read(directory: Path, key: str = "server.key", client_ca: str = "") -> TlsReading:
    return read_tls(Tls("server.pem", key, client_ca, "1.3"), directory)


def test_without_a_certificate_there_is_no_tls(tmp_path: Path) -> None:
    assert read_tls(Tls(), tmp_path) == TlsReading(None)


def test_a_pair_is_handed_over_whole_and_its_key_does_not_print(tmp_path: Path, authority: Authority) -> None:
    found = read(tmp_path, client_ca=authority.root.name)
    assert (found.faults, found.warnings) == ((), ())
    assert found.material is not None
    assert found.material.certificates == (tmp_path / "server.pem").read_text()
    assert found.material.key.reveal() == (tmp_path / "server.key").read_text()
    assert "PRIVATE" not in repr(found)
    assert set(found.files) == {tmp_path / "server.pem", tmp_path / "server.key", authority.root}
    assert server_context(found.material).minimum_version.name == "TLSv1_3"


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("server.pem", None, ("tls.cert", "cannot be read: No such file")),
        ("server.key", None, ("tls.key", "cannot be read: No such file")),
        ("test-authority.pem", None, ("tls.client_ca", "cannot be read: No such file")),
        ("server.pem", b"", ("tls.cert", "holds no certificate in PEM form")),
        ("server.pem", b"\xff\xfe", ("tls.cert", "is not a PEM file")),
        ("server.pem", b"x" * 2_000_000, ("tls.cert", "is not a PEM file")),
        (
            "server.pem",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ("tls.cert", "no certificate"),
        ),
        ("server.key", b"nonsense", ("tls.key", "cannot be used")),
        ("test-authority.pem", b"nonsense", ("tls.client_ca", "holds no certificates")),
    ],
)
def test_a_file_that_cannot_be_used_is_a_fault_of_its_setting(
    tmp_path: Path, authority: Authority, file: str, content: bytes | None, fault: tuple[str, str]
) -> None:
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    found = read(tmp_path, client_ca="test-authority.pem")
    assert found.material is None
    ((path, what),) = found.faults
    assert path == fault[0]
    assert file in what
    assert fault[1] in what
    assert len(found.files) == 3, "they are watched all the same"


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, authority: Authority) -> None:
    authority.issue("other")
    ((path, fault),) = read(tmp_path, key="other.key").faults
    assert (path, "is not the key of" in fault) == ("tls.key", True)


def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path: Path, authority: Authority) -> None:
    encrypt_key(authority.issue("server"))
    ((path, fault),) = read(tmp_path).faults
    assert (path, "encrypted" in fault) == ("tls.key", True)


@pytest.mark.parametrize(
    ("life", "said"), [(timedelta(days=3), "ends on"), (timedelta(days=-3), "ended on"), (timedelta(days=30), "")]
)
def test_the_end_of_a_certificate_is_said_before_it_comes(
    tmp_path: Path, authority: Authority, life: timedelta, said: str
) -> None:
    authority.issue("server", life=life)
    found = read(tmp_path)
    assert found.material is not None
    assert [said in warning for warning in found.warnings] == ([True] if said else [])


def test_a_key_that_everybody_may_read_is_said(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "server.key").chmod(0o644)
    assert "chmod 600" in " ".join(read(tmp_path).warnings)
