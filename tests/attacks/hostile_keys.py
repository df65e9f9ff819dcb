"""Keys that an issuer should not publish, and tokens of whoever put them there: rows A05 and A08 to A11."""

import hmac
import secrets
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Struct

from jotgate.jose.encoding import b64url_encode
from jotgate.jose.keys import generate, public_jwk
from jotgate.testing.forge import Forge, to_json
from tests.flawed import flawed_key

Sign = Callable[[bytes], bytes]

# What PKCS #1 v1.5 has before a SHA-256 digest (RFC 8017 s9.2).
DIGEST_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
_P256: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_SMALL_ORDERS: Final = (bytes(32), b"\1" + bytes(31), (2**255 - 20).to_bytes(32, "little"), b"\xff" * 32)


class Hostile(Struct, frozen=True):
    """A published key, the algorithm that its tokens say, and what signs them."""

    jwk: Mapping[str, object]
    alg: str
    sign: Sign

    def token(self, forge: Forge, kid: str) -> bytes:
        """Good claims under this key."""
        header = to_json({"typ": "at+jwt", "alg": self.alg, "kid": kid})
        signing_input = b64url_encode(header) + b"." + b64url_encode(to_json(forge.claims()))
        return signing_input + b"." + b64url_encode(self.sign(signing_input))


def weak_rsa_keys() -> dict[str, Hostile]:
    """A08: RSA that is short, even, of a bad exponent or of a flawed generator, or no key at all."""
    short = rsa.generate_private_key(65_537, 1024)  # noqa: S505 - it must be refused
    good = rsa.generate_private_key(65_537, 2048)
    n, sign = good.public_key().public_numbers().n, _rsa_signer(good)
    flawed = flawed_key()
    keys = {
        "roca": Hostile(_rsa_jwk(flawed.public_key().public_numbers().n, 65_537), "RS256", _rsa_signer(flawed)),
        "rsa_1024": Hostile(_rsa_jwk(short.public_key().public_numbers().n, 65_537), "RS256", _rsa_signer(short)),
        "e_1": Hostile(_rsa_jwk(n, 1), "RS256", _padded),
        "e_0": Hostile(_rsa_jwk(n, 0), "RS256", _one),
        "e_2": Hostile(_rsa_jwk(n, 2), "RS256", sign),
        "e_even": Hostile(_rsa_jwk(n, 65_536), "RS256", sign),
        "e_long": Hostile(_rsa_jwk(n, 2**64 + 1), "RS256", sign),
        "n_even": Hostile(_rsa_jwk(n - 1, 65_537), "RS256", sign),
        "n_0": Hostile(_rsa_jwk(0, 65_537), "RS256", _one),
        "n_1": Hostile(_rsa_jwk(1, 65_537), "RS256", _one),
        "n_16384_bits": Hostile(_rsa_jwk(2**16_383 + 1, 65_537), "RS256", sign),
        "n_power_of_two": Hostile(_rsa_jwk(2**2047, 65_537), "RS256", sign),
    }
    members = _rsa_jwk(n, 65_537)
    for name in ("n", "e", "kty"):
        keys[f"without_{name}"] = Hostile({key: value for key, value in members.items() if key != name}, "RS256", sign)
        for number, value in enumerate((None, 65_537, "", "A=", ["AQAB"], True, "AAEAAQ")):
            keys[f"{name}_form_{number}"] = Hostile({**members, name: value}, "RS256", sign)
    return keys


