"""The command that prints a token, and the function that makes one: claims, exit codes, what is refused and why."""

import json
import secrets
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from pathlib import Path

import jwt as pyjwt
import pytest

from jotgate.errors import CommandError, KeyRefused
from jotgate.sdk.generate_jwt import generate_token, main

SECRET = secrets.token_urlsafe(32)


def header_of(token: str) -> object:
    segment = token.split(".", maxsplit=1)[0]
    return json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without `.env`, and an environment without a secret."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JWT_SECRET_KEY", raising=False)
    monkeypatch.delenv("JWT_ALGORITHM", raising=False)
    return tmp_path


def test_header_and_claims_are_those_of_the_document_and_no_others() -> None:
    before = int(time.time())
    token = generate_token(secret_key=SECRET, subject="my-client", expires_in_seconds=60, algorithm="HS256")
    claims = pyjwt.decode(token, SECRET, ["HS256"])
    assert header_of(token) == {"alg": "HS256", "typ": "JWT"}
    assert list(claims) == ["sub", "iat", "exp"]
    assert before <= claims["iat"] <= time.time()
    assert (claims["sub"], claims["exp"]) == ("my-client", claims["iat"] + 60)
    assert list(pyjwt.decode(generate_token(SECRET), SECRET, ["HS256"])) == ["sub", "iat"]


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_as_long_as_the_hash(algorithm: str, size: int) -> None:
    long_enough = secrets.token_urlsafe(64)[:size]
    assert header_of(generate_token(long_enough, algorithm=algorithm)) == {"alg": algorithm, "typ": "JWT"}
    with pytest.raises(KeyRefused) as caught:
        generate_token(long_enough[:-1], algorithm=algorithm)
    assert f"token_urlsafe({size})" in caught.value.message
    assert long_enough[:-1] not in caught.value.message


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_token_that_has_ended_already_is_not_made(seconds: int) -> None:
    with pytest.raises(CommandError):
        generate_token(SECRET, expires_in_seconds=seconds)


@pytest.mark.parametrize("subject", ["", "two\nlines", "x" * 20_000])
def test_a_subject_that_the_api_would_refuse_is_refused(subject: str) -> None:
    with pytest.raises(CommandError):
        generate_token(SECRET, subject)


@pytest.mark.parametrize("algorithm", ["none", "RS256", "hs256", ""])
def test_another_algorithm_is_refused_and_those_that_there_are_named(algorithm: str) -> None:
    with pytest.raises(CommandError) as caught:
        generate_token(SECRET, algorithm=algorithm)
    assert "HS256 or HS384 or HS512" in caught.value.message


@pytest.mark.parametrize(
    ("text", "lifetime_s"),
    [("45", 45), ("3600s", 3_600), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("4w", 2_419_200)],
)
def test_the_time_that_a_token_lives(
    text: str, lifetime_s: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    assert main(["--expires-in", text, "--subject", "my-service"]) == 0
    said = capsys.readouterr()
    claims = pyjwt.decode(said.out.strip(), SECRET, ["HS256"])
    assert claims["exp"] - claims["iat"] == lifetime_s
    assert (said.out.count("\n"), said.err) == (1, "")


@pytest.mark.parametrize("text", ["", "0", "0s", "-1d", "1y", "1 d", "d", "1.5h", "²s"])
def test_a_time_that_is_none_is_a_wrong_argument(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"--expires-in={text}", "--secret", SECRET]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.startswith("ERROR: ")) == ("", True)


@pytest.mark.parametrize("arguments", [["--algorithm", "none"], ["--sub", "x"], ["now"]])
def test_an_argument_that_is_not_known_is_a_wrong_one(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert (caught.value.code, capsys.readouterr().out) == (2, "")


def test_without_a_secret_the_command_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "JWT_SECRET_KEY not found" in said.err
    assert 'python -c "import secrets; print(secrets.token_urlsafe(32))"' in said.err


def test_the_algorithm_may_be_written_in_small_letters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_ALGORITHM", "hs512")
    assert main(["--secret", secrets.token_urlsafe(64), "--algorithm", "hs512", "--expires-in", "1h"]) == 0
    printed = capsys.readouterr()
    assert pyjwt.get_unverified_header(printed.out.strip())["alg"] == "HS512"
    assert "another algorithm" not in printed.err


def test_a_secret_that_is_none_is_told_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--secret", SECRET[:31]]) == 1
    said = capsys.readouterr()
    assert (said.out, "less than 32 characters" in said.err, SECRET[:31] in said.err) == ("", True, False)


def test_a_secret_that_can_be_guessed_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--secret", "my-test-secret-key-32-characters!"]) == 0
    said = capsys.readouterr()
    assert said.out.count(".") == 2
    assert "WARNING: the secret is good for trying things out alone" in said.err


def test_what_the_api_would_refuse_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_ALGORITHM", "HS512")
    assert main(["--secret", SECRET, "--expires-in", "53w"]) == 0
    warnings = capsys.readouterr().err
    assert "longer than 365 days" in warnings
    assert "JWT_ALGORITHM is set to another algorithm" in warnings


def test_the_environment_goes_before_the_argument_default_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", SECRET)
    other = secrets.token_urlsafe(32)
    assert main(["--secret", other]) == 0
    assert pyjwt.decode(capsys.readouterr().out.strip(), other, ["HS256"])["sub"] == "client"


def test_a_python_without_jotgate_is_told_which_one_has_it() -> None:
    script = Path(__file__).parents[3] / "scripts" / "generate_jwt.py"
    done = subprocess.run([sys.executable, "-S", script], env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no module 'jotgate'" in done.stderr
    assert ".venv/bin/python" in done.stderr
    assert "Traceback" not in done.stderr
