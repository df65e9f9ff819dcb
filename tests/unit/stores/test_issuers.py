"""What entries of issuers name is read as it stands, and what is wrong is told without showing a secret."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from jotgate.jose.keys import KeySet, generate
from jotgate.stores.files import PrivateFiles
from jotgate.stores.issuers import IssuerWay
from jotgate.stores.secret_ages import SecretAges
from jotgate.testing.public_forms import public_forms
from tests.issuers import OLDER, STRONG, ways_of

HEAD = '[[issuers]]\nname = "idp"\nissuer = "urn:idp"\n'


def way_of(text: str, variables: Mapping[str, str] | None = None, base: Path = Path("/nowhere")) -> IssuerWay:
    (way,) = ways_of(text, variables, base)
    return way


def text_of(way: IssuerWay) -> str | None:
    return None if way.found.secret is None else way.found.secret.reveal()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (STRONG.encode(), STRONG),
        (STRONG.encode() + b"\n", STRONG),
        (STRONG.encode() + b"\r\n", STRONG),
        (STRONG.encode() + b"\n\n", STRONG + "\n"),
        (b" " + STRONG.encode() + b" \n", f" {STRONG} "),
        (STRONG.encode() + b"\r", STRONG + "\r"),
        ("schlüssel-ß-Ω-8Zr1nVw5LkT0yBhXc7dMf3".encode(), "schlüssel-ß-Ω-8Zr1nVw5LkT0yBhXc7dMf3"),
    ],
)
def test_a_secret_is_the_text_of_its_file_but_for_one_line_end(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    way = way_of(HEAD + 'secret_file = "secret"', None, tmp_path)
    assert (text_of(way), way.faults, way.secret_files) == (text, (), (tmp_path / "secret",))
    assert way.found.changed_s == int((tmp_path / "secret").stat().st_mtime)


def test_a_secret_in_a_variable_is_its_text() -> None:
    way = way_of(HEAD + 'secret_env = "SHARED"', {"SHARED": f" {STRONG}\n"})
    assert text_of(way) == f" {STRONG}\n"
    assert way.found.secret_place == "the environment variable SHARED"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "is set neither in the environment nor in .env"),
        ({"SHARED": ""}, "is empty"),
        ({"SHARED": " \n"}, "is empty"),
        ({"SHARED": "\udcff" * 40}, "no UTF-8 text"),
        ({"SHARED": STRONG[:31]}, "at least 32 bytes"),
        ({"SHARED": "ab" * 20}, "a few repeated bytes"),
        ({"SHARED": "x" * 20_000}, "longer than"),
    ],
)
def test_what_is_no_secret_is_told(variables: Mapping[str, str], words: str) -> None:
    ((path, fault),) = way_of(HEAD + 'secret_env = "SHARED"', variables).faults
    assert path == "issuers[0].secret_env"
    assert words in fault
    assert not any(value.strip() and value in fault for value in variables.values())


def test_a_secret_in_the_place_of_its_variable_is_not_shown() -> None:
    ((_, fault),) = way_of(HEAD + f'secret_env = "{STRONG}"').faults
    assert "looks like the secret itself" in fault
    assert STRONG not in fault


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_at_least_as_long_as_the_hash(algorithm: str, size: int) -> None:
    whole = (STRONG + OLDER) * 2
    text = f'{HEAD}secret_env = "SHARED"\nalgorithms = ["{algorithm}"]'
    assert way_of(text, {"SHARED": whole[:size]}).faults == ()
    assert len(way_of(text, {"SHARED": whole[: size - 1]}).faults) == 1
    previous = {"SHARED": whole, "SHARED_PREVIOUS": whole[: size - 1], "SHARED_PREVIOUS_UNTIL": "2027-01-01T00:00:00Z"}
    ((path, _),) = way_of(text, previous).faults
    assert path == "issuers[0].previous_secret_env"


def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(public_forms(generate("ES256"))["pem"])
    ((_, fault),) = way_of(HEAD + 'secret_file = "key"', None, tmp_path).faults
    assert "has the form of a public key" in fault


@pytest.mark.parametrize(
    ("ours", "theirs", "setting"),
    [
        ({"S": STRONG}, {"T": STRONG}, "secret_env"),
        ({"S": STRONG}, {"T": STRONG + "\0"}, "secret_env"),
        ({"S": STRONG}, {"T": OLDER, "T_PREVIOUS": STRONG}, "previous_secret_env"),
        ({"S": OLDER, "S_PREVIOUS": STRONG}, {"T": STRONG}, "secret_env"),
        ({"S": OLDER, "S_PREVIOUS": STRONG}, {"T": STRONG + OLDER, "T_PREVIOUS": STRONG}, "previous_secret_env"),
    ],
)
def test_no_two_issuers_have_one_secret(ours: Mapping[str, str], theirs: Mapping[str, str], setting: str) -> None:
    ends = {"S_PREVIOUS_UNTIL": "2027-01-01T00:00:00Z", "T_PREVIOUS_UNTIL": "2027-01-01T00:00:00Z"}
    text = HEAD + 'secret_env = "S"\n' + HEAD.replace("idp", "other") + 'secret_env = "T"\n'
    first, second = ways_of(text, {**ours, **theirs, **ends})
    ((path, fault),) = second.faults
    assert (first.faults, path) == ((), f"issuers[1].{setting}")
    assert "gives 'other' a secret that the issuer 'idp' (issuers[0]." in fault
    assert STRONG not in fault


def test_one_issuer_may_have_its_secret_twice() -> None:
    variables = {"S": STRONG, "S_PREVIOUS": STRONG, "S_PREVIOUS_UNTIL": "2027-01-01T00:00:00Z"}
    assert way_of(HEAD + 'secret_env = "S"', variables).faults == ()


@pytest.mark.parametrize(
    ("more", "variables", "until_s", "faulty"),
    [
        ("", {"S_PREVIOUS_UNTIL": "2027-01-15T08:00:00Z"}, 1_800_000_000, False),
        ('previous_until = "2027-01-15T08:00:00Z"', {}, 1_800_000_000, False),
        ('previous_until = "2027-01-15T08:00:00Z"', {"S_PREVIOUS_UNTIL": "x"}, 1_800_000_000, False),
        ("", {}, None, True),
        ("", {"S_PREVIOUS_UNTIL": ""}, None, True),
        ("", {"S_PREVIOUS_UNTIL": "2027-01-15"}, None, True),
        ("", {"S_PREVIOUS_UNTIL": "tomorrow"}, None, True),
    ],
)
def test_a_previous_secret_ends(more: str, variables: Mapping[str, str], until_s: int | None, faulty: bool) -> None:
    way = way_of(f'{HEAD}secret_env = "S"\n{more}', {"S": STRONG, "S_PREVIOUS": OLDER, **variables})
    assert way.found.previous is not None
    assert way.found.previous_until_s == until_s
    assert [path for path, _ in way.faults] == ["issuers[0].previous_until"] * faulty


def test_an_implied_variable_that_is_empty_or_absent_is_none() -> None:
    for variables in ({"S": STRONG}, {"S": STRONG, "S_PREVIOUS": ""}, {"S": STRONG, "S_PREVIOUS_UNTIL": "x"}):
        way = way_of(HEAD + 'secret_env = "S"', variables)
        assert (way.found.previous, way.faults) == (None, ())


def test_a_previous_secret_that_is_named_must_be_there(tmp_path: Path) -> None:
    text = HEAD + 'secret_env = "S"\nprevious_secret_env = "OLD"\nprevious_until = "2027-01-15T08:00:00Z"'
    ((path, _),) = way_of(text, {"S": STRONG, "S_PREVIOUS": OLDER}).faults
    assert path == "issuers[0].previous_secret_env"
    (tmp_path / "old").write_text(OLDER + "\n")
    text = text.replace('previous_secret_env = "OLD"', 'previous_secret_file = "old"')
    way = way_of(text, {"S": STRONG, "S_PREVIOUS": "never looked at"}, tmp_path)
    assert way.found.previous is not None
    assert (way.found.previous.reveal(), way.faults) == (OLDER, ())


def test_a_file_of_keys_holds_a_key_set(tmp_path: Path) -> None:
    text = HEAD + 'jwks_file = "keys.json"'
    ((path, fault),) = way_of(text, None, tmp_path).faults
    assert (path, "cannot be read" in fault) == ("issuers[0].jwks_file", True)
    (tmp_path / "keys.json").write_text("[]")
    ((path, fault),) = way_of(text, None, tmp_path).faults
    assert (path, "in which there is none" in fault) == ("issuers[0].jwks_file", True)
    (tmp_path / "keys.json").write_bytes(KeySet([generate("ES256").verification_key]).to_jwks())
    way = way_of(text, None, tmp_path)
    assert (way.found.file, way.faults) == (str(tmp_path / "keys.json"), ())


def test_roots_are_certificates(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("nothing")
    text = '[[issuers]]\nname = "idp"\nissuer = "https://idp.example"\nca_file = "roots.pem"'
    ((path, fault),) = way_of(text, None, tmp_path).faults
    assert (path, "holds no certificates" in fault) == ("issuers[0].ca_file", True)


def test_since_when_a_secret_is_known_is_remembered(tmp_path: Path) -> None:
    ages = SecretAges(PrivateFiles(tmp_path))
    assert ages.read() == {}
    assert ages.note(["a", "b"], 100.5) == {"a": 100, "b": 100}
    assert ages.note(["b", "c"], 200.0) == {"a": 100, "b": 100, "c": 200}
    assert SecretAges(PrivateFiles(tmp_path)).read() == {"a": 100, "b": 100, "c": 200}
    (tmp_path / "secrets.json").write_bytes(b"\xff")
    assert ages.read() == {}
    ages.note((str(number) for number in range(1_500)), 300.0)
    assert len(ages.read()) == 1_000
