"""The grant of a token that is traded for a narrower one (RFC 8693): ours for a child, another issuer's for ours."""

from typing import Final

from msgspec.structs import replace

from jotgate.core.claims import AccessGrant
from jotgate.core.grants import ACCESS_TOKEN_URN, JWT_URN, REFRESH_TOKEN_URN, GrantRequest, TokenResponse
from jotgate.core.oauth_form import Form
from jotgate.core.opaque import Mark
from jotgate.core.presented import Presented, resources_within
from jotgate.errors import (
    GrantRefused,
    OAuthMalformed,
    ScopeRefused,
    SubjectTokenRefused,
    TargetRefused,
    TokenError,
)
from jotgate.ports import StoreAccess
from jotgate.services.accounts import KnownSubject
from jotgate.services.handout import Ask, Handout
from jotgate.services.presented_tokens import PresentedTokens, find_bearer

ID_TOKEN_URN: Final = "urn:ietf:params:oauth:token-type:id_token"
NARROWINGS_MAX: Final = 8
"""So many tokens may stand one behind the other: all are looked up at each call, and their names make tokens long."""

_SUBJECT_TYPES: Final = (ACCESS_TOKEN_URN, JWT_URN, ID_TOKEN_URN)
_NOT_OFFERED: Final = ("actor_token", "actor_token_type", "authorization_details", "tools", "limits")
"""What would make a token say more than it can yet: it is refused, for whoever asks counts on it."""


class TokenExchange:
    """Trades tokens."""

    def __init__(self, tokens: PresentedTokens, access: StoreAccess, handout: Handout) -> None:
        self._tokens = tokens
        self._access = access
        self._handout = handout

    async def answer(self, request: GrantRequest) -> TokenResponse:
        """The tokens.

        1. The request has what it must, and asks for what there is (RFC 8693 s2.1).
        2. The subject token is good by the rules of its issuer, and was not revoked (s2.2.2).
        3. Whom it speaks for may have tokens.
        4. What is granted is within the token, the client and the record: scopes, models, roles, resources.
        5. A child of ours names the tokens that it comes of, and ends no later than they (s2.2.1).
        6. That is recorded, and issued.

        Raises:
            OAuthMalformed: the request is not whole, or asks for what there is not.
            SubjectTokenRefused: the token is no good (RFC 8693 s2.2.2: `invalid_request`).
            ScopeRefused, TargetRefused: more is asked for than the token, the client and the record allow.
            Unavailable: it cannot be known or recorded now.
        """
        kind = _read_kind(request.form)
        presented = await self._read(request.form.require("subject_token"), kind)
        bearer = await self._find(presented, request)
        ask = self._ask(request, presented)
        grant = self._descend(self._handout.decide(ask, presented, bearer), presented)
        return await self._handout.hand_out(grant, presented, offline=ask.offline, issued_token_type=ACCESS_TOKEN_URN)

    async def _read(self, token: str, kind: str) -> Presented:
        if token.startswith(Mark.REFRESH):
            raise SubjectTokenRefused("the subject token is a refresh token, which is never traded")
        if kind != ACCESS_TOKEN_URN and token.startswith(Mark.PERSONAL):
            raise SubjectTokenRefused("the subject token is a personal one, and no JWT", hint=f"Say {ACCESS_TOKEN_URN}")
        try:
            presented = await self._tokens.read(token)
        except TokenError as error:
            raise SubjectTokenRefused(
                f"the subject token is refused: {error.message}", hint=error.foreign_hint, debug=str(error.code)
            ) from None
        if kind == ID_TOKEN_URN and presented.own:
            raise SubjectTokenRefused("the subject token is an access token", hint=f"Say {ACCESS_TOKEN_URN}")
        return presented.as_access_token() if kind == ACCESS_TOKEN_URN else presented

    async def _find(self, presented: Presented, request: GrantRequest) -> KnownSubject | None:
        try:
            return await self._access.run(lambda store: find_bearer(store, presented, request.client))
        except GrantRefused as refusal:
            raise SubjectTokenRefused(f"the subject token is refused: {refusal.message}", hint=refusal.hint) from None

    def _ask(self, request: GrantRequest, presented: Presented) -> Ask:
        """What is asked for; `audience` names resources as `resource` does (RFC 8693 s2.1)."""
        asked = tuple(dict.fromkeys((*request.form.many("resource"), *request.form.many("audience"))))
        allowed = resources_within(presented, request.client.audiences, self._handout.issuer)
        if not allowed:
            raise TargetRefused("the subject token is for none of the resources that this client may name")
        ask = Ask(request, asked, allowed)
        if ask.offline and presented.own:
            raise ScopeRefused(
                "a token of ours is not traded for a refresh token, which would outlive it",
                hint="Trade it again when the new one has ended, or ask for offline_access where it came from",
            )
        return ask

    def _descend(self, grant: AccessGrant, presented: Presented) -> AccessGrant:
        """The same as a child of the subject token; of an access token's family it is too."""
        lineage, end_s = presented.lineage, presented.ends_at_s
        if len(lineage) > NARROWINGS_MAX:
            raise SubjectTokenRefused(f"the subject token was narrowed {NARROWINGS_MAX} times before")
        if end_s is not None and end_s <= self._handout.now_s():  # Its issuer's leeway is not passed on.
            raise SubjectTokenRefused("the subject token is refused: it has expired")
        return replace(grant, ancestors=lineage, family=presented.principal.family, not_after_s=end_s)


def _read_kind(form: Form) -> str:
    """What the subject token is said to be. Raises OAuthMalformed, also for what is not offered."""
    for name in _NOT_OFFERED:
        if form.many(name):
            raise OAuthMalformed(f"'{name}' is not offered yet", hint=f"Leave out '{name}'")
    kind = form.require("subject_token_type")
    if kind not in _SUBJECT_TYPES:
        what = "a refresh token is never one" if kind == REFRESH_TOKEN_URN else "its type is none that is traded"
        raise OAuthMalformed(f"the subject token is refused: {what}", hint=f"Use one of {', '.join(_SUBJECT_TYPES)}")
    wanted = form.one("requested_token_type")
    if wanted not in ("", ACCESS_TOKEN_URN):
        raise OAuthMalformed(
            "the requested_token_type is none that is issued here",
            hint=f"Leave it out, or ask for {ACCESS_TOKEN_URN}; the scope offline_access asks for a refresh token",
        )
    return kind
