"""Where proxies ask whether a request may pass, whatever protocol they ask by: all that is done to calls is done here.

The request that a proxy holds is decided as one of a face (`core.decisions.DECISIONS`): its caller is authenticated,
held to quotas and policies, and recorded. It is answered 200, with fields that tell who calls, or as it is refused.
"""

from functools import partial

from jotgate.core.calls import Request
from jotgate.core.decisions import DECISIONS, Asked, DecisionRules, PathRules
from jotgate.core.operations import DECIDE
from jotgate.errors import JotgateError
from jotgate.gateway.pipeline import Gateway
from jotgate.ports import Answer


class DecisionDesk:
    """Decides by the rules of one snapshot; what a rule does not decide, the gateway does."""

    def __init__(self, gateway: Gateway, rules: DecisionRules) -> None:
        self._gateway = gateway
        self._rules = PathRules(rules.paths)

    def ask(self, asked: Asked, begun_s: float) -> Answer:
        """What answers, now or when it is known: 200 where the request may pass, else its refusal.

        `begun_s` is when the proxy asked, on the monotonic clock. What is answered is in one piece (`Caller.respond`).
        """
        request = Request(
            asked.method,
            asked.path,
            asked.query,
            asked.headers,
            asked.address,
            begun_s,
            operation=DECIDE,
            certificate=asked.certificate,
            face=DECISIONS,
        )
        try:
            request.asked = self._rules.find(asked)
            return self._gateway.open(request)
        except JotgateError as refusal:
            return partial(self._gateway.refuse, request, refusal.with_traceback(None))
