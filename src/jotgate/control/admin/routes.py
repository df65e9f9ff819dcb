"""The table of the admin API: each route in one row. The application, the OpenAPI document and the page come of it."""

from collections.abc import Iterator
from typing import Any, Final

from jotgate.control.admin.bodies import (
    ClientSecret,
    ClientView,
    FamilyView,
    IssuerView,
    KeyDone,
    NewClient,
    NewIssuer,
    NewKey,
    NewLimits,
    NewPersonalToken,
    NewPolicies,
    NewPrincipal,
    NewRevocation,
    NewTenant,
    PersonalSecret,
    PolicySetView,
    PrincipalView,
    Roll,
    Rotation,
    TenantView,
    TrialPolicies,
)
from jotgate.control.admin.shapes import AdminRoute, Page, Parameter
from jotgate.core.account_orders import Impact
from jotgate.core.account_values import ClientValues, PrincipalValues, TenantValues
from jotgate.core.endless_tokens import EndlessView
from jotgate.core.holder_orders import HolderAnswer
from jotgate.core.key_orders import KeyView
from jotgate.core.personal_tokens import PersonalView
from jotgate.core.policy_orders import PolicyFinding, PolicyQuestion, PolicyTrialAnswer
from jotgate.core.quota_orders import HolderView, QuotaFinding, QuotaQuestion
from jotgate.core.scopes import AdminNoun
from jotgate.core.token_orders import TokenView
from jotgate.core.tree_orders import TokenTree

_DELETE: Final = "Delete a {}, and end what it has: families, personal tokens, tokens that are known to live."
_OF_TENANT: Final = Parameter("tenant", "Only those of this tenant.")
_OF_SUBJECT: Final = Parameter("subject", "Only those of this subject.")
_OF_CLIENT: Final = Parameter("client_id", "Only those of this client.")
_OF_ISSUANCE: Final = (
    _OF_SUBJECT,
    _OF_CLIENT,
    Parameter("kid", "Only those that this key signed."),
    Parameter("parent", "Only those that were narrowed from this token."),
    Parameter("family", "Only those of this refresh-token family."),
)


def _accounts(noun: AdminNoun, new: Any, values: Any, view: Any, made: Any) -> Iterator[AdminRoute]:
    """The seven routes that clients, principals and tenants have."""
    one = noun.removesuffix("s")
    big, path = one.capitalize(), f"/{noun}"
    filters = () if noun == "tenants" else (_OF_TENANT,)
    yield AdminRoute(
        name=f"list{big}s", method="GET", path=path, noun=noun, summary=f"List the {noun}, by name.",
        answer=Page[view], filters=filters, paged=True,
    )  # fmt: skip
    yield AdminRoute(
        name=f"create{big}", method="POST", path=path, noun=noun, summary=f"Make a {one}.", body=new, answer=made,
        status=201, tagged=True, secret=noun == "clients",
    )  # fmt: skip
    named = path + "/{name}"
    yield AdminRoute(
        name=f"get{big}", method="GET", path=named, noun=noun, summary=f"Show a {one}.", answer=view, tagged=True
    )
    yield AdminRoute(
        name=f"change{big}", method="PATCH", path=named, noun=noun, body=values, answer=view, tagged=True, guarded=True,
        summary=f"Set what is sent of a {one}, and nothing else.",
    )  # fmt: skip
    yield AdminRoute(
        name=f"delete{big}", method="DELETE", path=named, noun=noun, answer=Impact, guarded=True,
        summary="Delete a tenant that has no accounts." if noun == "tenants" else _DELETE.format(one),
    )  # fmt: skip
    for action, summary in (
        ("enable", f"Enable a {one}, from the next grant on."),
        ("disable", f"Disable a {one}, and end the tokens that were issued to it."),
    ):
        yield AdminRoute(
            name=f"{action}{big}", method="POST", path=f"{named}/{action}", noun=noun, answer=view, tagged=True,
            summary=summary,
        )  # fmt: skip


