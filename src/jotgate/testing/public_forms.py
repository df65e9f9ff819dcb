"""The forms in which a public key is found lying about; a confused verifier takes one for an HMAC secret."""

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from jotgate.jose.keys import SigningKey, public_jwk, signing_key_to_pem
from jotgate.testing.forge import to_json


def public_forms(key: SigningKey) -> dict[str, bytes]:
    """The public key of an asymmetric key by the name of its form.

    Raises:
        KeyRefused: an HMAC key has no public key.
    """
    public = load_pem_private_key(signing_key_to_pem(key), password=None).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = public_jwk(key.verification_key)
    return {
        "pem": pem,
        "pem_without_final_newline": pem.rstrip(),
        "pem_with_crlf": pem.replace(b"\n", b"\r\n"),
        "pem_after_newline": b"\n" + pem,
        "pem_after_space": b" " + pem,
        "pem_with_suffix": pem + b"suffix",
        "pem_body": b"".join(pem.splitlines()[1:-1]),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "openssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "jwk": to_json(jwk),
        "jwks": to_json({"keys": [jwk]}),
    }
