"""What issues tokens of an installation, put together from DATA and the store: by control, or by a command alone.

Whoever opens it holds the lock on DATA.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from jotgate.assembly.means import Means
from jotgate.assembly.system import SystemClock, SystemEntropy
from jotgate.core.claims import ACCESS_TOKEN, TokenForm
from jotgate.core.compiler import compile_issuer
from jotgate.core.config import Config, seconds
from jotgate.core.durable import KeyRing
from jotgate.core.key_life import own_keys
from jotgate.core.status_lists import StatusRules
from jotgate.core.token_checks import status_rules
from jotgate.core.values import Secret
from jotgate.errors import ConfigurationError
from jotgate.gateway.world import build_verifier
from jotgate.keystores.local import LocalSigner
from jotgate.keystores.pem import PemKeystore
from jotgate.keystores.sealed import MasterKey, SealedKeystore
from jotgate.keystores.sealed_texts import TextSeals
from jotgate.ports import PrivateParts, Seals, Signers, StoreAccess
from jotgate.services.issuable import Issuable
from jotgate.services.issuer import TokenIssuer
from jotgate.services.keyring import KeyEvent, Keyring
from jotgate.services.recorder import Recorder
from jotgate.services.revocation import load_revocations
from jotgate.services.signing import StoredSigners
from jotgate.services.status_lists import StatusPlaces
from jotgate.services.verifier import Verifier
from jotgate.store_ports import Facts, Store
from jotgate.stores.directory import DataDirectory
from jotgate.stores.files import PrivateFiles, prepare_directory
from jotgate.stores.installation import check_public_url, fix_installation, read_installation
from jotgate.stores.opening import open_store
from jotgate.stores.segments import SegmentWriter

_INSTANCE_BYTES: Final = 6
_MASTER_FACT: Final = "master_key"
_SESSION_FACT: Final = "mcp_session_key"
_SESSION_KEY_BYTES: Final = 32
_MADE_FACT: Final = "made_at"
_NO_DETAILS: Final[Mapping[str, str]] = {}
VERIFIED_TOKENS: Final = 2
"""What a verifier outside of workers remembers: next to nothing."""


class Authority(Struct, frozen=True):
    """An open installation. `ring` is what the store had when it was opened. Close `log` and `store` when done.

    `seals` is for secrets that the store keeps beside the keys. `made_at_s` is when the installation was made, as far
    as the store knows (NumericDate): the same on all its machines, as `session_key` is, which seals MCP sessions.
    """

    issuer_url: str
    made_at_s: int
    session_key: Secret
    store: Store
    shared: bool
    parts: PrivateParts
    seals: Seals
    ring: KeyRing
    log: SegmentWriter
    recorder: Recorder

    def tokens(self, access: StoreAccess, published: Callable[[str], Awaitable[None]], config: Config) -> TokenIssuer:
        """What issues access tokens by these settings and by what the store has now; `published` as for `signers`.

        Raises StoreUnavailable.
        """
        rules = status_rules(config)
        tokens = self.tokens_of(ACCESS_TOKEN, self.signers(access, published), self.issuable(config))
        return tokens.placing(self.places(access, lambda: rules))

    def places(self, access: StoreAccess, rules: Callable[[], StatusRules]) -> StatusPlaces:
        """What gives access tokens their places in status lists."""
        return StatusPlaces(access, issuer=self.issuer_url, entropy=SystemEntropy(), clock=SystemClock(), rules=rules)

    def signers(self, access: StoreAccess, published: Callable[[str], Awaitable[None]]) -> StoredSigners:
        """Who signs with the keys of this installation; `published` is for `StoredSigners`."""
        return StoredSigners(access, self.parts, SystemClock(), LocalSigner, published)

    def tokens_of(self, form: TokenForm, signers: Signers, issuable: Issuable) -> TokenIssuer:
        """What issues tokens of some form."""
        return TokenIssuer(
            issuer=self.issuer_url,
            signers=signers,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            recorder=self.recorder,
            issuable=issuable,
        ).in_form(form)

    def issuable(self, config: Config) -> Issuable:
        """What may be issued, by what the store has now. Raises StoreUnavailable."""
        leeway_s = seconds(config.issuer.leeway)
        return Issuable(load_revocations(self.store), lambda: leeway_s, self.store.knows_zone)

    def tell(
        self, events: Iterable[KeyEvent], actor: str = "jotgate", details: Mapping[str, str] = _NO_DETAILS
    ) -> None:
        """Put what happened to keys into the audit log. Raises AuditUnavailable."""
        for event in events:
            of_key = {"kid": event.kid, "algorithm": event.algorithm}
            self.recorder.record(event.name, actor=actor, details={**of_key, **details})

    def close(self) -> None:
        """Close the audit log and the store."""
        self.log.close()
        self.store.close()


def open_authority(means: Means) -> Authority:
    """Open the installation, which this makes if it is the first start.

    Raises:
        ConfigurationError: the public URL, or the master key, is not the one that was fixed.
        DirectoryRefused, KeyRefused: a file in DATA, or a key, cannot be used.
        StoreRefused, StoreUnavailable: the store cannot be used, or does not answer.
        AuditUnavailable: the audit log cannot be written.
    """
    files = means.directory.prepare()
    store = means.opener(means.address)
    installation = fix_installation(files, store, means.public_url, means.url)
    parts = _open_parts(means.directory, means.master_key, store)
    clock = SystemClock()
    opened = Keyring(store, parts, clock).open(means.algorithm)
    log = SegmentWriter(means.directory.audit, os.urandom(_INSTANCE_BYTES).hex(), clock)
    authority = Authority(
        issuer_url=installation.issuer,
        made_at_s=int(store.fix_fact(_MADE_FACT, str(int(clock.now_s())))),
        session_key=Secret(store.fix_fact(_SESSION_FACT, os.urandom(_SESSION_KEY_BYTES).hex())),
        store=store,
        shared=means.address.file is None,
        parts=parts,
        seals=TextSeals(means.master_key, files),
        ring=opened.ring,
        log=log,
        recorder=Recorder(log, clock),
    )
    authority.tell(opened.events)
    return authority


def open_verifier(means: Means, config: Config) -> Verifier:
    """What checks tokens of an installation, which is left as it is, unless its keys have no records yet.

    Raises:
        CommandError: there is no installation.
        ConfigurationError, DirectoryRefused, StoreRefused, StoreUnavailable: as `open_authority`.
    """
    require_installation(means.directory)
    store = open_store(means.address)
    try:
        ring, revoked = store.key_ring(), load_revocations(store)
        name = fix_installation(means.directory.prepare(), store, means.public_url, means.url).issuer
    finally:
        store.close()
    if not ring.keys:
        authority = open_authority(means)
        authority.close()
        ring = authority.ring
    own = compile_issuer(config, name, own_keys(ring, SystemClock().now_s()))
    return build_verifier((own,), VERIFIED_TOKENS, revoked=revoked)


def require_installation(directory: DataDirectory) -> None:
    """Refuse a directory in which nothing was ever started. Raises CommandError, DirectoryRefused."""
    if read_installation(directory.prepare()) is None:
        raise directory.missing()


def check_name(directory: DataDirectory, config: Config) -> None:
    """Refuse a public URL that is not the name of the installation in DATA, if there is one.

    Raises:
        ConfigurationError: it is another.
        DirectoryRefused: DATA cannot be read.
    """
    installation = read_installation(PrivateFiles(directory.path))
    if installation is not None:
        check_public_url(installation, config.server.public_url)


def _open_parts(directory: DataDirectory, secret: Secret | None, facts: Facts) -> PrivateParts:
    """Where private parts are kept: in the store, if there is a master key, else in files."""
    prepare_directory(directory.keys)
    files = PemKeystore(PrivateFiles(directory.keys))
    fixed = facts.fact(_MASTER_FACT)
    if secret is None:
        if fixed is not None:
            raise _wrong_master("is missing, and the keys in the store are sealed under a master key")
        return files
    master = MasterKey(secret)
    if facts.fix_fact(_MASTER_FACT, master.fingerprint) != master.fingerprint:
        raise _wrong_master("leads to another master key than the one that the keys in the store are sealed under")
    return SealedKeystore(master, files)


def _wrong_master(what: str) -> ConfigurationError:
    fault = f"{what}; name the right one here or in keys.master_key_file (docs/keys.md: when it is lost)"
    return ConfigurationError([("keys.master_key_env", fault)])
