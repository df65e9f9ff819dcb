"""A gateway that trusts a real OpenID Connect provider, and all that is done to the keys of both."""

import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, Self

from bench.soak.tokens import Token, Wallet, forge, kid_of
from jotgate.jose.keys import SigningKey, signing_key_from_jwk, signing_key_from_pem
from jotgate.testing.running import Gateway, run_command, running_gateway
from tests.databases import postgres
from tests.peers.oidc_provider import OidcProvider, running_provider

COOLDOWN_S: Final = 1.0
WORKERS: Final = 2
_CONFIGURATION: Final = """\
[[issuers]]
name = "provider"
issuer = "{issuer}"
algorithms = ["ES256"]
refresh = "{refresh}"
cooldown = "1s"
fetches_per_minute = 600
timeout = "1s"

[limits]
# On a store that other machines may share, a new key signs when each of them knows it or serves nothing any more.
max_staleness_s = 5
# Strangers and good callers have one address here, and each stranger is to be judged.
failed_attempts = 0

{more}"""
_MINT_S: Final = 0.2
_FORGE_S: Final = 20.0
_KEEP: Final = 1
_PATIENCE_S: Final = 30.0


class TrustRig:
    """The gateway, the provider, and the tokens of both. Mutable: how often what was done."""

    def __init__(self, gateway: Gateway, provider: OidcProvider) -> None:
        self.gateway = gateway
        self.provider = provider
        self.wallet = Wallet(seed=7)
        self.port = int(gateway.url.rpartition(":")[2])
        self._alive = threading.Lock()  # Held by whoever needs the provider as it is.
        self._published: dict[str, float] = {provider.kid: time.monotonic() - COOLDOWN_S}
        self._order = [provider.kid]

    def stock(self) -> None:
        """The first tokens."""
        self.mint()
        self.forge()

    def mint(self) -> None:
        """A new good token of ours, and one of the provider's if it is there."""
        self.wallet.put_ours(self.our_token())
        if self._alive.acquire(blocking=False):
            try:
                self._mint_theirs()
            finally:
                self._alive.release()

    def our_token(self) -> str:
        """A token that control issues, as `jotgate token create` has it."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(_PATIENCE_S)
            sock.connect(str(self.gateway.data / "control.sock"))
            connection = http.client.HTTPConnection("control")
            connection.sock = sock
            connection.request("POST", "/tokens", b'{"subject":"soak"}', {"Content-Type": "application/json"})
            return str(json.loads(connection.getresponse().read())["token"])

    def _mint_theirs(self) -> None:
        text = self.provider.token(self.gateway.url)
        self.wallet.put_theirs(text, self._published[kid_of(text)] + COOLDOWN_S)

    def forge(self) -> None:
        """New wrong tokens around the keys that sign now."""
        ours, theirs = self._our_key(), signing_key_from_jwk(self.provider.signing_keys()[0])
        gate, now_s = self.gateway.url, time.time()
        self.wallet.replace_wrong("ours", forge("ours", ours, gate, gate, now_s))
        self.wallet.replace_wrong("the provider's", forge("the provider's", theirs, self.provider.issuer, gate, now_s))

    def _our_key(self) -> SigningKey:
        kid = kid_of(self.our_token())
        file = self.gateway.data.with_name(f"{kid}.pem")
        done = run_command("key", "export", "--private", "--out", str(file), "--", kid, data=self.gateway.data)
        _check(done)
        pem = file.read_bytes()
        file.unlink()
        return signing_key_from_pem(pem, "ES256", kid)

    # What is done to them

    def rotate_ours(self) -> None:
        """`jotgate key rotate`, at the end of which new tokens have the new key."""
        before = kid_of(self.our_token())
        _check(run_command("key", "rotate", data=self.gateway.data))
        after = self.our_token()
        if kid_of(after) == before:
            raise AssertionError("'jotgate key rotate' has ended, and the key before it still signs")
        self.wallet.put_ours(after)

    def rotate_theirs(self) -> Token:
        """The provider signs with a new key from now on and drops all but the one before; returns its first token.

        Nothing unknown may be on the way while it is called with `wallet.quiet`: that token is then owed its fetch.
        """
        with self._alive:
            self.wallet.keep_theirs(self._order[-_KEEP:])
            kid = self.provider.rotate(keep=_KEEP)
            self._published[kid] = time.monotonic()
            self._order.append(kid)
            text = self.provider.token(self.gateway.url)
        owed_s = 0.0 if self.wallet.quiet else COOLDOWN_S
        return Token("the provider's", kid, text.encode(), self._published[kid] + owed_s)

    @contextmanager
    def outage(self, *, hangs: bool) -> Iterator[None]:
        """The provider is dead, or `hangs`: it takes connections and answers nobody; then it is back with its keys."""
        with self._alive:
            if hangs:
                self.provider.freeze()
                yield
                self.provider.thaw()
            else:
                self.provider.kill()
                yield
                self.provider.start()


class Minting:
    """A thread that keeps the wallet fresh as long as the context lasts."""

    def __init__(self, rig: TrustRig) -> None:
        self._rig = rig
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._mint)
        self._errors: list[BaseException] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._errors:
            raise self._errors[0]

    def _mint(self) -> None:
        forged_s = time.monotonic()
        try:
            while not self._stop.wait(_MINT_S):
                self._rig.mint()
                if time.monotonic() - forged_s >= _FORGE_S:
                    self._rig.forge()
                    forged_s = time.monotonic()
        except (AssertionError, OSError) as error:
            self._errors.append(error)


def _check(done: "subprocess.CompletedProcess[str]") -> None:
    if done.returncode:
        raise AssertionError(f"a command ended with {done.returncode}: {done.stderr}")


@contextmanager
def running_trust(*, postgresql: bool, refresh: str = "5s") -> Iterator[TrustRig]:
    """Start a provider, a database if it is to be PostgreSQL, and the gateway; end them all.

    `refresh` is how often keys are fetched without anybody's asking for them.
    """
    with ExitStack() as stack:
        provider = stack.enter_context(running_provider())
        store = f'[store]\nurl = "{stack.enter_context(postgres()).make_database().url}"\n' if postgresql else ""
        configuration = _CONFIGURATION.format(issuer=provider.issuer, refresh=refresh, more=store)
        yield TrustRig(stack.enter_context(running_gateway(configuration, "--workers", str(WORKERS))), provider)
