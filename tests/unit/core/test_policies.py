"""The shipped policy: what the token's scopes and its `models` claim name, and nothing else."""

import pytest

from jotgate.core.operations import METRICS, OPERATIONS
from jotgate.core.policies import Allow, Deny, authorize
from tests.callers import principal


@pytest.mark.parametrize("operation", sorted({row.name for row in OPERATIONS} - {METRICS}))
def test_ai_covers_every_ai_call(operation: str) -> None:
    assert isinstance(authorize(principal(scopes={"ai"}), operation, ""), Allow)


def test_ai_does_not_cover_the_figures() -> None:
    assert authorize(principal(scopes={"ai"}), METRICS, "") == Deny("scope", METRICS)
    assert isinstance(authorize(principal(scopes={METRICS}), METRICS, ""), Allow)


def test_a_scope_covers_its_own_operation_only() -> None:
    embedder = principal(scopes={"embeddings"})
    assert isinstance(authorize(embedder, "embeddings", "m"), Allow)
    assert authorize(embedder, "chat.completions", "m") == Deny("scope", "chat.completions")


@pytest.mark.parametrize("scopes", [set(), {"AI"}, {"ai "}, {"chat"}, {"chat.completions.x"}])
def test_a_scope_is_compared_as_a_whole(scopes: set[str]) -> None:
    assert authorize(principal(scopes=scopes), "chat.completions", "m") == Deny("scope", "chat.completions")


def test_a_token_without_the_models_claim_may_use_every_model() -> None:
    assert isinstance(authorize(principal(models=None), "completions", "any"), Allow)


def test_a_models_claim_names_all_that_may_be_used() -> None:
    limited = principal(models={"a", "b"})
    assert isinstance(authorize(limited, "completions", "b"), Allow)
    assert authorize(limited, "completions", "c") == Deny("model", "c")
    assert authorize(limited, "completions", "A") == Deny("model", "A")


def test_an_empty_models_claim_leaves_no_model() -> None:
    assert authorize(principal(models=set()), "completions", "a") == Deny("model", "a")


def test_an_operation_that_names_no_model_needs_the_scope_alone() -> None:
    assert isinstance(authorize(principal(models=set()), "models", ""), Allow)


def test_the_scope_is_looked_at_before_the_model() -> None:
    assert authorize(principal(scopes=set(), models=set()), "models", "a") == Deny("scope", "models")
