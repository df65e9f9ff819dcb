"""A gateway that trusts several issuers, and a maker of tokens for each of them."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import Struct

from jotgate.jose import jwt
from jotgate.jose.keys import SigningKey, generate, hmac_key, public_jwk, signing_key_from_pem, signing_key_to_pem
from jotgate.testing.issuer import TestIssuer
from jotgate.testing.running import running_gateway, short_directory
from jotgate.testing.upstream import upstream_in_thread
from tests.attacks.hostile_keys import Hostile, broken_points, misplaced_keys, published_secrets, weak_rsa_keys
from tests.attacks.target import MODEL, SETTINGS, UPSTREAM, Target

AUDIENCE: Final = "https://gate.example"
PUBLISHED: Final = "https://published.example"
TWIN: Final = "https://published.example.twin"
SHARED: Final = "https://shared.example"
_PUBLISHER: Final = """
[[issuers]]
name = "{name}"
issuer = "{issuer}"
jwks_file = "{directory}/{name}.json"
algorithms = {algorithms}
audiences = ["{audience}"]
"""
_SECRETS: Final = """
[[issuers]]
name = "shared"
issuer = "{shared}"
secret_env = "SHARED_SECRET"
audiences = ["{audience}"]
[[issuers]]
name = "chain"
profile = "prompt-chain"
"""
ALGORITHMS: Final = {
    PUBLISHED: ("RS256", "ES256", "ES384", "Ed25519"),
    TWIN: ("ES256", "PS256"),
    SHARED: ("HS256",),
}
"""Which algorithms the tokens of each issuer may have."""


class Trust(Struct, frozen=True):
    """The gateway, and who its issuers are.

    `keys` are those that `published` publishes, by their kind. `hostile` are by row, and by name within it: an issuer
    for each row publishes them beside a good one, that of `keys` for ES256.
    """

    target: Target
    own: TestIssuer
    keys: Mapping[str, SigningKey]
    twin: TestIssuer
    shared: TestIssuer
    chain: SigningKey
    hostile: Mapping[str, Mapping[str, Hostile]]

    def published(self, kind: str = "ES256") -> TestIssuer:
        """A maker of tokens of the issuer whose keys are public."""
        return TestIssuer(self.keys[kind], PUBLISHED, AUDIENCE, time.time())

    def of_row(self, row: str) -> TestIssuer:
        """A maker of good tokens of the issuer that publishes the hostile keys of a row."""
        return TestIssuer(self.keys["ES256"], _issuer_of(row), AUDIENCE, time.time())

    def chain_token(self, key: SigningKey | None = None, **claims: object) -> bytes:
        """A token that names no issuer, no audience and no key."""
        said = {"sub": "alice", "iat": int(time.time()), **claims}
        return jwt.sign(said, "JWT", key or self.chain, with_kid=False)


def make_keys() -> dict[str, SigningKey]:
    """The keys of the issuer that publishes several; one of RSA has the exponent 3, which is small but good."""
    kinds = ("RS256", "ES256", "ES384", "Ed25519")
    small = rsa.generate_private_key(3, 2048)
    pem = small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        **{kind: generate(kind) for kind in kinds},
        "RS256_e3": signing_key_from_pem(pem, "RS256", "small-exponent"),
    }


@contextmanager
def trusting_gateway() -> Iterator[Trust]:
    """A gateway that trusts these issuers beside itself."""
    keys = make_keys()
    twin = make_twin(keys["ES256"].kid)
    hostile = {"a08": weak_rsa_keys(), "a09": misplaced_keys(), "a10": broken_points(), "a11": published_secrets()}
    secret, chain_secret = secrets.token_hex(32), secrets.token_hex(32)
    with short_directory() as directory, upstream_in_thread() as upstream:
        entries = _publish(directory, keys, twin, hostile) + _SECRETS.format(shared=SHARED, audience=AUDIENCE)
        config = SETTINGS + UPSTREAM.format(upstream.base_url, MODEL) + entries
        variables = {"SHARED_SECRET": secret, "JWT_SECRET_KEY": chain_secret}
        with running_gateway(config, "--workers", "1", environment=variables) as gateway:
            now_s = time.time()
            target = Target(gateway, upstream, gateway.token("--ttl", "1h").encode())
            yield Trust(
                target=target,
                own=target.own_issuer(),
                keys=keys,
                twin=TestIssuer(twin, TWIN, AUDIENCE, now_s),
                shared=TestIssuer(hmac_key(secret.encode(), "HS256", "unnamed"), SHARED, AUDIENCE, now_s),
                chain=hmac_key(chain_secret.encode(), "HS256", "unnamed"),
                hostile=hostile,
            )


def make_twin(kid: str) -> SigningKey:
    """A key of another issuer under the name that a key of the first one has."""
    return signing_key_from_pem(signing_key_to_pem(generate("ES256")), "ES256", kid)


def _publish(
    directory: Path,
    keys: Mapping[str, SigningKey],
    twin: SigningKey,
    hostile: Mapping[str, Mapping[str, Hostile]],
) -> str:
    """Write the JWK Sets, and return the entries of the issuers that publish them."""
    sets: dict[str, tuple[str, list[object]]] = {
        "published": (PUBLISHED, [public_jwk(key.verification_key) for key in keys.values()]),
        "twin": (TWIN, [public_jwk(twin.verification_key)]),
    }
    good = public_jwk(keys["ES256"].verification_key)
    for row, by_name in hostile.items():
        sets[row] = (_issuer_of(row), [good, *({"kid": name, **one.jwk} for name, one in by_name.items())])
    for name, (_, listed) in sets.items():
        (directory / f"{name}.json").write_text(json.dumps({"keys": listed}))
    return "".join(
        _PUBLISHER.format(
            name=name,
            issuer=issuer,
            directory=directory,
            algorithms=json.dumps(ALGORITHMS.get(issuer, ALGORITHMS[PUBLISHED])),
            audience=AUDIENCE,
        )
        for name, (issuer, _) in sets.items()
    )


def _issuer_of(row: str) -> str:
    return f"https://{row}.example"
