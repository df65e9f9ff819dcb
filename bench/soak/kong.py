"""Ten thousand credentials brought to a Kong that fails, goes silent and loses answers, by a control that is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from msgspec.structs import asdict, replace
from sqlalchemy import insert

from jotgate.core.kong_credentials import CredentialState, KongCredential
from jotgate.core.values import Secret
from jotgate.keystores.sealed_texts import TextSeals
from jotgate.services.kong_applying import AT_ONCE
from jotgate.stores.addresses import StoreAddress
from jotgate.stores.engines import make_engine, writing
from jotgate.stores.files import PrivateFiles
from jotgate.stores.schema_kong import KONG_CREDENTIALS
from jotgate.testing.kong import Kong, kong_in_thread
from jotgate.testing.kong_values import KongFault
from jotgate.testing.running import Gateway, clean_environment, run_command, short_directory, until

PAGE_ROWS: Final = 1_000
RUNS_MAX: Final = 10
PAGE: Final = """\
# {credentials:,} credentials at a Kong that fails: one request for each change, and nothing lost by a kill

Run of {when}; `make soak` repeats it. A `jotgate up` with SQLite before a Kong's stand-in on the same machine. Of
the requests to its Admin API some get a 500 or 502, some an end of the connection before or behind the change, some
silence for longer than `kong.timeout` (1 s). Control is killed by SIGKILL when a part is done; `jotgate kong apply`
is run until it is content.

| | first run | after somebody and our users changed things |
|---|---|---|
| changes that were needed | {first.changes:,} | {second.changes:,} |
| requests that change something | {first.writes:,} | {second.writes:,} |
| of these met by a fault | {first.faults} | {second.faults} |
| under way when control was killed, at most | {first.in_flight} | {second.in_flight} |
| requests that read, at most {pages} pages a plan | {first.reads} | {second.reads} |
| runs of `jotgate kong apply` | {first.runs} | {second.runs} |
| seconds | {first.seconds:.1f} | {second.seconds:.1f} |

