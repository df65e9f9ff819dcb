"""A face's own key signs in place of the installation's, and what it signs is kept all the same."""

import asyncio
from typing import Final

from jotgate.core.durable import Issuance
from jotgate.jose.keys import SigningKey
from jotgate.keystores.local import LocalSigner
from jotgate.services.signing import NamedSigners
from jotgate.stores.access import DirectAccess
from jotgate.stores.memory import MemoryStore
from tests.signers import OneSigner
from tests.tokens import key

OURS: Final = key("ES256")
NAMED: Final = key("RS256")


def row(kid: str) -> Issuance:
    return Issuance("id", "ann", "backend", kid, 1, 4_000_000_000)


def test_the_key_that_is_named_at_that_moment_signs_and_the_row_is_durable_before() -> None:
    store = MemoryStore()
    named: list[SigningKey] = []
    others = OneSigner(OURS)
    signers = NamedSigners(lambda: named[-1] if named else None, others, DirectAccess(store), LocalSigner)
    assert asyncio.run(signers.signer(4_000_000_000, row)).key.kid == OURS.kid
    assert [one.kid for one in others.rows] == [OURS.kid]
    named.append(NAMED)
    assert asyncio.run(signers.signer(4_000_000_000, row)).key.kid == NAMED.kid
    kept = store.issuance("id")
    assert kept is not None
    assert kept.kid == NAMED.kid
    assert len(others.rows) == 1
