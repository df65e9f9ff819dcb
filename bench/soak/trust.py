"""The soak of trust: tokens of ours and of a real provider, while the keys of both change and the provider dies."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench.soak.campaign import Broken, spread
from bench.soak.trust_load import Account, Bearers
from bench.soak.trust_rig import COOLDOWN_S, Minting, TrustRig

OWN: Final = "rotations of our own key by `jotgate key rotate`"
OUTAGES: Final = "outages of the provider, every other one with a provider that hangs"
THEIRS: Final = "rotations of the provider's key"


@dataclass(frozen=True, slots=True)
class TrustSizes:
    """How often what is done. `pause_s` lies between two deeds, `outage_s` is how long the provider is away."""

    own: int
    outages: int
    theirs: int
    pause_s: float
    outage_s: float


TRUST_FULL: Final = TrustSizes(own=20, outages=5, theirs=5, pause_s=0.6, outage_s=6.0)
TRUST_SMALL: Final = TrustSizes(own=2, outages=2, theirs=2, pause_s=0.1, outage_s=1.2)
# On a store that machines may share each rotation of ours takes as long as another machine may lag.
TRUST_SMALL_SHARED: Final = TrustSizes(own=1, outages=1, theirs=1, pause_s=0.1, outage_s=1.2)


@dataclass
class TrustFindings:
    """What the soak saw. Mutable while it runs."""

    account: Account = field(default_factory=Account)
    done: dict[str, int] = field(default_factory=dict)
    brought_first: int = 0
    seconds: float = 0.0


def run_trust(rig: TrustRig, sizes: TrustSizes) -> TrustFindings:
    """Run it and judge it.

    Raises:
        Broken: a good token was refused, a wrong one taken or answered with something else, or it proved nothing.
    """
    rig.stock()
    found = TrustFindings()
    with Bearers(rig.port, rig.wallet, found.account) as bearers, Minting(rig):
        deeds: dict[str, tuple[int, Callable[[int], None]]] = {
            OWN: (sizes.own, lambda _: rig.rotate_ours()),
            OUTAGES: (sizes.outages, lambda number: _lose(rig, sizes, hangs=number % 2 == 0)),
            THEIRS: (sizes.theirs, lambda number: _rotate_theirs(rig, bearers, found, first=number % 2 == 1)),
        }
        for name in spread({name: count for name, (count, _) in deeds.items()}):
            time.sleep(sizes.pause_s)
            number = found.done[name] = found.done.get(name, 0) + 1
            deeds[name][1](number)
        time.sleep(COOLDOWN_S + sizes.pause_s)
    found.seconds = time.monotonic() - found.account.began_s
    if found.account.faults:
        raise Broken(_tell(found))
    if found.account.kinds(wrong=False) < sizes.own + sizes.theirs + 2:
        raise Broken("not every key was brought by a token that was good: this proved nothing")
    return found


def _lose(rig: TrustRig, sizes: TrustSizes, *, hangs: bool) -> None:
    with rig.outage(hangs=hangs):
        time.sleep(sizes.outage_s)


def _rotate_theirs(rig: TrustRig, bearers: Bearers, found: TrustFindings, *, first: bool) -> None:
    """Every other time nobody asks for keys that do not exist: then the first token of the new one is owed at once."""
    rig.wallet.quiet = first
    if first:
        time.sleep(1.5 * COOLDOWN_S)
    bearers.bring(rig.rotate_theirs())
    found.brought_first += first
    rig.wallet.quiet = False


def _tell(found: TrustFindings) -> str:
    faults = found.account.faults
    return "\n".join([f"{len(faults)} tokens met what they must not:", *map(str, faults[:20])])