Every change cost one request, and one more for each that a fault met or the kill cut off. In the end the plan was
empty, each credential of the store was at Kong with its key and secret, none that was deleted, and what was not
ours was as before.
"""
_MASTER: Final = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"
_MASTER_NAME: Final = "JOTGATE_MASTER_KEY"
_SETTINGS: Final = """\
[keys]
master_key_env = "{name}"
[kong]
admin_url = "{url}"
timeout = "1s"
reconcile = "0s"
"""
_PATIENCE_S: Final = 300.0
_LIFE_S: Final = 30_000_000


@dataclass(frozen=True, slots=True)
class KongSizes:
    """How much there is. `kill_at` changes are done when control is killed; one request in `fault_every` goes wrong."""

    consumers: int
    each: int
    fault_every: int
    silences: int
    kill_at: int
    meddled: int

    @property
    def credentials(self) -> int:
        """How many credentials there are."""
        return self.consumers * self.each


KONG_FULL: Final = KongSizes(1_000, 10, 100, 5, 4_000, 500)
KONG_SMALL: Final = KongSizes(20, 10, 25, 1, 80, 20)


@dataclass(slots=True)
class Round:
    """One time that Kong was brought to what the store says. Mutable while it runs."""

    changes: int = 0
    writes: int = 0
    reads: int = 0
    faults: int = 0
    in_flight: int = 0
    runs: int = 0
    seconds: float = 0.0

    @property
    def most(self) -> int:
        """So many requests that change something may there be."""
        return self.changes + self.faults + self.in_flight


@dataclass(slots=True)
class KongFindings:
    """What came of it. `faults` say what is not as it must be."""

    first: Round = field(default_factory=Round)
    second: Round = field(default_factory=Round)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KongRig:
    """A gateway that does not run yet, the Kong that it knows, and the rows of its store."""

    gateway: Gateway
    kong: Kong
    rows: Sequence[KongCredential]
    place: Path


@contextmanager
def kong_rig(sizes: KongSizes) -> Iterator[KongRig]:
    """An installation whose store has the credentials, of which Kong knows nothing; something of others is at Kong."""
    with kong_in_thread() as kong, short_directory() as place:
        settings = place / "jotgate.toml"
        settings.write_text(_SETTINGS.format(name=_MASTER_NAME, url=kong.admin_url))
        environment = {_MASTER_NAME: _MASTER, "JOTGATE_CONFIG": str(settings)}
        made = run_command("token", "create", "--subject", "me", data=place / "data", environment=environment)
        assert made.returncode == 0, made.stderr
        rows = list(_make_rows(sizes))
        _keep(place / "data", rows)
        other = kong.add("consumers", username="others", tags=["others"])
        kong.add("jwt_secrets", key="others", consumer={"id": other["id"]})
        gateway = Gateway(place / "data", ("--config", str(settings)), environment)
        try:
            yield KongRig(gateway, kong, rows, place)
        finally:
            gateway.kill()


def run_kong(rig: KongRig, sizes: KongSizes) -> KongFindings:
    """Bring everything there through faults and a kill; change things on both sides, and bring that there too."""
    found = KongFindings()
    rig.gateway.start()
    _fill(rig, sizes, found)
    assert rig.gateway.stop() == 0
    _mend(rig, sizes, found)
    _compare(rig, sizes, found)
    return found


def _make_rows(sizes: KongSizes) -> Iterator[KongCredential]:
    now_s = int(time.time())
    for number in range(sizes.credentials):
        made = str(uuid.UUID(int=number * 2**64 + number + 1, version=4))
        yield KongCredential(
            credential_id=made,
            key=f"key-{made}",
            consumer=f"user-{number // sizes.each}",
            consumer_id="",
            subject=f"sub-{number // sizes.each}",
            token_name=f"token-{number}",
            algorithm="HS256",
            public_key_pem=None,
            sealed=None,
            created_at_s=now_s,
            expires_at_s=now_s + _LIFE_S,
            state=CredentialState.HELD,
            changed_at_s=now_s,
        )


def _secret_of(row: KongCredential) -> str:
    return f"secret-of-{row.credential_id}"


def _keep(data: Path, rows: Sequence[KongCredential]) -> None:
    """Put the rows into the store as if each had been minted."""
    seals = TextSeals(Secret(_MASTER), PrivateFiles(data))
    sealed = [replace(row, sealed=seals.seal(Secret(_secret_of(row)), row.context)) for row in rows]
    engine = make_engine(StoreAddress(file=data / "store.db"))
    with writing(engine) as connection:
        connection.execute(insert(KONG_CREDENTIALS), [{**asdict(row), "state": str(row.state)} for row in sealed])
    engine.dispose()


def _command(rig: KongRig, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        "JOTGATE_DATA": str(rig.gateway.data),
        "JOTGATE_CONFIG": str(rig.place / "jotgate.toml"),
        _MASTER_NAME: _MASTER,
    }
    return subprocess.run(
        [sys.executable, "-m", "jotgate", "kong", *arguments],
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
        env=clean_environment(environment),
    )


def _fill(rig: KongRig, sizes: KongSizes, found: KongFindings) -> None:
    """The first run: through faults, with control killed in the middle."""
    this, kong = found.first, rig.kong
    this.changes = sizes.credentials + sizes.consumers + 1
    kinds = [
        KongFault(ill="status", status=500),
        KongFault(ill="drop"),
        KongFault(ill="reset", done=True),
        KongFault(ill="status", status=502, done=True),
    ]
    skips = range(sizes.fault_every, sizes.credentials, sizes.fault_every)
    faults = [replace(kinds[place % len(kinds)], skip=skip - place, method="PUT") for place, skip in enumerate(skips)]
    every = max(1, len(faults) // (sizes.silences + 1))
    for place in range(every, len(faults), every)[: sizes.silences]:
        faults[place] = replace(faults[place], ill="silence", done=False)
    kong.faults += faults
    killer = threading.Thread(target=_kill_control, args=(rig, sizes.kill_at))
    killer.start()
    _apply_until_content(rig, this, found.faults)
    killer.join()
    this.faults = len(faults) - len(kong.faults)
    this.in_flight = AT_ONCE
    kong.faults.clear()
    _count(this, found.faults)
    if this.faults < len(faults) // 2:
        found.faults.append(f"only {this.faults} of {len(faults)} faults were met")


def _kill_control(rig: KongRig, kill_at: int) -> None:
    until(lambda: rig.kong.changes >= kill_at, "Kong has been changed so often", _PATIENCE_S)
    os.kill(rig.gateway.pids["control"], signal.SIGKILL)


def _apply_until_content(rig: KongRig, this: Round, faults: list[str]) -> None:
    begun_s, start = time.monotonic(), len(rig.kong.asks)
    left = "nothing was run"
    while left and this.runs < RUNS_MAX:
        this.runs += 1
        done = _command(rig, "apply")
        left = f"{done.stdout[-500:]}{done.stderr[-500:]}" if done.returncode else ""
    if left:
        faults.append(f"after {this.runs} runs there was something left: {left}")
    this.seconds = time.monotonic() - begun_s
    asked = rig.kong.asks[start:]
    this.writes = sum(1 for one in asked if one.method != "GET")
    this.reads = len(asked) - this.writes


def _count(this: Round, faults: list[str]) -> None:
    """No more requests than changes, but for those that a fault met or the kill cut off."""
    if this.writes > this.most:
        faults.append(f"{this.writes} requests for {this.changes} changes and {this.faults} faults")


def _mend(rig: KongRig, sizes: KongSizes, found: KongFindings) -> None:
    """Somebody deletes and changes credentials at Kong, and users delete tokens; then no gateway runs."""
    deleted, changed, ended = (rig.rows[place :: len(rig.rows) // sizes.meddled][: sizes.meddled] for place in range(3))
    with httpx.Client(base_url=rig.kong.admin_url, trust_env=False) as somebody:
        for row in deleted:
            somebody.delete(f"/jwts/{row.credential_id}")
        for row in changed:
            somebody.patch(f"/jwts/{row.credential_id}", json={"secret": "of somebody else"})
    engine = make_engine(StoreAddress(file=rig.gateway.data / "store.db"))
    with writing(engine) as connection:
        chosen = KONG_CREDENTIALS.c.credential_id.in_([row.credential_id for row in ended])
        unwanted = KONG_CREDENTIALS.update().where(chosen).values(state=str(CredentialState.UNWANTED), sealed=None)
        connection.execute(unwanted)
    engine.dispose()
    found.second.changes = len(deleted) + len(changed) + len(ended)
    _apply_until_content(rig, found.second, found.faults)
    _count(found.second, found.faults)
    if _command(rig, "plan", "--check").returncode:
        found.faults.append("the plan is not empty in the end")


def _compare(rig: KongRig, sizes: KongSizes, found: KongFindings) -> None:
    ended = {row.credential_id for row in rig.rows[2 :: len(rig.rows) // sizes.meddled][: sizes.meddled]}
    wanted = {row.credential_id: (row.key, _secret_of(row)) for row in rig.rows if row.credential_id not in ended}
    ours = [row for row in rig.kong.credentials if row["tags"] == ["jotgate"]]
    if {row["id"]: (row["key"], row["secret"]) for row in ours} != wanted:
        found.faults.append("the credentials at Kong are not those of the store")
    if [row["key"] for row in rig.kong.credentials if row["tags"] != ["jotgate"]] != ["others"]:
        found.faults.append("what is not ours was touched")
    if len(rig.kong.consumers) != sizes.consumers + 1:
        found.faults.append("the consumers at Kong are not those of the store")


def render_kong(found: KongFindings, sizes: KongSizes, when: str) -> str:
    """What was found, as a page."""
    pages = -(-sizes.credentials // PAGE_ROWS) + -(-sizes.consumers // PAGE_ROWS) + 2
    return PAGE.format(when=when, credentials=sizes.credentials, first=found.first, second=found.second, pages=pages)
