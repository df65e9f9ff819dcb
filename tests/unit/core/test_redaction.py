"""Telling a secret that stands where the name of a variable or the path of a file should."""

import pytest

from jotgate.core.redaction import is_path, is_variable

SECRETS = [
    "sk-proj-0123456789abcdef",
    "gsk_abcdefghijklmnop",
    "AIzaSyA0123456789abcdefghij",
    "4f9c1d2e3b4a59687766554433221100",
    "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5",
    "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_neither_a_variable_nor_a_path(secret: str) -> None:
    assert not is_variable(secret)
    assert not is_path(secret)


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "key", "_K2", "MY_TEAM_2_PRODUCTION_OPENAI_API_KEY", "GCP_AI_KEY_2024"]
)
def test_a_variables_name_is_one(name: str) -> None:
    assert is_variable(name)


@pytest.mark.parametrize("name", ["", "my key", "user:password", "2KEY", "A-B"])
def test_what_no_shell_could_set_is_no_variable(name: str) -> None:
    assert not is_variable(name)


@pytest.mark.parametrize(
    "path",
    ["key.txt", "secrets/openai", "/run/secrets/Openai2Key/UpstreamKey", "./Prod2024CredentialFileOne", "sk-prod.txt"],
)
def test_a_files_path_is_one(path: str) -> None:
    assert is_path(path)


@pytest.mark.parametrize("text", ["user:hush", "-----BEGIN CERTIFICATE-----", "a\nb", "a\0b", "x" * 2_000])
def test_what_a_file_holds_is_no_path(text: str) -> None:
    assert not is_path(text)
