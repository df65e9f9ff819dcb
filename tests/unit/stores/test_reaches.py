"""The proxy's credential and the certificates that an upstream's entry names."""

from pathlib import Path

import pytest

from jotgate.core.routes import Proxy, Reach
from jotgate.core.values import Secret
from jotgate.stores.reaches import read_reach
from jotgate.testing.certificates import Authority


def test_an_entry_that_asks_for_nothing_goes_the_direct_way(tmp_path: Path) -> None:
    way = read_reach("upstreams[0]", {"name": "one"}, {}, tmp_path)
    assert (way.reach, way.faults, way.files) == (Reach(), (), ())


@pytest.mark.parametrize("source", ["env", "file"])
def test_a_proxy_and_its_credential_are_found(tmp_path: Path, source: str) -> None:
    (tmp_path / "proxy.txt").write_text("user:pass:word\n")
    entry = {"proxy": "http://[::1]:3128/", f"proxy_credential_{source}": "PROXY" if source == "env" else "proxy.txt"}
    way = read_reach("upstreams[0]", entry, {"PROXY": "user:pass:word"}, tmp_path)
    assert way.reach.proxy == Proxy("::1", 3128, Secret("user:pass:word"))
    assert way.faults == ()
    assert list(way.files) == ([tmp_path / "proxy.txt"] if source == "file" else [])


def test_the_certificates_are_read_whole_and_the_file_is_watched(tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    file.write_text(Authority(tmp_path, "one").root.read_text() + Authority(tmp_path, "two").root.read_text())
    way = read_reach("upstreams[0]", {"ca_file": "roots.pem"}, {}, tmp_path)
    assert (way.reach.roots, way.faults, way.files) == (file.read_text(), (), (file,))


@pytest.mark.parametrize(
    ("entry", "path", "fault"),
    [
        ({"ca_file": "none.pem"}, "ca_file", "cannot be read: No such file"),
        ({"ca_file": "empty.pem"}, "ca_file", "holds no certificates in PEM form"),
        ({"ca_file": "text.pem"}, "ca_file", "holds no certificates in PEM form"),
        ({"ca_file": "broken.pem"}, "ca_file", "holds no certificates in PEM form"),
        ({"proxy_credential_env": "NONE"}, "proxy_credential_env", "set neither in the environment nor in .env"),
        ({"proxy_credential_env": "WORD"}, "proxy_credential_env", "is not user:password"),
        ({"proxy_credential_env": "EMPTY"}, "proxy_credential_env", "empty or not one line"),
        ({"proxy_credential_file": "none.txt"}, "proxy_credential_file", "cannot be read"),
        ({"proxy_credential_file": "text.pem"}, "proxy_credential_file", "is not user:password"),
    ],
)
def test_what_cannot_be_used_is_a_fault_that_shows_no_secret(
    tmp_path: Path, entry: dict[str, str], path: str, fault: str
) -> None:
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "text.pem").write_text("hush")
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    way = read_reach("upstreams[3]", {"proxy": "http://p:1", **entry}, {"WORD": "hush", "EMPTY": ""}, tmp_path)
    ((where, said),) = way.faults
    assert where == f"upstreams[3].{path}"
    assert fault in said
    assert "hush" not in said
