"""Issuers of the settings and of the store are put together so that nobody speaks for another."""

import tomllib

import pytest
from msgspec import structs

from jotgate.core.config_reader import read
from jotgate.core.issuer_book import Book, Kept, put_together
from jotgate.core.issuer_compiler import FoundIssuer, compile_issuers, iss_of
from jotgate.core.issuer_reader import read_issuer
from jotgate.core.issuers import Issuer
from jotgate.core.values import Secret
from jotgate.errors import Code, JotgateError
from jotgate.gateway.world import build_verifier
from jotgate.testing.forge import ABSENT
from tests.callers import NAME, NOW_S, issuer_of, make_issuer
from tests.issuers import OLDER, STRONG

OURS: Issuer = issuer_of(make_issuer())


def kept(name: str, *, enabled: bool = True, fault: str = "", secret: str = "", **settings: object) -> Kept:
    """An issuer of the store, by its settings; with a fault it leads to nothing."""
    entry, faults = read_issuer({"name": name, **settings})
    assert entry is not None, faults
    found = None if fault else FoundIssuer(path="", entry=entry, secret=Secret(secret) if secret else None)
    return Kept(name, enabled, iss_of(entry), found, (("", fault),) if fault else ())


def configured(text: str) -> list[FoundIssuer]:
    return [FoundIssuer(path=path, entry=entry) for path, entry in read(tomllib.loads(text)).issuers.items()]


def names(book: Book) -> tuple[list[str], list[str], dict[str, list[str]]]:
    """Who counts, whose tokens cannot be judged, and the faults of each."""
    return (
        [one.entry.name for one in book.found],
        [one.name for one in book.unusable],
        {one.name: one.faults for one in book.states if one.faults},
    )


A: str = '[[issuers]]\nname = "a"\nissuer = "https://a.example"\n'
NAMELESS: str = '[[issuers]]\nname = "old"\nprofile = "prompt-chain"\n'


def test_all_that_are_sound_and_enabled_count() -> None:
    book = put_together(
        OURS,
        configured(A + NAMELESS),
        [kept("b", issuer="https://b.example"), kept("c", enabled=False, issuer="https://c.example")],
    )
    assert names(book) == (["a", "old", "b"], [], {})
    assert [(one.name, one.origin, one.enabled) for one in book.states] == [
        *(("a", "file", True), ("old", "file", True)),
        *(("b", "store", True), ("c", "store", False)),
    ]
    assert len(compile_issuers(OURS, book.found, {})) == 4


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (kept("a", issuer="https://x.example"), "name: is 'a' as in the configuration"),
        (kept("x", issuer="https://a.example"), "as of the configuration, which goes before the store"),
        (kept("x", issuer=NAME), "as of this installation"),
        (kept("jotgate2", secret_env="S", audiences=[]), "one issuer alone may name none"),
        (kept("x", issuer="old", secret_env="S"), "is 'old' as of the configuration"),
    ],
)
def test_the_file_goes_first_and_that_is_said(one: Kept, words: str) -> None:
    book = put_together(OURS, configured(A + NAMELESS), [one])
    found, unusable, faults = names(book)
    assert (found, unusable) == (["a", "old"], [])
    assert words in faults[one.name][0]
    compile_issuers(OURS, book.found, {})


def test_whose_secret_another_issuer_has_does_not_count_and_its_tokens_cannot_be_judged() -> None:
    (first,) = configured('[[issuers]]\nname = "a"\nissuer = "https://a.example"\nsecret_env = "S"\n')
    first = FoundIssuer(path=first.path, entry=first.entry, previous=Secret(STRONG))
    stored = [
        kept("b", issuer="https://b.example", secret_env="S", secret=STRONG),
        kept("c", issuer="https://c.example", secret_env="S", secret=OLDER),
        kept("d", issuer="https://d.example", secret_env="S", secret=OLDER),
        kept("e", enabled=False, issuer="https://e.example", secret_env="S", secret=OLDER),
    ]
    book = put_together(OURS, [first], stored)
    found, unusable, faults = names(book)
    assert (found, unusable, set(faults)) == (["a", "c"], ["b", "d"], {"b", "d"})
    assert "the issuer 'a' (issuers[0].previous_secret_env) has too" in faults["b"][0]
    assert "secret_env: gives 'd' a secret that the issuer 'c' (secret_env) has too" in faults["d"][0]
    assert STRONG not in str(faults)


def test_of_two_in_the_store_the_first_counts() -> None:
    book = put_together(OURS, [], [kept("b", issuer="https://b.example"), kept("c", issuer="https://b.example")])
    found, unusable, faults = names(book)
    assert (found, unusable) == (["b"], [])
    assert "as of the issuer 'b' of the store" in faults["c"][0]


@pytest.mark.parametrize(("name", "issuer"), [("old", "api-gateway"), ("api-gateway", "https://old.example")])
def test_nobody_of_the_store_is_known_as_the_issuer_whose_tokens_a_face_makes(name: str, issuer: str) -> None:
    """Revocations name tokens by issuer, and a face's issuers leave the native listener by their names."""
    own = structs.replace(OURS, name="api-gateway", issuer="api-gateway")
    found, unusable, faults = names(
        put_together(OURS, [], [kept(name, issuer=issuer, jwks_url="https://old.example/set")], [own])
    )
    assert (found, unusable, list(faults)) == ([], [], [name])
    assert "the preset 'api-gateway'" in faults[name][0]


@pytest.mark.parametrize("iss", ["https://b.example", ""])
def test_tokens_of_one_that_leads_nowhere_cannot_be_judged(iss: str) -> None:
    settings = {"issuer": iss} if iss else {"secret_env": "S", "audiences": []}
    broken = kept("b", fault="its variable is not there", **settings)
    book = put_together(OURS, configured(A), [broken, kept("c", **settings)])
    found, unusable, faults = names(book)
    assert (found, unusable) == (["a"], ["b"])
    assert set(faults) == {"b", "c"}
    issuers = (*compile_issuers(OURS, book.found, {}), *book.unusable)
    source = make_issuer()
    with pytest.raises(JotgateError) as caught:
        build_verifier(issuers, 10).verify(source.with_claims(iss=iss or ABSENT), NOW_S)
    assert caught.value.code is Code.ISSUER_UNAVAILABLE


def test_one_of_which_nothing_is_known_is_told() -> None:
    book = put_together(OURS, [], [Kept("b", True, None, None, (("", "is not a table of settings in JSON"),))])
    assert names(book) == ([], [], {"b": ["is not a table of settings in JSON"]})