_TOKENS: Final = (
    AdminRoute(
        name="listTokens", method="GET", path="/tokens", noun="tokens", answer=Page[TokenView], paged=True,
        filters=_OF_ISSUANCE, summary="List the access tokens that were issued here and have not ended, by jti.",
    ),
    AdminRoute(
        name="getToken", method="GET", path="/tokens/{jti}", noun="tokens", answer=TokenView,
        summary="Show what the ledger has of an access token.",
    ),
    AdminRoute(
        name="getTokenTree", method="GET", path="/tokens/{jti}/tree", noun="tokens", answer=TokenTree,
        summary="Show which tokens one comes of, and which came of it, each before its own.",
    ),
    AdminRoute(
        name="revokeToken", method="POST", path="/tokens/{jti}/revoke", noun="tokens", status=204,
        summary="Revoke an access token, and all that was narrowed from it.",
    ),
    AdminRoute(
        name="revokeTokens", method="POST", path="/tokens/revoke", noun="tokens", body=NewRevocation,
        answer=HolderAnswer, summary="Revoke what a client, a subject, a tenant or a key was issued, if `confirmed`.",
    ),
    AdminRoute(
        name="listFamilies", method="GET", path="/families", noun="tokens", answer=Page[FamilyView], paged=True,
        filters=(_OF_SUBJECT, _OF_CLIENT), summary="List the living refresh-token families, by identifier.",
    ),
    AdminRoute(
        name="endFamily", method="POST", path="/families/{family_id}/end", noun="tokens", status=204,
        summary="End a refresh-token family, and revoke the access tokens that came of it.",
    ),
    AdminRoute(
        name="listEndlessTokens", method="GET", path="/endless-tokens", noun="tokens", answer=Page[EndlessView],
        filters=(_OF_SUBJECT,), paged=True,
        summary="List the tokens that never expire and were taken, whoever issued them, by digest.",
    ),
    AdminRoute(
        name="listPersonalTokens", method="GET", path="/personal-tokens", noun="tokens", answer=Page[PersonalView],
        filters=(_OF_SUBJECT,), paged=True, summary="List personal tokens, by identifier.",
    ),
    AdminRoute(
        name="createPersonalToken", method="POST", path="/personal-tokens", noun="tokens", body=NewPersonalToken,
        answer=PersonalSecret, status=201, secret=True, summary="Make a personal token of a principal.",
    ),
    AdminRoute(
        name="getPersonalToken", method="GET", path="/personal-tokens/{subject}/{name}", noun="tokens",
        answer=PersonalView, summary="Show a personal token.",
    ),
    AdminRoute(
        name="rollPersonalToken", method="POST", path="/personal-tokens/{subject}/{name}/roll", noun="tokens",
        body=Roll, answer=PersonalSecret, secret=True, summary="Give a personal token a new secret.",
    ),
    AdminRoute(
        name="revokePersonalToken", method="POST", path="/personal-tokens/{subject}/{name}/revoke", noun="tokens",
        status=204, summary="Revoke a personal token, and all that was narrowed from it.",
    ),
)  # fmt: skip

_KEYS: Final = (
    AdminRoute(
        name="listKeys", method="GET", path="/keys", noun="keys", answer=Page[KeyView], paged=True,
        summary="List the signing keys, oldest first; no private part is ever shown.",
    ),
    AdminRoute(
        name="rotateKeys", method="POST", path="/keys", noun="keys", body=NewKey, answer=KeyDone, status=201,
        summary="Make a key that takes over signing.",
    ),
    AdminRoute(
        name="getKey", method="GET", path="/keys/{kid}", noun="keys", answer=KeyView, summary="Show a signing key."
    ),
    AdminRoute(
        name="promoteKey", method="POST", path="/keys/{kid}/promote", noun="keys", answer=KeyDone,
        summary="Have a pending key take over signing as soon as all know it.",
    ),
    AdminRoute(
        name="retireKey", method="POST", path="/keys/{kid}/retire", noun="keys", answer=KeyDone,
        summary="Have a key sign nothing more, and verify what it signed.",
    ),
    AdminRoute(
        name="revokeKey", method="POST", path="/keys/{kid}/revoke", noun="keys", answer=KeyDone,
        summary="Refuse at once whatever a key signed.",
    ),
)  # fmt: skip

