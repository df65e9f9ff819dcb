"""What may be `JWT_SECRET_KEY` for which algorithm, and the one line that makes a good one."""

import subprocess
import sys
from hashlib import sha256

import pytest

from jotgate.core.prompt_chain_secret import (
    algorithm_fault,
    bearer_expectation,
    bearer_key,
    bearer_keys,
    make_secret,
    secret_fault,
)
from jotgate.jose import jwt

HEX = sha256(b"a secret of this test").hexdigest()


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_the_line_that_is_told_makes_a_secret_that_is_taken(algorithm: str, size: int) -> None:
    assert algorithm_fault(algorithm) == ""
    line = make_secret(algorithm)
    assert line.startswith('python -c "')
    code = line.removeprefix('python -c "').removesuffix('"')
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    ).stdout.strip()
    assert secret_fault(made, algorithm) == ""
    assert secret_fault(made[: size - 1], algorithm).endswith(line)


@pytest.mark.parametrize(
    ("secret", "algorithm", "said"),
    [
        ("", "HS256", "JWT_SECRET_KEY is not set"),
        ("   ", "HS256", "JWT_SECRET_KEY is not set"),
        ("x1" * 15, "HS256", "less than 32 characters"),
        ("é" * 31, "HS256", "less than 32 characters"),
        (HEX[:32], "HS512", "less than the 64 bytes that HS512 needs"),
        ("ab" * 40, "HS256", "a few repeated bytes"),
        ("-----BEGIN PUBLIC KEY-----\n" + "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQ" * 2, "HS256", "is no key"),
        ("\udcff" + HEX, "HS256", "no UTF-8 text"),
    ],
)
def test_what_is_no_secret_is_told_and_not_shown(secret: str, algorithm: str, said: str) -> None:
    fault = secret_fault(secret, algorithm)
    assert said in fault
    assert not secret.strip() or secret not in fault


def test_another_variable_is_told_by_its_name() -> None:
    assert secret_fault("", "HS256", "CHAIN_SECRET").startswith("CHAIN_SECRET is not set")


@pytest.mark.parametrize("algorithm", ["RS256", "none", "", "hs256"])
def test_another_algorithm_is_a_fault(algorithm: str) -> None:
    assert "HS256 or HS384 or HS512" in algorithm_fault(algorithm)


def test_what_is_signed_here_is_taken_for_ever_unless_it_says_when_it_ends() -> None:
    secret = HEX
    token = jwt.sign({"sub": "client", "iat": 1}, "JWT", bearer_key(secret, "HS256"), with_kid=False)
    taken = jwt.verify(token, bearer_keys(secret, "HS256"), bearer_expectation("HS256"), 4e9)
    assert taken.claims.raw == {"sub": "client", "iat": 1}
