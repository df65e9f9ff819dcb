"""The grant of a JWT in which a trusted issuer says who somebody is (RFC 7523 s2.1): workload identity."""

from hashlib import sha256
from typing import Final

from jotgate.core.claims import AccessGrant
from jotgate.core.durable import Mark
from jotgate.core.grants import GrantRequest, TokenResponse
from jotgate.core.presented import Presented
from jotgate.errors import GrantRefused, SubjectTokenRefused, TokenError
from jotgate.jose.jwt import LEEWAY_S_MAX
from jotgate.ports import StoreAccess
from jotgate.services.handout import Handout, ask_of
from jotgate.services.presented_tokens import PresentedTokens, find_bearer, told_of, told_unverified

ASSERTION_MARK: Final = "assertion"
"""The kind of the marks that assertions leave, each of which counts once."""


class JwtBearer:
    """Issues tokens for assertions."""

    def __init__(self, tokens: PresentedTokens, access: StoreAccess, handout: Handout) -> None:
        self._tokens = tokens
        self._access = access
        self._handout = handout

    async def answer(self, request: GrantRequest) -> TokenResponse:
        """The tokens.

        1. There is an assertion (RFC 7521 s4.1).
        2. It is good by the rules of the issuer that it names, which is trusted and another than we (RFC 7523 s3).
        3. It is for us alone, it ends (s3, numbers 3 and 4), and it does not say who may act by it.
        4. Whom it speaks for is known here and may have tokens (number 2).
        5. What is granted is within what it says, the client and the record, and can be issued.
        6. It was not used before (number 7); only what passed all else uses it up.
        7. That is recorded, and issued.

        Raises:
            OAuthMalformed: there is no assertion.
            GrantRefused: it is no good, or says too much of who acts by it (RFC 7521 s4.1.1: `invalid_grant`).
            ScopeRefused, TargetRefused, AuthorizationDetailsRefused: more is asked for than it, the client and the
                record allow.
            Unavailable: it cannot be known or recorded now.
        """
        presented = await self._read(request.form.require("assertion"))
        with told_of(presented):
            return await self._answer(request, presented)

    async def _answer(self, request: GrantRequest, presented: Presented) -> TokenResponse:
        _check_binding(presented, request)
        self._check_audience(presented)
        _check_actor(presented)
        end_s = _end(presented)
        bearer = await self._access.run(lambda store: find_bearer(store, presented, request.client))
        ask = ask_of(request, request.form.many("resource"), request.client.audiences)
        grant = self._handout.decide(ask, presented, bearer)
        self._check(grant)
        await request.use_proof()
        await self._use_up(presented, end_s)
        return await self._handout.hand_out(grant, presented, ask)

    async def _read(self, assertion: str) -> Presented:
        try:
            presented = await self._tokens.read(assertion)
        except TokenError as error:
            refusal = GrantRefused(
                f"the assertion is refused: {error.message}", hint=error.foreign_hint, debug=str(error.code)
            )
            raise told_unverified(refusal, error) from None
        if presented.own:
            raise GrantRefused(
                "the assertion is refused: a token of ours is none", hint="Trade it with the grant token-exchange"
            )
        return presented

    def _check_audience(self, presented: Presented) -> None:
        if presented.principal.audiences != {self._handout.issuer}:
            raise GrantRefused(
                "the assertion is refused: it is for other audiences than this issuer alone",
                hint=f"Have it made with the one audience {self._handout.issuer}",
            )

    def _check(self, grant: AccessGrant) -> None:
        try:
            self._handout.check(grant)
        except SubjectTokenRefused as refusal:
            raise GrantRefused(f"the assertion is refused: {refusal.message}", hint=refusal.hint) from None

    async def _use_up(self, presented: Presented, end_s: int) -> None:
        """Mark it for all machines, by its `jti` or by what was signed, until nobody takes it any more."""
        principal = presented.principal
        handle = sha256(f"{principal.issuer}\0{principal.token_id}".encode()).hexdigest()
        mark = Mark(ASSERTION_MARK, handle, end_s + LEEWAY_S_MAX + 1)
        now_s = int(self._handout.now_s())
        if await self._access.run(lambda store: store.mark(mark, now_s)) is not None:
            raise GrantRefused("the assertion is refused: it was used before", hint="Get a new one for each request")


def _check_actor(presented: Presented) -> None:
    """Refuse an assertion that names who may act by it (RFC 8693 s4.4): nobody proves here to be that one."""
    if presented.principal.may_act is not None:
        raise GrantRefused(
            "the assertion is refused: its claim 'may_act' says who may act by it",
            hint="Trade it with the grant token-exchange, as that one",
        )


def _check_binding(presented: Presented, request: GrantRequest) -> None:
    if not request.binding.covers(presented.principal.confirmation):
        raise GrantRefused(
            "the assertion is refused: it is bound to a key or certificate that the request does not prove",
            hint="Send the request as its holder: docs/proof-of-possession.md says what must come with it",
        )


def _end(presented: Presented) -> int:
    end_s = presented.ends_at_s
    if end_s is None:
        raise GrantRefused("the assertion is refused: it has no claim 'exp'", hint="Have its issuer give it one")
    return end_s
