"""Rows A02, A06 and A07 before the start: what is no secret is refused when it is configured, and is not repeated."""

import json
import re
from base64 import b64encode, encodebytes
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from jotgate.core.guessing import PRINTED
from jotgate.jose.keys import SigningKey, generate
from jotgate.testing.public_forms import bare_forms, public_forms
from jotgate.testing.running import run_command, short_directory
from tests.architecture.sources import ROOT
from tests.documents.ledger import read_documents
from tests.issuers import STRONG

_ENTRY: Final = """
[[issuers]]
name = "issuer-{number}"
issuer = "https://{number}.example"
secret_file = "secret-{number}"
algorithms = ["{alg}"]
audiences = ["https://gate.example"]
"""
_WORD: Final = re.compile(r"""[^\s"'$,)(=]{12,}""")
_PUBLIC: Final = "[server]\nbehind_proxy = true\n"
_SETTING: Final = re.compile(r"issuers\[(\d+)\]\.secret_file")
# What looks like any good secret to whoever does not know the key.
_LIKE_CHANCE: Final = {"thumbprint", "kid", "jwk_number", "raw_modulus", "raw_compressed_point"}
_NOTHING: Final = (b"", b"\n", b"   \n", b" " * 64, b"\0" * 64, b"x" * 64, b"ab" * 32, b"\xff" * 64, b"\t" * 64)
_MADE_UP: Final = (
    b"change-me-change-me-change-me-change-me-change-me-change-me-change-me",
    b"your-secret-key-here-minimum-32-characters-and-then-some-more-of-them",
    b"correct horse battery staple correct horse battery staple correct horse",
    b"supersecretpasswordsupersecretpasswordsupersecretpasswordsupersecret",
    b"12345678901234567890123456789012345678901234567890123456789012345678",
    b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
    b"<replace this with the output of openssl rand before production use>",
)


def refusals(candidates: Mapping[str, bytes], head: str = "") -> dict[str, str]:
    """What `jotgate check` says of each as the secret of an issuer of its own; empty for one that it takes.

    What begins with the name of an algorithm of secrets is for that one, all others for HS256.
    """
    names = list(candidates)
    algorithms = [name[:5] if name.startswith("HS") else "HS256" for name in names]
    with short_directory() as directory:
        file = directory / "jotgate.toml"
        file.write_text(head + "".join(_ENTRY.format(number=number, alg=alg) for number, alg in enumerate(algorithms)))
        for number, secret in enumerate(candidates.values()):
            place = directory / f"secret-{number}"
            place.write_bytes(secret)
            place.chmod(0o600)
        found = run_command("check", "--config", str(file), "--json", data=directory / "data")
    said = dict.fromkeys(names, "")
    for fault in json.loads(found.stdout).get("faults", ()):
        if place_of := _SETTING.fullmatch(fault["setting"]):
            said[names[int(place_of[1])]] += fault["fault"]
    for secret in candidates.values():
        if len(secret.strip()) >= 12 and secret.isascii():
            assert secret.decode() not in found.stdout + found.stderr
    return said


def test_A02_a_public_key_is_no_secret() -> None:
    forms: dict[str, bytes] = {}
    for alg in ("ES256", "RS256", "Ed25519"):
        forms |= {f"{alg}_{name}": form for name, form in _forms_of(generate(alg)).items()}
    said = refusals(forms)
    unmarked = {name for name, form in forms.items() if form.isascii() and b"\0" not in form}
    assert {name for name in unmarked if "public key" not in said[name]} == set()
    assert [name for name, fault in said.items() if not fault] == []


def _forms_of(key: SigningKey) -> dict[str, bytes]:
    """Every form of a public key that can be told from chance, as text too where it is none."""
    forms = public_forms(key)
    bare = {name: raw for name, raw in bare_forms(key).items() if len(raw) > 32 and name not in _LIKE_CHANCE}
    for name, raw in {"der": forms["der"], **bare}.items():
        forms |= {f"{name}_base64": b64encode(raw), f"{name}_lines": encodebytes(raw)}
        forms[f"{name}_hex"] = raw.hex().encode()
    return forms


def test_A06_nothing_and_nearly_nothing_is_no_secret() -> None:
    said = refusals({f"secret_{number}": secret for number, secret in enumerate(_NOTHING)})
    assert [name for name, fault in said.items() if not fault] == []


def test_A07_a_secret_is_as_long_as_its_hash_and_its_issuers_alone() -> None:
    chance = (STRONG + STRONG.swapcase()).encode()
    lengths = {"HS256": 32, "HS384": 48, "HS512": 64}
    short = {f"{alg}_short": chance[: least - 1] for alg, least in lengths.items()}
    long_enough = {f"{alg}_long": chance[:least] for alg, least in lengths.items()}
    said = refusals(short | long_enough | {"HS256_again": long_enough["HS256_long"] + b"\n"})
    for alg, least in lengths.items():
        assert f"at least {least} bytes" in said[f"{alg}_short"]
        assert not said[f"{alg}_long"]
    first, again = list(said).index("HS256_long"), list(said).index("HS256_again")
    assert f"'issuer-{again}' a secret that the issuer 'issuer-{first}' (" in said["HS256_again"]


def test_A07_what_people_make_up_is_no_secret_where_others_reach_it() -> None:
    said = refusals({secret.decode(): secret for secret in _MADE_UP}, head=_PUBLIC)
    assert {secret for secret, fault in said.items() if "guessed" not in fault} == set()


def test_A07_secrets_that_documents_print_are_known_to_everybody() -> None:
    documents = read_documents(ROOT).values()
    words = {word for document in documents for line in document.lines for word in _WORD.findall(line)}
    printed = sorted(word for word in words if sha256(word.lower().encode()).hexdigest() in PRINTED)
    assert len(printed) >= len(PRINTED)
    said = refusals({secret: secret.encode() for secret in printed}, head=_PUBLIC)
    assert {secret for secret, fault in said.items() if not fault} == set()
