"""Decides which DPoP proofs count: each once, in its time, and none that a lost memory might have known as used."""

from collections.abc import Callable
from typing import Final

from jotgate.core.dpop_nonces import KEY_BYTES, KEY_LIFE_S, NONCE_LIFE_S, make_nonce, period_of, read_nonce
from jotgate.core.durable import Mark
from jotgate.core.proof_times import Judged, ProofRules, Sight, Verdict, Word, judge_time
from jotgate.errors import StoreUnavailable
from jotgate.ports import Clock, Entropy, StoreAccess
from jotgate.services.used_proofs import UsedProofs

PROOF_MARK: Final = "dpop_proof"
NONCE_KEY_MARK: Final = "dpop_nonce_key"
"""The kinds of what a shared store keeps: used proofs, and the keys of nonces."""

_RENEWED_AFTER_S: Final = NONCE_LIFE_S / 2


class ProofDesk:
    """The one that remembers for this machine, and asks a shared store for all. Mutable: used proofs, keys, the epoch.

    `shared` None: no other machine has part in this installation. `rules` says what is demanded at that moment.
    """

    def __init__(
        self, shared: StoreAccess | None, *, clock: Clock, entropy: Entropy, rules: Callable[[], ProofRules]
    ) -> None:
        self._shared = shared
        self._clock = clock
        self._entropy = entropy
        self._rules = rules
        self._used = UsedProofs()
        self._keys: dict[int, bytes] = {}
        self._newest_s = clock.now_s()
        self._epoch_s = self._newest_s
        self._lost = False

    def lose(self) -> None:
        """The shared store did not answer somebody: what answers next may be a copy that lacks what was marked last."""
        self._lost = self._shared is not None

    async def look(self, sight: Sight) -> Verdict:
        """What would become of a proof, as far as that is known without asking a shared store; it is not used by that.

        For whoever has more to check before the proof is used: nobody can fill the memory with proofs that get nothing.
        """
        try:
            verdict = await self._judge(sight, use=False)
        except StoreUnavailable:
            return Verdict("unknown")
        used = verdict.word == "fresh" and self._used.knows(sight.handle, sight.asker)
        return Verdict("used") if used else verdict

    async def judge(self, sight: Sight) -> Verdict:
        """What becomes of a proof that is good in itself; "fresh" is said once, then it is used."""
        try:
            return await self._judge(sight, use=True)
        except StoreUnavailable:
            return Verdict("unknown")

    async def _judge(self, sight: Sight, *, use: bool) -> Verdict:
        now_s, rules = self._now_s(), self._rules()
        nonce_at_s = await self._nonce_time(sight.nonce, now_s)
        judged = judge_time(sight.iat, nonce_at_s, now_s, self._epoch_s, rules)
        word = await self._use(sight, judged) if use and judged.word == "fresh" else judged.word
        wants = word == "nonce" or (word == "fresh" and rules.nonce_required)
        if wants or (nonce_at_s is not None and now_s - nonce_at_s > _RENEWED_AFTER_S):
            return Verdict(word, await self._new_nonce())
        return Verdict(word)

    def _now_s(self) -> float:
        """The time, which does not go back: what was forgotten since would count again."""
        self._newest_s = max(self._newest_s, self._clock.now_s())
        return self._newest_s

    async def _use(self, sight: Sight, judged: Judged) -> Word:
        taken = self._used.take(sight.handle, sight.asker, sight.holder, self._now_s())
        if taken != "fresh":
            return taken
        if self._shared is None:
            return "fresh"
        mark = Mark(PROOF_MARK, sight.handle.hex(), int(judged.until_s) + 1, sight.asker)
        now_s = int(self._now_s())
        try:
            found = await self._shared.run(lambda store: store.mark(mark, now_s))
        except StoreUnavailable:
            self.lose()
            raise
        if self._lost:
            self._lost, self._epoch_s = False, self._now_s()
            return "nonce"
        return "fresh" if found is None or found.content == sight.asker else "used"

    async def _nonce_time(self, text: str, now_s: float) -> float | None:
        """When a nonce was made; None for one that no machine of this installation has made lately."""
        nonce = read_nonce(text) if text else None
        if nonce is None or abs(nonce.period - period_of(now_s)) > 1:
            return None
        return nonce.at_s if nonce.is_made_with(await self._key(nonce.period)) else None

    async def _new_nonce(self) -> str:
        now_s = self._now_s()
        return make_nonce(await self._key(period_of(now_s)), now_s)

    async def _key(self, period: int) -> bytes:
        """The key of nonces of a day: the same for all machines, whoever is first to need it."""
        known = self._keys.get(period)
        if known is not None:
            return known
        made = self._entropy.random_bytes(KEY_BYTES)
        if self._shared is not None:
            mark = Mark(NONCE_KEY_MARK, str(period), (period + 2) * KEY_LIFE_S, made)
            now_s = int(self._now_s())
            found = await self._shared.run(lambda store: store.mark(mark, now_s))
            made = made if found is None else found.content
        self._keys = {number: key for number, key in self._keys.items() if abs(number - period) <= 1}
        return self._keys.setdefault(period, made)
