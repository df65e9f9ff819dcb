"""How a caller is told that it has had its share: of a quota, of what has a price, or of attempts."""

from math import inf

from msgspec import Struct

from jotgate.codes import Code
from jotgate.refusals import Refusal


class QuotaStanding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a quota stands for whom it is counted: what its holder may be told of it.

    `levels` is by what it is counted, `unit` what of (`core.quotas`); amounts of `cost` are nanodollars. `spent` is
    what is gone of `limit` in this window: charged, or reserved by calls that run. `window_s` is how long a window is
    (0: it never ends, or there is none). `resets_s` is in how many seconds there will be more (infinite: never),
    `resets_at` when that is (NumericDate; 0: never).
    """

    name: str
    levels: tuple[str, ...]
    unit: str
    limit: int
    spent: int
    window_s: int = 0
    resets_s: float = inf
    resets_at: int = 0


class QuotaExceeded(Refusal):
    """A quota has not so much left as the call needs.

    `standing` is how that quota stands, `others` how the others of the call do. `retry_after_s` becomes the
    Retry-After field; 0: to wait is of no use.
    """

    code = Code.QUOTA_EXCEEDED
    status = 429

    def __init__(
        self,
        standing: QuotaStanding,
        message: str,
        *,
        retry_after_s: int = 0,
        others: tuple[QuotaStanding, ...] = (),
        hint: str = "",
        debug: str = "",
    ) -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.standing = standing
        self.others = others
        self.retry_after_s = retry_after_s


class PriceUnknown(Refusal):
    """A limit in money meets the call, and its model has no price."""

    code = Code.PRICE_UNKNOWN
    status = 403
    default_hint = "Ask for another model, or have the operator of this gateway set its price in [[prices]]"


class AttemptsThrottled(Refusal):
    """From one address came too many credentials that were refused; the ones that it sends now are not looked at."""

    code = Code.ATTEMPTS_THROTTLED
    status = 429
    default_hint = "Stop sending the credential that is refused, and wait"

    def __init__(self, message: str, *, retry_after_s: int, hint: str = "", debug: str = "") -> None:
        super().__init__(message, hint=hint, debug=debug)
        self.retry_after_s = retry_after_s
