"""The accounts of the ledger: which quota of which holder counts where."""

from hashlib import sha256

import msgspec

from jotgate.core.quotas import Limit, Meter, Quota
from jotgate.jose.encoding import b64url_encode


def meter_of(quota: Quota, holders: tuple[str, ...]) -> Meter:
    """The account on which a quota counts for these holders, one for each of its levels."""
    return Meter(meter_key(quota.limit, tuple(zip(quota.per, holders, strict=True)), quota.scope), quota, holders)


def meter_key(limit: Limit, levels: tuple[tuple[str, str], ...], scope: str = "") -> str:
    """The name of an account: a digest of its unit, window, holders and scope, so that no name is too long."""
    told = (limit.unit, limit.window, limit.zone, limit.period_s, levels, scope)
    return b64url_encode(sha256(msgspec.json.encode(told)).digest()).decode("ascii")
