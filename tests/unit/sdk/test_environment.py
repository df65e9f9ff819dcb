"""Where an application's variables come from: its environment goes before `.env`."""

from pathlib import Path

import pytest

from jotgate.sdk.environment import read_dotenv, read_variable


def test_a_file_that_cannot_be_read_has_no_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_dotenv() == {}
    (tmp_path / ".env").write_bytes(b"NAME=\xff\n")
    assert read_dotenv() == {}
    (tmp_path / ".env").write_text('NAME="a value"\n')
    assert read_dotenv() == {"NAME": "a value"}


def test_the_environment_of_now_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOTGATE_SDK_SAMPLE", "one")
    assert read_variable("JOTGATE_SDK_SAMPLE") == "one"
    monkeypatch.setenv("JOTGATE_SDK_SAMPLE", "two")
    assert read_variable("JOTGATE_SDK_SAMPLE") == "two"
    monkeypatch.delenv("JOTGATE_SDK_SAMPLE")
    assert read_variable("JOTGATE_SDK_SAMPLE") == ""
