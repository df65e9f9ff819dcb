"""The grant of a token that is traded for a narrower one (RFC 8693): ours for a child, another issuer's for ours."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jotgate.core.claims import AccessGrant
from jotgate.core.delegation import Party, chain_with, check_permitted, client_party, party_of
from jotgate.core.grants import ACCESS_TOKEN_URN, JWT_URN, REFRESH_TOKEN_URN, GrantRequest, TokenResponse
from jotgate.core.narrowing import descend
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
from jotgate.services.handout import Ask, Handout, ask_of
from jotgate.services.presented_tokens import PresentedTokens, find_bearer, told_of, told_unverified

ID_TOKEN_URN: Final = "urn:ietf:params:oauth:token-type:id_token"

_TYPES: Final = (ACCESS_TOKEN_URN, JWT_URN, ID_TOKEN_URN)


class _Said(Struct, frozen=True):
    """The types that the subject token and the actor token are said to be of; the latter is empty without one."""

    subject: str
    actor: str


class TokenExchange:
    """Trades tokens."""

    def __init__(self, tokens: PresentedTokens, access: StoreAccess, handout: Handout) -> None:
        self._tokens = tokens
        self._access = access
        self._handout = handout

    async def answer(self, request: GrantRequest) -> TokenResponse:
        """The tokens.

        1. The request has what it must, and asks for what there is (RFC 8693 s2.1).
        2. The subject token, and the actor token if there is one, are good by the rules of their issuers, and were not
           revoked (s2.2.2); what they are bound to is proven; whom they speak for may have tokens.
        3. Who acts is whom the actor token speaks for, another than the subject, through the client if that has proved
           who it is; without one the client itself, if it has and the subject token is not its own. That is who the
           subject token says may act, if it says so (s4.4).
        4. What is granted is within the token, the client and the record: scopes, models, roles, resources.
        5. A child names the tokens that it comes of, and ends no later than they (s2.2.1).
        6. That is recorded, and issued.

        Raises:
            OAuthMalformed: the request is not whole, or asks for what there is not.
            SubjectTokenRefused: a token is no good, or another has to act (RFC 8693 s2.2.2: `invalid_request`).
            ScopeRefused, TargetRefused, AuthorizationDetailsRefused: more is asked for than all of them allow.
            Unavailable: it cannot be known or recorded now.
        """
        said = _read_types(request.form)
        presented = await self._read(request.form.require("subject_token"), said.subject, "subject")
        with told_of(presented):
            return await self._answer(request, said, presented)

    async def _answer(self, request: GrantRequest, said: _Said, presented: Presented) -> TokenResponse:
        bearer = await self._find(presented, request, "subject")
        acting = None
        if said.actor:
            acting = await self._read(request.form.require("actor_token"), said.actor, "actor")
            await self._find(acting, request, "actor")
        party = self._find_party(request, presented, acting)
        ask = self._ask(request, presented, bearer)
        grant = self._handout.decide(ask, presented, bearer)
        if party is not None:
            grant = replace(grant, actors=chain_with(party.actor, grant.actors))
        grant = descend(grant, presented, acting, self._handout.issuer, self._handout.now_s())
        self._handout.check(grant)
        await request.use_proof()
        return await self._handout.hand_out(
            grant,
            presented,
            ask,
            family_end_s=_family_end(grant, presented, acting),
            issued_token_type=ACCESS_TOKEN_URN,
        )

    async def _read(self, token: str, kind: str, what: str) -> Presented:
        if token.startswith(Mark.REFRESH):
            raise SubjectTokenRefused(f"the {what} token is a refresh token, which is never traded")
        if kind != ACCESS_TOKEN_URN and token.startswith(Mark.PERSONAL):
            raise SubjectTokenRefused(f"the {what} token is a personal one, and no JWT", hint=f"Say {ACCESS_TOKEN_URN}")
        try:
            read = self._tokens.read_subject if what == "subject" else self._tokens.read
            presented = await read(token)
        except TokenError as error:
            refusal = SubjectTokenRefused(
                f"the {what} token is refused: {error.message}", hint=error.foreign_hint, debug=str(error.code)
            )
            raise told_unverified(refusal, error) from None
        if kind == ID_TOKEN_URN and presented.own:
            raise SubjectTokenRefused(f"the {what} token is an access token", hint=f"Say {ACCESS_TOKEN_URN}")
        return presented.as_access_token() if kind == ACCESS_TOKEN_URN else presented

    async def _find(self, presented: Presented, request: GrantRequest, what: str) -> KnownSubject | None:
        if not request.binding.covers(presented.principal.confirmation):
            raise SubjectTokenRefused(
                f"the {what} token is bound to a key or certificate that the request does not prove",
                hint="Send the request as its holder: docs/proof-of-possession.md says what must come with it",
            )
        try:
            return await self._access.run(lambda store: find_bearer(store, presented, request.client))
        except GrantRefused as refusal:
            raise SubjectTokenRefused(f"the {what} token is refused: {refusal.message}", hint=refusal.hint) from None

    def _find_party(self, request: GrantRequest, presented: Presented, acting: Presented | None) -> Party | None:
        """Who acts from now on; None: nobody but those who did. A client that proves nothing is nobody."""
        client, party = request.client, None
        proven = client.authentication != "none"
        if acting is not None:
            party = party_of(acting, presented, client.name if proven else "")
        elif proven:
            party = client_party(client.name, self._handout.issuer)
        check_permitted(presented, party, self._handout.issuer)
        own = presented.own and client.name in (presented.principal.client_id, presented.subject)
        return None if acting is None and own else party

    def _ask(self, request: GrantRequest, presented: Presented, bearer: KnownSubject | None) -> Ask:
        """What is asked for; `audience` names resources as `resource` does (RFC 8693 s2.1)."""
        asked = tuple(dict.fromkeys((*request.form.many("resource"), *request.form.many("audience"))))
        allowed = resources_within(presented, request.client.audiences, self._handout.issuer)
        if not allowed:
            audiences = presented.principal.audiences
            foreign = presented.own and self._handout.issuer not in audiences
            raise (SubjectTokenRefused if foreign else TargetRefused)(
                "the subject token is for none of the resources that this client may name",
                hint=f"It is for: {', '.join(sorted(audiences))}; "
                "'jotgate client set NAME --audience URL' lets a client name one",
            )
        ask = ask_of(request, asked, allowed)
        if ask.offline and bearer is None:
            raise ScopeRefused(
                "whom the subject token speaks for has no record here, by which a refresh token could be bounded",
                hint="Make one with 'jotgate principal create', or trade the token again when the new one has ended",
            )
        return ask


def _family_end(grant: AccessGrant, presented: Presented, acting: Presented | None) -> int | None:
    """When refresh tokens that are given for these end at the latest.

    A revocation of a token of ours is remembered until it would have ended, and no longer: so the refresh tokens that
    it is traded for end with it. One of another issuer shows who somebody is, as an assertion does, and is outlived.
    """
    return grant.not_after_s if presented.own else None if acting is None else acting.ends_at_s


def _read_types(form: Form) -> _Said:
    """What the tokens are said to be. Raises OAuthMalformed, also for what is not offered."""
    subject = _read_type(form, "subject")
    wanted = form.one("requested_token_type")
    if wanted not in ("", ACCESS_TOKEN_URN):
        raise OAuthMalformed(
            "the requested_token_type is none that is issued here",
            hint=f"Leave it out, or ask for {ACCESS_TOKEN_URN}; the scope offline_access asks for a refresh token",
        )
    if not form.one("actor_token"):
        if form.one("actor_token_type"):
            raise OAuthMalformed("there is an 'actor_token_type' without an 'actor_token'")
        return _Said(subject, "")
    return _Said(subject, _read_type(form, "actor"))


def _read_type(form: Form, what: str) -> str:
    kind = form.require(f"{what}_token_type")
    if kind not in _TYPES:
        why = "a refresh token is never one" if kind == REFRESH_TOKEN_URN else "its type is none that is traded"
        raise OAuthMalformed(f"the {what} token is refused: {why}", hint=f"Use one of {', '.join(_TYPES)}")
    return kind
