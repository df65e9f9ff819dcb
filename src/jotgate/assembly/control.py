"""The control process: opens DATA, serves the operator, the edge and the workers, and writes the audit log."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from msgspec.structs import replace
from starlette.applications import Starlette

from jotgate import __version__
from jotgate.assembly.account_routes import account_routes
from jotgate.assembly.administration import Offices, open_administration
from jotgate.assembly.at_start import standing_since
from jotgate.assembly.authority import VERIFIED_TOKENS, check_name
from jotgate.assembly.coze_room import CozeRoom
from jotgate.assembly.face_tokens import FaceTokens
from jotgate.assembly.identity_room import open_identity_desk
from jotgate.assembly.issuer_room import IssuerRoom
from jotgate.assembly.issuers import Issuers
from jotgate.assembly.keys import KeyRoom, OpenKeys, open_keys
from jotgate.assembly.kong_auth_room import KongAuthRoom
from jotgate.assembly.loading import Loaded
from jotgate.assembly.login_room import LoginRoom
from jotgate.assembly.means import Opener, means_at_start
from jotgate.assembly.narrowing import narrowing_routes, open_minter
from jotgate.assembly.policies import PolicyReader
from jotgate.assembly.policy_room import PolicyRoom
from jotgate.assembly.quota_room import QuotaRoom
from jotgate.assembly.reload import Effect, Origin, Reloader
from jotgate.assembly.remote_keys import RemoteKeys
from jotgate.assembly.renewal_room import RenewalRoom
from jotgate.assembly.reporting import Reporter
from jotgate.assembly.rooms import Others, Rooms, open_rooms
from jotgate.assembly.sources import unpack
from jotgate.assembly.status_looking import open_verifying
from jotgate.assembly.status_room import StatusRoom
from jotgate.assembly.system import SystemClock
from jotgate.assembly.token_routes import open_holder_desk, open_token_desk, token_routes
from jotgate.assembly.token_service import build_oauth, open_parts
from jotgate.assembly.upkeep import keep_tidy
from jotgate.control.faces import by_face
from jotgate.control.metrics import build_metrics, metrics_route
from jotgate.control.oauth import oauth_routes
from jotgate.control.operator import build_operator, order_route
from jotgate.control.public import build_public
from jotgate.control.realtime import secrets_route
from jotgate.control.server import ControlServer
from jotgate.control.tickets import tickets_route
from jotgate.control.usage import usage_route
from jotgate.core.claims import ACCESS_TOKEN
from jotgate.core.compiler import Materials, compile_snapshot
from jotgate.core.config import Metrics, seconds
from jotgate.core.config_checks import check_bound
from jotgate.core.face_compiler import FaceParts, add_faces
from jotgate.core.issuer_compiler import key_source
from jotgate.core.kong_aims import compile_kong
from jotgate.core.mcp_compiler import compile_all_grants
from jotgate.core.personal_tokens import PersonalOrder
from jotgate.core.plans import needs_plans
from jotgate.core.presets import Preset
from jotgate.core.snapshot import Snapshot
from jotgate.core.token_checks import refresh_rules
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError
from jotgate.gateway.world import build_verifier
from jotgate.processes.bus import BusServer
from jotgate.processes.child import Assignment
from jotgate.processes.sockets import listen_tcp, local_url
from jotgate.services.endless_sights import EndlessSights
from jotgate.services.issuable import Issuable
from jotgate.stores.accepted import ACCEPTED_BYTES_MAX, AcceptedText
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import PrivateFiles
from jotgate.stores.opening import open_store
from jotgate.stores.price_table import read_price_table
from jotgate.stores.secret_ages import SecretAges
from jotgate.stores.settings import Settings
from jotgate.telemetry.census import Census
from jotgate.telemetry.exposition import CONTENT_TYPE, expose
from jotgate.telemetry.logs import learn, learn_of, watch_loop


def run(assignment: Assignment, opener: Opener = open_store) -> None:
    """Run control until SIGTERM or the end of its supervisor. `opener` makes its store.

    Raises:
        ConfigurationError, DirectoryRefused: a fault that starting again will not mend.
        AuditUnavailable: the audit log cannot be written.
    """
    os.umask(0o077)
    directory = DataDirectory(Path(assignment.directory))
    sources, started_with = unpack(assignment)
    accepted = AcceptedText(PrivateFiles(directory.path, ACCEPTED_BYTES_MAX))
    host = urlsplit(assignment.url).hostname or ""  # What the supervisor listens on, whatever the settings say now.
    issuers = Issuers(sources, SecretAges(PrivateFiles(directory.path)), SystemClock())
    remote = RemoteKeys(directory.path)
    policies, sights = PolicyReader(), EndlessSights()
    opened: list[OpenKeys] = []

    def open_once(found: Loaded) -> OpenKeys:
        if not opened:
            means = means_at_start(directory, sources, started_with, assignment.url, found.settings)
            learn(means.secrets)
            opened.append(open_keys(replace(means, opener=opener)))
        return opened[0]

    def prepare(found: Loaded, version: int) -> Effect:
        config = found.settings.require()
        check_name(directory, config)
        if faults := check_bound(host, config.server, config.tls):
            raise ConfigurationError(faults)
        presets = standing_since(started_with, found.settings.presets, config)
        bound = replace(config, server=replace(config.server, host=host))
        own = open_once(found)
        kept = policies.read(found.settings, own.feed.picture.policies)
        settings = found.settings
        prices = read_price_table()
        grants = compile_all_grants(config, settings.grant_secrets, settings.reaches)
        materials = Materials(
            credentials=settings.credentials,
            reaches=settings.reaches,
            tls=found.tls,
            policies=kept,
            prices=prices,
            prompts=settings.prompts,
            brought=settings.brought,
            other_credentials=settings.other_credentials,
            grants=grants,
            mcp_session_key=own.authority.session_key,
        )
        snapshot = compile_snapshot(bound, own.authority.issuer_url, own.keys, version, materials)
        ours = snapshot.issuers[0]
        issuers.take(own.feed.picture.issuers)
        book = issuers.read(found.settings, bound.server, ours)
        key_sources = tuple(source for source in map(key_source, book.found) if source is not None)
        compiled = issuers.compile(ours, remote.sets_for(key_sources))
        parts = FaceParts({one.name: one for one in compiled}, own.keys, prices, settings.prompts, own.signs_with)
        snapshot = add_faces(replace(snapshot, issuers=compiled, made_at_s=own.made_at_s), presets, config, parts)
        metered = needs_plans(snapshot, kept=own.limits.kept.any)
        snapshot = replace(snapshot, metered=metered, tools=own.feed.picture.tools)
        learn_of(snapshot.upstreams, snapshot.all_issuers)
        learn(_further_secrets(settings, presets))
        verifier = build_verifier(snapshot.issuers, VERIFIED_TOKENS, revoked=own.revocations.revoked, sights=sights)
        kong = compile_kong(config, settings.kong.token, settings.kong.roots)
        return Effect(config, snapshot, verifier, book.states, key_sources, tuple(grants.values()), kong)

    # Nothing is made in DATA for settings with a fault: the first sound ones open it.
    reloader = Reloader(Origin(sources, started_with, accepted, assignment.again), prepare, SystemClock())
    (keys,) = opened
    keys.authority.recorder.record(
        "control.started", actor="jotgate", details={"version": __version__, "issuer": keys.authority.issuer_url}
    )
    metrics = Metrics(str(started_with["metrics.listen"]))
    others = Others(issuers, remote, policies, sights, seconds(str(started_with["server.issuer_wait"])))
    uvloop.run(_serve(assignment, directory, keys, reloader, _listen_for_metrics(metrics), others=others))
    keys.close()


def _further_secrets(settings: Settings, presets: Sequence[Preset]) -> list[Secret]:
    """What no log may show of the settings, beside what a snapshot has: it signs, or tokens are got by it."""
    of_grants = [secret for one in settings.grant_secrets.values() for secret in one.found.values()]
    of_presets = [one.private_key for one in presets]
    return [*of_grants, *(one for one in (*of_presets, settings.kong.token) if one is not None)]


def _listen_for_metrics(metrics: Metrics) -> list[socket.socket]:
    """The listener that `metrics.listen` asked for at the start, if it did. Raises AddressUnavailable."""
    address = metrics.address
    return [] if address is None else listen_tcp(*address, 1)


async def _serve(
    assignment: Assignment,
    directory: DataDirectory,
    keys: OpenKeys,
    reloader: Reloader,
    metrics_listeners: list[socket.socket],
    *,
    others: Others,
) -> None:
    operator_fd, edge_fd, bus_fd = assignment.listen_fds
    clock = SystemClock()
    census = Census(clock)
    bus = _open_bus(assignment, keys, reloader, census, others)
    rooms = open_rooms(keys, reloader, bus, clock, others)
    room = KeyRoom(keys, reloader, bus, clock)
    reporter = Reporter(
        url=assignment.url,
        issuer=keys.authority.issuer_url,
        metrics=tuple(local_url(*listener.getsockname()[:2]) + "/metrics" for listener in metrics_listeners),
        keys=room,
        bus=bus,
        reloader=reloader,
        clock=clock,
        started_s=clock.now_s() - clock.monotonic_s(),
        issuer_keys=others.keys.standings,
        upstream_tokens=rooms.upstreams.tokens.standings,
    )
    server = _build_server(directory, keys, others, reporter, census, rooms=rooms)
    loop = asyncio.get_running_loop()
    watch_loop(loop)

    def orphaned() -> None:
        loop.call_soon_threadsafe(server.stop)

    def swap(snapshot: Snapshot) -> None:
        others.keys.follow(reloader.effect.key_sources)
        rooms.upstreams.tokens.follow(reloader.effect.grants)
        bus.swap(snapshot)
        rooms.units.swap(snapshot)
        rooms.children.swapped()

    async def welcome_workers() -> None:
        await bus.start(socket.socket(fileno=bus_fd))
        assignment.report_ready()

    assignment.follow_supervisor(orphaned)
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    serving = loop.create_task(
        server.run([socket.socket(fileno=operator_fd), socket.socket(fileno=edge_fd), *metrics_listeners])
    )
    others.keys.follow(reloader.effect.key_sources)
    keeping = [
        loop.create_task(bus.keep_time()),
        loop.create_task(reloader.keep(swap, assignment.report_reloaded)),
        loop.create_task(reloader.keep_renewed(swap)),
        loop.create_task(room.keep()),
        loop.create_task(keys.revocations.keep()),
        loop.create_task(keep_tidy(keys.access, clock, lambda: refresh_rules(reloader.effect.config.tokens).grace_s)),
        loop.create_task(keys.accounts.keep()),
        loop.create_task(rooms.keep(keys)),
        loop.create_task(others.keys.keep(reloader.renew, others.wait_s, welcome_workers)),
    ]
    await _end_with_the_first(server, serving, keeping)
    await rooms.upstreams.settle()
    bus.stop()
    await rooms.settle()


def _open_bus(assignment: Assignment, keys: OpenKeys, reloader: Reloader, census: Census, others: Others) -> BusServer:
    """The bus, which tells workers what is revoked, and of no world but the one in effect."""
    bus = BusServer(
        reloader.effect.snapshot,
        keys.authority.log,
        census,
        expected=assignment.workers,
        age_s=lambda: keys.age_s,
        wanted=others.keys.wanted,
    )
    bus.follow(keys.revocations.revoked)
    keys.revocations.begin(bus.revoke)
    return bus


def _build_server(
    directory: DataDirectory,
    keys: OpenKeys,
    others: Others,
    reporter: Reporter,
    census: Census,
    *,
    rooms: Rooms,
) -> ControlServer:
    """What control answers, to whom."""
    room, reloader, clock = reporter.keys, reporter.reloader, reporter.clock
    issuer_room = _open_issuers(keys, others, reporter)
    policy_room = PolicyRoom(keys, others.policies, reloader, reporter.bus, clock)
    knows_zone = keys.authority.store.knows_zone
    issuable = Issuable(keys.revocations.revoked, lambda: reloader.effect.snapshot.issuers[0].leeway_s, knows_zone)
    signers = keys.authority.signers(keys.access, room.await_workers)
    statuses = StatusRoom(keys, reloader, signers)
    tokens = keys.authority.tokens_of(ACCESS_TOKEN, signers, issuable).placing(statuses.places)
    rooms.upstreams.speak_by(keys.authority.issuer_url, signers, clock)
    verify = rooms.personal.verifier(open_verifying(reloader, others.keys, reporter.bus))
    quota_room = QuotaRoom(keys, rooms.units, reloader, clock, verify)
    parts = open_parts(keys, reloader, verify, tokens, rooms.proofs)
    oauth = build_oauth(parts, others.keys.wanted)
    reporter.bus.answers.serve_forms(oauth.answer)
    reporter.bus.answers.serve_identities(open_identity_desk(keys, reloader, signers, verify).write)
    figures = metrics_route(_figures(census, others, reporter), CONTENT_TYPE)
    tickets = tickets_route(verify, rooms.tickets.issue)
    return ControlServer(
        operator_path=str(directory.control_socket),
        operator=build_operator(
            tokens,
            FaceTokens(lambda: reloader.effect.snapshot.faces, keys.revocations.revoked, clock).beside(verify),
            reporter.report,
            room.carry_out,
            issuers=issuer_room.carry_out,
            orders=(
                order_route("/personal-tokens", PersonalOrder, rooms.personal.carry_out),
                *account_routes(keys, tokens, lambda: reloader.effect.issuers),
                *policy_room.routes(verify),
                *quota_room.routes(),
                *rooms.upstreams.routes,
                *rooms.mcp.routes,
                *rooms.kong.routes,
                *narrowing_routes(parts),
                *token_routes(
                    open_token_desk(keys, reloader, parts.revoker), open_holder_desk(keys, reloader, parts.revoker)
                ),
            ),
        ),
        public=by_face(
            build_public(
                room.key_set,
                figures,
                usage_route(verify, quota_room.usage),
                secrets_route(open_minter(parts).mint),
                tickets,
                *oauth_routes(oauth),
                statuses.route,
                open_administration(keys, room, issuer_room, Offices(policy_room, quota_room), reloader),
                rooms.children.mount,
            ),
            {
                **LoginRoom(keys, reloader).build(parts.families, signers),
                **RenewalRoom(keys, reloader).build(parts.revoker, signers, room.key_set),
                **_faces(keys, reporter, census, rooms),
            },
            tickets=Starlette(routes=[tickets]),
        ),
        metrics=build_metrics(figures),
    )


def _open_issuers(keys: OpenKeys, others: Others, reporter: Reporter) -> IssuerRoom:
    """Who carries out orders about issuers."""
    return IssuerRoom(
        others.issuers,
        keys.access,
        keys.authority.recorder,
        reporter.clock,
        look=lambda: keys.feed.look(reporter.keys.renew),
        states=lambda: reporter.reloader.effect.issuers,
    )


def _faces(keys: OpenKeys, reporter: Reporter, census: Census, rooms: Rooms) -> Mapping[str, Starlette]:
    """Who answers at the faces that log nobody in, by their names."""
    reloader, clock, key_set = reporter.reloader, reporter.clock, reporter.keys.key_set
    return {
        **CozeRoom(rooms.upstreams.tokens, rooms.objects, reloader, clock).build(key_set),
        **KongAuthRoom(keys, reloader, clock, census).build(rooms.kong, key_set),
    }


def _figures(census: Census, others: Others, reporter: Reporter) -> Callable[[], bytes]:
    """What writes the figures of that moment."""
    effect = reporter.reloader
    return lambda: expose(census, others.keys.standings(), reporter.upstream_tokens(), effect.effect.snapshot.tools)


async def _end_with_the_first(
    server: ControlServer, serving: "asyncio.Task[None]", keeping: list["asyncio.Task[None]"]
) -> None:
    """Stop everything as soon as anything ends, and raise what it ended with."""
    await asyncio.wait([serving, *keeping], return_when=asyncio.FIRST_COMPLETED)
    server.stop()
    await serving
    for task in keeping:
        task.cancel()
    for task in keeping:
        with suppress(asyncio.CancelledError):
            await task
