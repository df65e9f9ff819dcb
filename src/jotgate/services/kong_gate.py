"""Kong, as one token is put there and taken away (ports.KongGate): each by a few requests that may be sent again.

A consumer that is not ours is never used: it may be in groups, or have other credentials, that are not the user's.
"""

from collections.abc import Callable
from http import HTTPStatus

from jotgate.core.kong_admin import ask, check, read_row, segment
from jotgate.core.kong_aims import KongAims
from jotgate.core.kong_credentials import KongConsumer, KongCredential, PlacedConsumer
from jotgate.core.kong_found import FoundConsumer, read_consumer
from jotgate.core.kong_plan import WantedCredential, put_consumer, put_credential
from jotgate.core.values import Secret
from jotgate.errors import KongConflict, KongUnavailable
from jotgate.ports import KongAdmin


class AdminGate:
    """Goes through the Admin API. Immutable. `aims` is what the settings in effect want of Kong; None: nothing."""

    def __init__(self, admin: KongAdmin, aims: Callable[[], KongAims | None]) -> None:
        self._admin = admin
        self._aims = aims

    async def put_consumer(self, consumer: KongConsumer) -> PlacedConsumer:
        """Have Kong know a consumer, and be in its groups.

        Raises:
            KongConflict: it knows one of this name that is not ours, or that is another user's.
            KongUnavailable, KongRefused: it cannot be known, or Kong does not want to.
        """
        aims = self._required()
        answer = await self._admin.ask(ask("GET", f"/consumers/{segment(consumer.username)}"))
        found = None if answer.status == HTTPStatus.NOT_FOUND else read_consumer(read_row(answer))
        # Kong finds a consumer by its id too, and a name may look like another's.
        if found is None or found.username != consumer.username:
            return await self._create(aims, consumer)
        await self._claim(aims, found, consumer)
        return PlacedConsumer(found.consumer_id, created=False)

    async def put_credential(self, credential: KongCredential, secret: Secret | None) -> None:
        """Have Kong take what this has signed.

        Raises:
            KongConflict: another credential has its key.
            KongUnavailable, KongRefused: it cannot be known, or Kong does not want to.
        """
        wanted = WantedCredential(
            credential_id=credential.credential_id,
            key=credential.key,
            consumer=credential.consumer,
            algorithm=credential.algorithm,
            public_key_pem=credential.public_key_pem,
            secret=secret,
        )
        check(await self._admin.ask(put_credential(wanted, credential.consumer_id, self._required().tag)))

    async def delete_credential(self, credential_id: str) -> None:
        """Have Kong take it no more. Raises KongUnavailable, KongRefused."""
        self._required()
        answer = await self._admin.ask(ask("DELETE", f"/jwts/{segment(credential_id)}"))
        check(answer, fine=(HTTPStatus.NOT_FOUND,))

    def _required(self) -> KongAims:
        aims = self._aims()
        if aims is None:
            raise KongUnavailable("no Kong is configured", hint="Set kong.admin_url, or KONG_ADMIN_URL for the preset")
        return aims

    async def _create(self, aims: KongAims, consumer: KongConsumer) -> PlacedConsumer:
        made = await self._admin.ask(put_consumer(consumer.username, consumer.custom_id, aims.tag))
        found = read_consumer(read_row(made))
        for group in aims.groups_of(consumer.username):
            body = {"group": group, "tags": [aims.tag]}
            path = f"/consumers/{segment(found.consumer_id)}/acls"
            check(await self._admin.ask(ask("POST", path, body)), fine=(HTTPStatus.CONFLICT,))
        return PlacedConsumer(found.consumer_id, created=True)

    async def _claim(self, aims: KongAims, found: FoundConsumer, consumer: KongConsumer) -> None:
        """Refuse a consumer that is not ours, and another user's."""
        if aims.tag not in found.tags:
            raise KongConflict(
                f"Kong has a consumer '{found.username}' that is not jotgate's, and it is not used",
                hint="'jotgate kong migrate' takes over the consumers of an older service",
            )
        if found.custom_id == consumer.custom_id or not consumer.custom_id:
            return
        if found.custom_id:
            raise KongConflict(f"the consumer '{found.username}' at Kong is another user's")
        body = {"custom_id": consumer.custom_id}
        check(await self._admin.ask(ask("PATCH", f"/consumers/{segment(found.consumer_id)}", body)))
