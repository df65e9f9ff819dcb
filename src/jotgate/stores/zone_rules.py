"""The clocks of time zones by name, from the rules that the machine keeps, for those who find windows of quotas."""

import zoneinfo
from datetime import UTC, tzinfo
from functools import lru_cache
from io import BytesIO

from jotgate.core.policy_values import UTC_NAME
from jotgate.stores.zones import find_zone


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo | None:
    """The clock of a zone; None: this machine knows no such zone. Read once: new rules count after a restart."""
    if name == UTC_NAME:
        return UTC
    rules = find_zone(name, {})
    return None if rules is None else zoneinfo.ZoneInfo.from_file(BytesIO(rules), key=name)
