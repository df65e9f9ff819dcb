"""Commands of the documents that need no server: run in a shell as they stand, their outcome given to jotgate."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from jotgate.core.values import parse_duration_s
from jotgate.errors import CommandError
from jotgate.jose import jws, jwt, keys
from jotgate.jose.encoding import b64url_encode
from tests.documents.excerpts import code, excerpt

TIME_LIMIT_S = 50  # RSA key generation on a busy machine


def shell(lines: str, folder: Path) -> str:
    """Standard output of the lines in bash, with `python` being the one that runs the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=TIME_LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_openssl_key_pair_signs_and_verifies(tmp_path: Path) -> None:
    shell(code("000", 25), tmp_path)
    key = keys.signing_key_from_pem((tmp_path / "private_key.pem").read_bytes(), "RS256")
    token = jwt.sign({"sub": "app"}, "JWT", key)
    assert jws.verify(jws.parse(token), keys.KeySet([key.verification_key]), ["RS256"]).kid == key.kid
    public = load_pem_public_key((tmp_path / "public_key.pem").read_bytes())
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 2048
    jwk = keys.public_jwk(key.verification_key)
    modulus = public.public_numbers().n
    assert jwk["n"] == b64url_encode(modulus.to_bytes(256)).decode()


@pytest.mark.parametrize("line", [55, 264])
def test_a_generated_secret_is_an_hs256_key(line: int, tmp_path: Path) -> None:
    secret = shell(code("001", line), tmp_path).rstrip("\n")
    assert len(secret) >= 32
    key = keys.hmac_key(secret.encode(), "HS256", "generated")
    token = jwt.sign({"sub": "client"}, "JWT", key)
    assert jws.verify(jws.parse(token), keys.KeySet([key.verification_key]), ["HS256"]).kid == "generated"


def test_a_hexadecimal_secret_is_an_hs256_key(tmp_path: Path) -> None:
    lines = code("004", 103)
    secret = shell(f"python - <<'LINES'\n{lines}LINES\n", tmp_path).rstrip("\n")
    stated = re.search("# Output: (.+)", lines)
    assert stated
    form = re.compile("[0-9a-f]{64}")
    assert form.fullmatch(stated[1])
    assert form.fullmatch(secret)
    assert secret != stated[1]
    assert keys.hmac_key(secret.encode(), "HS256", "generated").algorithm.name == "HS256"


def test_a_token_is_decoded_without_verification(tmp_path: Path) -> None:
    claims = {"sub": "client", "iat": 1234567890, "exp": 1234654290}
    token = jwt.sign(claims, "JWT", keys.generate("ES256")).decode()
    printed = json.loads(shell(code("001", 306, token=token), tmp_path))
    assert printed == claims
    assert printed == jwt.peek_unverified(token.encode())[1]


def test_the_units_of_a_duration() -> None:
    stated = re.findall(r"- `(\w)` - (\w+) \(e\.g\., `(\w+)`\)", excerpt("001", 80))
    assert [unit for unit, _, _ in stated] == ["s", "m", "h", "d", "w"]
    seconds = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
    for unit, name, example in stated:
        assert parse_duration_s(example) == int(example.removesuffix(unit)) * seconds[name]
    with pytest.raises(CommandError):
        parse_duration_s("30y")
