"""What a worker holds of personal tokens: what control said of them, by the digest of the whole token.

A token that is not held is nobody's until control has said more. What is held is good while the token and this secret
of it count, while it is not revoked, and while nothing has changed of it, of its owner or of the owner's tenant.
"""

from hashlib import sha256
from math import inf
from typing import Final

from msgspec import Struct

from jotgate.core.accounts import DEFAULT_TENANT, TokenUse
from jotgate.core.personal_tokens import AccountNews, PersonalFinding
from jotgate.core.principals import Principal
from jotgate.core.revocations import personal_names
from jotgate.errors import TokenUnresolved
from jotgate.services.personal_lookup import find_form, malformed, read_finding
from jotgate.services.revocation import RevokedSet

REFUSALS_MAX: Final = 4_096
"""So many tokens that count for nothing are remembered at once."""
REFUSAL_S: Final = 2.0
"""For so long such a token is refused without a question."""
USES_MAX: Final = 4_096
"""Of so many tokens the last use is told at one go; that of further ones is not kept."""

_GENERATIONS: Final = 2


class Held(Struct, frozen=True):
    """One answer. `names` are what the token is revoked by; what its owner's state means for it, control has said."""

    finding: PersonalFinding
    principal: Principal
    until_s: float
    names: tuple[str, ...]


class _Generation:
    """Some answers, which of them are about a record, and how many came in. Mutable: all three."""

    __slots__ = ("about", "held", "taken")

    def __init__(self) -> None:
        self.held: dict[bytes, Held] = {}
        self.about: dict[tuple[str, str], set[bytes]] = {}
        self.taken = 0

    def keep(self, digest: bytes, one: Held) -> None:
        self.taken += 1
        self.held[digest] = one
        for record in _records(one):
            self.about.setdefault(record, set()).add(digest)

    def forget(self, record: tuple[str, str]) -> None:
        for digest in self.about.pop(record, ()):
            self.held.pop(digest, None)


class PersonalTokens:
    """Answers of control, as many as `limit` says. Mutable: they, the last refusals and uses, and `version`.

    It outlives the worlds that use it. `version` is that of the accounts of which control has told every change; -1:
    it has told nothing yet, and nothing is held.
    """

    def __init__(self, revoked: RevokedSet) -> None:
        self._revoked = revoked
        self._spares = revoked.spares
        self._young = _Generation()
        self._old = _Generation()
        self._refusals: dict[bytes, tuple[float, PersonalFinding]] = {}
        self._uses: dict[str, tuple[float, str]] = {}
        self._generation_size = 1
        self.version = -1
        self.lookups = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._young.held.keys() | self._old.held.keys())

    def limit(self, capacity: int) -> None:
        """Hold at most so many from the next answer on."""
        self._generation_size = max(1, capacity // _GENERATIONS)

    def resolve(self, token: bytes, now_s: float, peer: str) -> Principal:
        """The principal that a personal token speaks for at `now_s`; `peer` is who uses it.

        Raises:
            TokenMalformed: it has not the form of one, and nothing was looked up.
            TokenUnknown, TokenExpired, TokenRevoked: it does not count.
            TokenUnresolved: it is not held, and control has to be asked.
        """
        if find_form(token) is None:
            raise malformed()
        digest = sha256(token).digest()
        self.lookups += 1
        found = self._young.held.get(digest) or self._find_old(digest)
        if found is None:
            raise self._miss(digest, now_s)
        if now_s >= found.until_s:
            return read_finding(found.finding, now_s)
        principal = found.principal
        if not self._spares(found.names):
            self._revoked.check(principal, found.names, 0)
        uses = self._uses
        if len(uses) < USES_MAX or principal.token_id in uses:
            uses[principal.token_id] = (now_s, peer)
        return principal

    def knows(self, token: bytes) -> bool:
        """Whether control has said of a token that it counts; it may have ended since."""
        digest = sha256(token).digest()
        return digest in self._young.held or digest in self._old.held

    def look_again(self, token: bytes, now_s: float) -> Held:
        """What is held of a token that a running call came with, which is no further use. Raises as `resolve` does."""
        digest = sha256(token).digest()
        self.lookups += 1
        found = self._young.held.get(digest) or self._find_old(digest)
        if found is None:
            raise self._miss(digest, now_s)
        read_finding(found.finding, now_s)
        self._revoked.check(found.principal, found.names, 0)
        return found

    def learn(self, digest: bytes, finding: PersonalFinding, now_s: float) -> None:
        """Take control's answer about a token."""
        principal = finding.principal
        if principal is None:
            if len(self._refusals) >= REFUSALS_MAX:
                self._refusals.clear()
            self._refusals[digest] = (now_s + REFUSAL_S, finding)
            return
        self._refusals.pop(digest, None)
        self._keep(digest, Held(finding, principal, finding.until_s, personal_names(principal)))

    def forget(self, news: AccountNews) -> None:
        """Hold nothing that is about what has changed; what else is held is as new as these news."""
        if news.everything:
            self._young, self._old = _Generation(), _Generation()
        for change in news.changes:
            self._young.forget((change.kind, change.name))
            self._old.forget((change.kind, change.name))
        self._refusals.clear()
        self.version = news.version

    def take_uses(self) -> list[TokenUse]:
        """The last use of each token since this was asked before."""
        uses, self._uses = self._uses, {}
        return [TokenUse(token_id, int(used_at_s), peer) for token_id, (used_at_s, peer) in uses.items()]

    def _find_old(self, digest: bytes) -> Held | None:
        found = self._old.held.get(digest)
        if found is not None:
            self._keep(digest, found)
        return found

    def _keep(self, digest: bytes, one: Held) -> None:
        if self._young.taken >= self._generation_size:
            self._old, self._young = self._young, _Generation()
        self._young.keep(digest, one)

    def _miss(self, digest: bytes, now_s: float) -> TokenUnresolved:
        """What to say of a token that is not held. Raises what is remembered against it."""
        until_s, refused = self._refusals.get(digest, (-inf, None))
        if refused is not None and now_s < until_s:
            read_finding(refused, now_s)
        self.misses += 1
        return TokenUnresolved(digest, "whether this personal token counts cannot be known now", hint="Try again soon")


def _records(one: Held) -> tuple[tuple[str, str], ...]:
    principal = one.principal
    return (
        ("personal_token", principal.token_id),
        ("principal", principal.subject),
        ("tenant", one.finding.tenant or DEFAULT_TENANT),
    )
