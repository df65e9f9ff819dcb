"""Has Casdoor say how a user stands, before the user gets what outlives the token that was shown."""

from collections.abc import Callable

from jotgate.core.casdoor_users import CasdoorPlace, ask_for, check_standing
from jotgate.core.kong_auth import KongUser
from jotgate.core.values import Secret
from jotgate.errors import JotgateError
from jotgate.ports import TokenEndpoint
from jotgate.services.kong_counts import KongCounts
from jotgate.services.recorder import Recorder


class CasdoorStanding:
    """Immutable. `place` says where the Casdoor with an `iss` is asked now.

    A no is counted in `counts`, and recorded with what Casdoor has said.
    """

    def __init__(
        self, web: TokenEndpoint, place: Callable[[str], CasdoorPlace], counts: KongCounts, recorder: Recorder
    ) -> None:
        self._web = web
        self._place = place
        self._counts = counts
        self._recorder = recorder

    async def check(self, issuer: str, user: KongUser, token: Secret, request_id: str) -> None:
        """Raise unless the Casdoor with the `iss` says that the user may log in now, and takes the token.

        Raises:
            TokenRevoked, ClaimRefused: it says no.
            IssuerUnavailable: it does not say.
            AuditUnavailable: it says no, or nothing, and that cannot be recorded.
        """
        place = self._place(issuer)
        answer = await self._web.post(ask_for(place, user, token))
        try:
            check_standing(answer, place.organization, user)
        except JotgateError as refusal:
            self._counts.refused[refusal.code] += 1
            details = {"code": refusal.code, "reason": refusal.debug or refusal.message, "request_id": request_id}
            self._recorder.record("kong.token_refused", actor=user.subject, subject=user.name, details=details)
            raise
