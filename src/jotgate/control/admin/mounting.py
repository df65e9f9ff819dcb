"""The admin API put together: its table, all handlers, and the OpenAPI document that is made of both."""

from functools import cache, partial

from jotgate.control.admin.accounts import Office, account_handlers
from jotgate.control.admin.application import PREFIX, AdminDoor, Admission, build_admin
from jotgate.control.admin.openapi import describe
from jotgate.control.admin.policies import PolicyOffice, policy_handlers
from jotgate.control.admin.quotas import QuotaOffice, quota_handlers
from jotgate.control.admin.routes import ROUTES
from jotgate.control.admin.shapes import Call, Done, Handler
from jotgate.control.admin.tokens import token_handlers
from jotgate.control.admin.trust import TrustOffice, trust_handlers


def open_admin(
    admission: Admission, office: Office, trust: TrustOffice, policies: PolicyOffice, quotas: QuotaOffice
) -> AdminDoor:
    """The admin API, for the application that serves the edge."""
    document = cache(partial(describe, ROUTES, PREFIX))  # It takes long, and few ask for it.

    async def show_document(call: Call) -> Done:
        return Done(document())

    handlers: dict[str, Handler] = {
        "describe": show_document,
        **account_handlers(office),
        **token_handlers(office),
        **trust_handlers(trust),
        **policy_handlers(policies),
        **quota_handlers(quotas),
    }
    return build_admin(ROUTES, handlers, admission)
