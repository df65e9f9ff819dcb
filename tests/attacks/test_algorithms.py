"""Rows A01 to A06 at a gateway with its own key: which algorithm, and which key."""

from tests.attacks.catalogue import Catalogue
from tests.attacks.target import Target


def test_A01_alg_none_in_every_spelling(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("A01", 50))


def test_A01b_unknown_algorithms_without_a_signature(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("A01b", 40))


def test_A02_public_key_as_hmac_secret(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("A02", 100))


def test_A03_algorithm_of_another_key(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("A03", 40))


def test_A04_algorithm_chosen_by_the_header(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("A04", 8))


def test_A06_empty_secrets_and_kids_that_lead_to_nothing(target: Target, catalogue: Catalogue) -> None:
    target.refuses_tokens(catalogue.row("A06", 20))