def misplaced_keys() -> dict[str, Hostile]:
    """A09: good keys that are published for something else than verifying."""
    purposes: tuple[dict[str, object], ...] = (
        {"use": "enc"},
        {"use": "SIG"},
        {"use": ""},
        {"use": None},
        {"use": ["sig"]},
        {"key_ops": ["encrypt"]},
        {"key_ops": ["sign"]},
        {"key_ops": ["sign", "verify"]},
        {"key_ops": ["verify", "encrypt"]},
        {"key_ops": ["verify", "verify"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"key_ops": None},
        {"key_ops": [["verify"]]},
        {"use": "sig", "key_ops": ["encrypt"]},
        {"use": "enc", "key_ops": ["verify"]},
        {"alg": "RS256"},
        {"alg": "ES384"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ECDH-ES"},
        {"alg": None},
        {"alg": ["ES256"]},
    )
    key = generate("ES256")
    members = public_jwk(key.verification_key)
    del members["kid"]
    return {f"purpose_{number}": Hostile({**members, **one}, "ES256", key.sign) for number, one in enumerate(purposes)}


def broken_points() -> dict[str, Hostile]:
    """A10: points off their curve, at infinity, of another length or of small order; private parts published."""
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.private_numbers()
    x, y = numbers.public_numbers.x, numbers.public_numbers.y
    made = generate("ES256")
    good = {"kty": "EC", "crv": "P-256", "x": _fixed(x), "y": _fixed(y)}
    changes: dict[str, dict[str, object]] = {
        "off_curve": {"y": _fixed((y + 1) % _P256)},
        "infinity": {"x": _fixed(0), "y": _fixed(0)},
        "beyond_the_prime": {"x": _fixed(_P256), "y": _fixed(_P256)},
        "short": {"x": b64url_encode(x.to_bytes(32)[1:]).decode()},
        "long": {"x": b64url_encode(b"\0" + x.to_bytes(32)).decode()},
        "both_long": {name: b64url_encode(b"\0" + n.to_bytes(32)).decode() for name, n in (("x", x), ("y", y))},
        "swapped": {"x": _fixed(y), "y": _fixed(x)},
        "other_curve": {"crv": "P-384"},
        "koblitz": {"crv": "secp256k1"},
        "unknown_curve": {"crv": "P-257"},
        "without_y": {"y": None},
        "number": {"x": 1},
        "other_type": {"kty": "OKP"},
        "with_private": {"d": _fixed(numbers.private_value)},
        "with_other_private": {"d": _fixed(1)},
        "with_secret": {"k": "AAAA"},
    }
    keys = {name: Hostile({**good, **change}, "ES256", made.sign) for name, change in changes.items()}
    pair = ed25519.Ed25519PrivateKey.generate()
    raw = pair.public_key().public_bytes_raw()
    okp: dict[str, dict[str, object]] = {
        **{f"order_{number}": {"x": b64url_encode(point).decode()} for number, point in enumerate(_SMALL_ORDERS)},
        "okp_short": {"x": b64url_encode(raw[1:]).decode()},
        "okp_long": {"x": b64url_encode(raw + b"\0").decode()},
        "okp_x25519": {"crv": "X25519"},
        "okp_ed448": {"crv": "Ed448"},
        "okp_with_private": {"d": b64url_encode(pair.private_bytes_raw()).decode()},
        "okp_with_other_private": {"d": b64url_encode(bytes(32)).decode()},
    }
    members = {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(raw).decode()}
    return keys | {name: Hostile({**members, **change}, "Ed25519", pair.sign) for name, change in okp.items()}


def published_secrets() -> dict[str, Hostile]:
    """A11, A05: symmetric keys in a public set, and public keys whose holder hopes that they are taken for secrets."""
    secret = secrets.token_bytes(64)
    k = b64url_encode(secret).decode()
    modulus = rsa.generate_private_key(65_537, 2048).public_key().public_numbers().n
    bare = {"kty": "RSA", "n": _uint(modulus), "e": "AQAB"}
    keys: dict[str, Hostile] = {
        "empty_oct": Hostile({"kty": "oct", "k": ""}, "HS256", _hmac_signer(b"", "HS256")),
        "oct_without_k": Hostile({"kty": "oct"}, "HS256", _hmac_signer(b"", "HS256")),
        "rsa_as_empty_secret": Hostile(bare, "HS256", _hmac_signer(b"", "HS256")),
        "rsa_modulus_as_secret": Hostile(bare, "HS256", _hmac_signer(modulus.to_bytes(256), "HS256")),
        "rsa_json_as_secret": Hostile(bare, "HS256", _hmac_signer(to_json(bare), "HS256")),
    }
    for alg in ("HS256", "HS384", "HS512"):
        keys[f"oct_{alg}"] = Hostile({"kty": "oct", "k": k, "alg": alg}, alg, _hmac_signer(secret, alg))
        keys[f"oct_{alg}_use"] = Hostile(
            {"kty": "oct", "k": k, "alg": alg, "use": "sig"}, alg, _hmac_signer(secret, alg)
        )
        keys[f"oct_{alg}_without_alg"] = Hostile({"kty": "oct", "k": k}, alg, _hmac_signer(secret, alg))
    keys["oct_says_es256"] = Hostile({"kty": "oct", "k": k, "alg": "ES256"}, "HS256", _hmac_signer(secret, "HS256"))
    return keys


def _rsa_jwk(n: int, e: int) -> dict[str, object]:
    return {"kty": "RSA", "alg": "RS256", "use": "sig", "n": _uint(n), "e": _uint(e)}


def _rsa_signer(key: rsa.RSAPrivateKey) -> Sign:
    return lambda signing_input: key.sign(signing_input, PKCS1v15(), SHA256())


def _hmac_signer(secret: bytes, alg: str) -> Sign:
    return lambda signing_input: hmac.digest(secret, signing_input, f"sha{alg[2:]}")


def _padded(signing_input: bytes) -> bytes:
    """With the exponent 1 the padded digest is its own signature."""
    info = DIGEST_INFO + sha256(signing_input).digest()
    return b"\0\1" + b"\xff" * (256 - len(info) - 3) + b"\0" + info


def _one(signing_input: bytes) -> bytes:
    return bytes(255) + b"\1"


def _uint(number: int) -> str:
    return b64url_encode(number.to_bytes(max(1, (number.bit_length() + 7) // 8))).decode()


def _fixed(number: int) -> str:
    return b64url_encode(number.to_bytes(32)).decode()