_ISSUERS: Final = (
    AdminRoute(
        name="listIssuers", method="GET", path="/issuers", noun="issuers", answer=Page[IssuerView], paged=True,
        summary="List the issuers beside this installation, those of its configuration first.",
    ),
    AdminRoute(
        name="createIssuer", method="POST", path="/issuers", noun="issuers", body=NewIssuer, answer=IssuerView,
        status=201, tagged=True, summary="Trust an issuer whose keys are published on the web.",
    ),
    AdminRoute(
        name="getIssuer", method="GET", path="/issuers/{name}", noun="issuers", answer=IssuerView, tagged=True,
        summary="Show an issuer.",
    ),
    AdminRoute(
        name="deleteIssuer", method="DELETE", path="/issuers/{name}", noun="issuers", status=204, guarded=True,
        summary="Forget an issuer of the store.",
    ),
    AdminRoute(
        name="enableIssuer", method="POST", path="/issuers/{name}/enable", noun="issuers", answer=IssuerView,
        tagged=True, summary="Take the tokens of an issuer of the store again.",
    ),
    AdminRoute(
        name="disableIssuer", method="POST", path="/issuers/{name}/disable", noun="issuers", answer=IssuerView,
        tagged=True, summary="Take no tokens of an issuer of the store, and keep it.",
    ),
)  # fmt: skip

_POLICIES: Final = (
    AdminRoute(
        name="getPolicies", method="GET", path="/policies", noun="policies", answer=PolicySetView, tagged=True,
        summary="Show all policies in their order, those of the configuration first.",
    ),
    AdminRoute(
        name="replacePolicies", method="PUT", path="/policies", noun="policies", body=NewPolicies, answer=PolicySetView,
        tagged=True, guarded=True, summary="Put policies in place of all that the store has.",
    ),
    AdminRoute(
        name="testPolicies", method="POST", path="/policies/test", noun="policies", body=PolicyQuestion,
        answer=PolicyFinding, summary="Say what would be decided of a call, and which policy decides.",
    ),
    AdminRoute(
        name="tryPolicies", method="POST", path="/policies/try", noun="policies", body=TrialPolicies,
        answer=PolicyTrialAnswer, summary="Say what policies would change for calls if the store had them.",
    ),
)  # fmt: skip

_QUOTAS: Final = (
    AdminRoute(
        name="listQuotas", method="GET", path="/quotas", noun="quotas", answer=Page[HolderView], paged=True,
        summary="List the holders that the store keeps limits for, by level and name.",
    ),
    AdminRoute(
        name="getQuotas", method="GET", path="/quotas/{level}/{name}", noun="quotas", answer=HolderView, tagged=True,
        summary="Show the limits of a holder, and what is spent and left of all that count by it alone.",
    ),
    AdminRoute(
        name="replaceLimits", method="PUT", path="/quotas/{level}/{name}", noun="quotas", body=NewLimits,
        answer=HolderView, tagged=True, guarded=True,
        summary="Put limits in place of those that the store has for a holder.",
    ),
    AdminRoute(
        name="resetQuotas", method="POST", path="/quotas/{level}/{name}/reset", noun="quotas", answer=HolderView,
        summary="Forget what a holder has spent in the current windows.",
    ),
    AdminRoute(
        name="explainQuotas", method="POST", path="/quotas/explain", noun="quotas", body=QuotaQuestion,
        answer=QuotaFinding, summary="Say which quotas meet a call, and what is left of them.",
    ),
)  # fmt: skip

ROUTES: Final[tuple[AdminRoute, ...]] = (
    AdminRoute(
        name="describe",
        method="GET",
        path="/openapi.json",
        noun=None,
        summary="This document.",
        answer=dict[str, Any],
    ),
    *_accounts("clients", NewClient, ClientValues, ClientView, ClientSecret),
    AdminRoute(
        name="rotateClientSecret",
        method="POST",
        path="/clients/{name}/rotate-secret",
        noun="clients",
        body=Rotation,
        answer=ClientSecret,
        tagged=True,
        secret=True,
        summary="Give a client a new secret.",
    ),
    *_accounts("principals", NewPrincipal, PrincipalValues, PrincipalView, PrincipalView),
    *_accounts("tenants", NewTenant, TenantValues, TenantView, TenantView),
    *_TOKENS,
    *_KEYS,
    *_ISSUERS,
    *_POLICIES,
    *_QUOTAS,
)
