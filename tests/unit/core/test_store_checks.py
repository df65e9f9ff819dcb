"""What `[store]` may say, and what each fault tells its owner."""

import pytest

from jotgate.core.config import StoreEntry
from jotgate.core.store_checks import check_store
from jotgate.core.values import Secret


@pytest.mark.parametrize(
    "url",
    [
        "",
        "postgresql://localhost/jotgate",
        "postgres://jotgate@127.0.0.1:5433/jotgate",
        "postgresql://[::1]/jotgate",
        "postgresql://jotgate@/jotgate?host=/run/postgresql",
        "postgresql://jot%40gate@db.example/jotgate?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://db.example/jotgate?sslmode=disable",
    ],
)
def test_a_sound_url_has_no_fault(url: str) -> None:
    assert check_store(StoreEntry(url=url)) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:hunter2@h/d?sslmode=require", "holds a password; take it out and use password_env"),
        ("postgresql://u:@h/d?sslmode=require", "holds a password"),
        ("postgresql://h/d?sslmode=require&password=hunter2", "holds a password; take it out and use password_env"),
        ("postgresql://db.example/d", "does not say whether under TLS; add sslmode=verify-full"),
        ("postgresql://10.0.0.1/d", "does not say whether under TLS"),
        ("postgresql://localhost/d?host=db.example", "does not say whether under TLS"),
        ("postgresql://h/d?sslmode=prefer", "does without TLS when somebody interferes"),
        ("postgresql://h/d?sslmode=allow", "does without TLS when somebody interferes"),
        ("postgresql://localhost", "names no database"),
        ("postgresql://localhost/", "names no database"),
        ("postgresql:///d", "names no host"),
        ("mysql://localhost/d", "is not the URL of a PostgreSQL"),
        ("sqlite:////tmp/x.db", "is not the URL of a PostgreSQL"),
        ("store.db", "is not the URL of a PostgreSQL"),
        ("postgresql://localhost:99999/d", "is not a URL"),
        ("postgresql://localhost:0/d", "is not the URL of a PostgreSQL"),
        ("postgresql://a,b/d?sslmode=require#x", "holds a '#'"),
        ("postgresql://localhost/d d", "holds characters that no URL has"),
        ("postgresql://localhost/d?x", "has no NAME=VALUE"),
        ("postgresql://localhost/d?sslmod=require", "did you mean 'sslmode'?"),
        ("postgresql://localhost/d?options=-c%20fsync%3Doff", "has the parameter 'options'"),
        ("postgresql://localhost/d?host=/a&host=b", "names a parameter twice"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(url: str, said: str) -> None:
    (fault,) = check_store(StoreEntry(url=url))
    assert fault[0] == "store.url"
    assert said in fault[1]
    assert "hunter2" not in fault[1]


def test_one_password_belongs_to_a_url() -> None:
    url = "postgresql://localhost/d"
    assert check_store(StoreEntry(url=url, password_env="A")) == []
    assert check_store(StoreEntry(url=url, password=Secret("x"), password_file="f")) == [
        ("store.password_file", "stands beside password; write one of them")
    ]
    assert check_store(StoreEntry(password_env="A")) == [
        ("store.password_env", "stands without store.url, and the SQLite file in DATA has no password")
    ]
