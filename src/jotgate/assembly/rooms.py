"""The rooms of control: who answers workers, each about one thing, and whom they need beside the installation."""

import asyncio

from msgspec import Struct

from jotgate.assembly.issuers import Issuers
from jotgate.assembly.keys import OpenKeys
from jotgate.assembly.kong_room import KongRoom, open_kong_room
from jotgate.assembly.mcp_children import McpChildren
from jotgate.assembly.mcp_room import McpRoom, open_mcp_room
from jotgate.assembly.object_room import ObjectRoom
from jotgate.assembly.personal_room import PersonalRoom, open_personal_room
from jotgate.assembly.policies import PolicyReader
from jotgate.assembly.proof_room import keep_watch, open_proof_desk
from jotgate.assembly.reload import Reloader
from jotgate.assembly.remote_keys import RemoteKeys
from jotgate.assembly.sight_room import SightRoom
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.assembly.unit_room import UnitRoom, open_unit_room
from jotgate.assembly.upstream_logins import UpstreamRoom, open_upstream_room
from jotgate.processes.bus import BusServer
from jotgate.services.endless_sights import EndlessSights
from jotgate.services.proof_desk import ProofDesk
from jotgate.services.ticket_desk import TicketDesk


class Others(Struct, frozen=True):
    """Who is trusted beside this installation, their keys, how long the first of them are waited for; and policies.

    `sights` are those of their tokens that never expire and that control has taken itself.
    """

    issuers: Issuers
    keys: RemoteKeys
    policies: PolicyReader
    sights: EndlessSights
    wait_s: float


class Rooms(Struct, frozen=True):
    """Who answers workers: of personal tokens, DPoP proofs, quotas, owned objects and upstreams' tokens.

    Whom they tell of sights stands among them, who asks Kong, who runs MCP servers, and who issues tickets.
    """

    personal: PersonalRoom
    proofs: ProofDesk
    units: UnitRoom
    sights: SightRoom
    objects: ObjectRoom
    upstreams: UpstreamRoom
    mcp: McpRoom
    children: McpChildren
    kong: KongRoom
    tickets: TicketDesk

    async def keep(self, keys: OpenKeys) -> None:
        """Do what recurs, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.personal.keep())
            group.create_task(self.units.keep())
            group.create_task(self.sights.keep())
            group.create_task(keep_watch(self.proofs, keys))
            group.create_task(self.upstreams.keep())
            group.create_task(self.kong.keep())
            group.create_task(self.children.keep())

    async def settle(self) -> None:
        """Keep what workers said last."""
        await self.personal.keep_uses()
        await self.sights.keep_sights()
        await self.units.settle()
        await self.kong.settle()
        await self.children.settle()


def open_rooms(keys: OpenKeys, reloader: Reloader, bus: BusServer, clock: SystemClock, others: Others) -> Rooms:
    """The rooms, which workers may ask over the bus."""
    upstreams = open_upstream_room(keys, reloader, bus, clock)
    rooms = Rooms(
        open_personal_room(keys, bus, clock),
        open_proof_desk(keys, reloader, bus),
        open_unit_room(keys, reloader, bus, clock),
        SightRoom(keys.access, keys.authority.recorder, others.sights),
        ObjectRoom(keys.access, clock),
        upstreams,
        open_mcp_room(keys, reloader, bus, clock, upstreams),
        McpChildren(reloader, clock),
        open_kong_room(keys, reloader, clock),
        TicketDesk(keys.access, clock=clock, entropy=SystemEntropy()),
    )
    bus.answers.serve_sights(rooms.sights)
    bus.answers.serve_tickets(rooms.tickets.redeem)
    bus.answers.serve_objects(rooms.objects.answer)
    return rooms
